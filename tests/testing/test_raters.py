from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from emoflow.testing.raters import (
    EMOTIONS,
    LABELS,
    Moods,
    RaterPanel,
    Ratings,
    _regression,
    _score,
    ceiling,
    draw_moods,
)

TEST, TRAIN = slice(0, 1500), slice(1500, 9000)
SUBSETS = (
    "speech", "text", "signals", "speech+text", "speech+signals", "text+signals",
    "speech+text+signals",
)  # fmt: skip

Scores = dict[str, dict[str, float]]


class Drawn(NamedTuple):
    moods: Moods
    panel: RaterPanel
    ratings: Ratings
    scores: Scores
    """The ceilings of the utterances in TEST."""

    @property
    def labels(self) -> np.ndarray:
        """(n,) class number, -1 for a tie and for disgust and fear."""
        number = np.array([LABELS.index(e) if e in LABELS else -1 for e in EMOTIONS])
        winner = self.ratings.winners()
        return np.where(winner < 0, -1, number[winner])


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Utterances in recordings of ten, as in the demo corpus."""
    rng = np.random.default_rng(3)
    moods = draw_moods(rng, TRAIN.stop)
    moods = replace(moods, body=rng.standard_normal((TRAIN.stop // 10, 2)).repeat(10, axis=0))
    panel = RaterPanel.draw(rng)
    ratings = panel.rate(moods, rng)
    return Drawn(moods, panel, ratings, ceiling(moods.take(TEST), panel, ratings.take(TEST), rng))


def test_states_follow_the_process() -> None:
    moods = draw_moods(np.random.default_rng(0), 40_000)
    share = np.bincount(moods.emotion, minlength=7) / len(moods)
    mean = {e: i for i, e in enumerate(EMOTIONS)}
    assert share[mean["neutral"]] == pytest.approx(0.575, abs=0.02)
    for name, high, pleasant in (("angry", 1, 0), ("happy", 1, 1), ("sad", 0, 0)):
        chosen = moods.emotion == mean[name]
        assert (moods.arousal[chosen].mean() > 3) == high
        assert (moods.valence[chosen].mean() > 3) == pleasant
    marked = [(moods.word[moods.emotion == k] > 0).mean() for k in range(7)]
    assert marked[mean["surprise"]] > 0.5 > 0.1 > marked[mean["neutral"]]
    assert ((moods.arousal >= 1) & (moods.arousal <= 5)).all()


def test_raters_disagree_like_people() -> None:
    rng = np.random.default_rng(1)
    moods = draw_moods(rng, 3000)
    ratings = RaterPanel.draw(rng).rate(moods, rng)
    votes = ratings.votes()
    assert (votes.sum(1) == 10).all()
    within = ((votes**2).sum(1) - 10) / 90
    chance = ((votes.sum(0) / votes.sum()) ** 2).sum()
    assert 0.15 < (within.mean() - chance) / (1 - chance) < 0.4  # Fleiss' kappa; KEMDy20 has .24
    share = np.bincount(ratings.winners() + 1, minlength=8) / 3000
    assert 0.02 < share[0] < 0.15  # ties
    assert 0.48 < share[1] < 0.68  # neutral
    for name in ("happy", "surprise", "angry", "sad"):
        assert share[1 + EMOTIONS.index(name)] > 0.03
    assert set(np.unique(ratings.arousal)) == {1, 2, 3, 4, 5}


def test_votes_winners_and_means_of_given_ratings() -> None:
    emotion = np.array([[0] * 6 + [1] * 4, [0] * 5 + [1] * 5])
    ratings = Ratings(emotion, np.full((2, 10), 2), np.array([[1] * 5 + [2] * 5] * 2))
    assert ratings.votes().tolist() == [[6, 4, 0, 0, 0, 0, 0], [5, 5, 0, 0, 0, 0, 0]]
    assert ratings.winners().tolist() == [0, -1]
    assert ratings.means()[0].tolist() == [2.0, 2.0]
    assert ratings.means()[1].tolist() == [1.5, 1.5]


def test_scores_are_sklearn_s() -> None:
    rng = np.random.default_rng(0)
    truth, decided = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    counts = np.zeros((5, 5))
    np.add.at(counts, (truth, decided), 1)
    scores = _score(counts)
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, decided))
    assert scores["uar"] == pytest.approx(balanced_accuracy_score(truth, decided))
    for name in ("macro", "weighted"):
        expected = f1_score(truth, decided, average=name)
        assert scores[f"{name}_f1"] == pytest.approx(expected)


def test_regression_ceiling_is_that_of_a_known_signal() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(3, 0.8, 50_000)
    truth = signal + rng.normal(0, 0.6, 50_000)  # correlation .8
    scores = _regression(truth, signal, 0.36, "arousal")
    assert scores["rmse_arousal"] == pytest.approx(0.6, abs=0.01)
    assert scores["ccc_arousal"] == pytest.approx(0.8, abs=0.01)


def test_bodies_are_two_standard_normal_numbers_of_nothing_else() -> None:
    moods = draw_moods(np.random.default_rng(0), 40_000)
    given = np.c_[moods.body, moods.arousal, moods.valence, moods.sound, moods.word > 0]
    assert moods.body.mean(0) == pytest.approx([0, 0], abs=0.02)
    assert moods.body.std(0) == pytest.approx([1, 1], abs=0.02)
    assert np.abs(np.corrcoef(given.T)[:2] - np.eye(6)[:2]).max() < 0.02
    assert all(np.abs(moods.body[moods.emotion == k].mean(0)).max() < 0.2 for k in range(7))


@pytest.mark.parametrize(
    ("tension", "warmth", "more"),
    [(2, -2, "angry"), (2, 2, "happy"), (2, 2, "surprise"), (-2, -2, "sad"), (-2, 2, "neutral")],
)
def test_a_body_tilts_the_emotion_and_no_mark(tension: float, warmth: float, more: str) -> None:
    moods = draw_moods(np.random.default_rng(0), 4000)
    panel = RaterPanel.draw(np.random.default_rng(1))
    even, tilted = (
        panel.rate(replace(moods, body=np.tile(np.array(body, float), (4000, 1))), rng)
        for body, rng in (
            ((0, 0), np.random.default_rng(2)),
            ((tension, warmth), np.random.default_rng(2)),
        )
    )
    number = EMOTIONS.index(more)
    assert (tilted.emotion == number).mean() > 1.15 * (even.emotion == number).mean()
    assert (tilted.arousal == even.arousal).all()
    assert (tilted.valence == even.valence).all()


def test_the_ceiling_needs_speech_and_text_and_then_signals(drawn: Drawn) -> None:
    scores = drawn.scores
    assert tuple(scores) == SUBSETS
    macro, uar = ({k: v[name] for k, v in scores.items()} for name in ("macro_f1", "uar"))
    everything, both = macro["speech+text+signals"], macro["speech+text"]
    assert 0.85 < everything < 0.95
    assert 0.75 < both < 0.87
    assert 0.05 < everything - both < 0.14
    for values in (macro, uar):
        for alone in ("speech", "text"):
            assert values[alone] + 0.02 < values[f"{alone}+signals"] < values["speech+text"] - 0.05
            assert values["signals"] + 0.15 < values[alone]
    assert 0.22 < macro["signals"] < 0.40
    assert uar["signals"] > 0.24


def test_signals_say_nothing_of_arousal_and_valence(drawn: Drawn) -> None:
    scores = drawn.scores
    assert 0.9 < scores["speech"]["ccc_arousal"] < 0.97
    assert 0.9 < scores["text"]["ccc_valence"] < 0.97
    assert scores["speech"]["ccc_valence"] < 0.5
    assert scores["text"]["ccc_arousal"] < 0.5
    assert scores["speech"]["rmse_arousal"] < 0.4 < scores["text"]["rmse_arousal"]
    marks = ("rmse_arousal", "ccc_arousal", "rmse_valence", "ccc_valence")
    for subset in ("speech", "text", "speech+text"):
        for name in marks:
            assert scores[f"{subset}+signals"][name] == scores[subset][name]
    arousal, valence = drawn.ratings.take(TEST).means()
    assert scores["signals"]["ccc_arousal"] == scores["signals"]["ccc_valence"] == 0
    assert scores["signals"]["rmse_arousal"] == pytest.approx(arousal.std(), abs=0.03)
    assert scores["signals"]["rmse_valence"] == pytest.approx(valence.std(), abs=0.03)


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_learner_that_sees_what_is_hidden_comes_near_the_ceiling(
    drawn: Drawn, subset: str
) -> None:
    """A logistic regression on the hidden numbers, learnt from other utterances' labels."""
    moods = drawn.moods
    numbers = {
        "speech": (moods.arousal[:, None], moods.sound[:, None]),
        "text": (moods.valence[:, None], moods.word[:, None] == np.arange(1, 4)),
        "signals": (moods.body, np.empty((len(moods), 0))),
    }
    chosen = [numbers[name] for name in subset.split("+")]
    square = PolynomialFeatures(2, include_bias=False).fit_transform(
        np.hstack([c[0] for c in chosen])
    )
    seen = StandardScaler().fit_transform(np.hstack([square, *(c[1] for c in chosen)]))
    label, (train, test) = drawn.labels, (np.arange(len(moods))[part] for part in (TRAIN, TEST))
    train, test = train[label[train] >= 0], test[label[test] >= 0]
    learner = LogisticRegression(max_iter=300).fit(seen[train], label[train])
    given = learner.predict_proba(seen[test])
    prior = np.bincount(label[train]) / len(train)
    best = drawn.scores[subset]
    accuracy = accuracy_score(label[test], given.argmax(1))
    uar = balanced_accuracy_score(label[test], (given / prior).argmax(1))
    assert best["accuracy"] - 0.03 < accuracy < best["accuracy"] + 0.015
    assert best["uar"] - 0.03 < uar < best["uar"] + 0.02


def test_what_signals_do_not_show_stays_hidden(drawn: Drawn) -> None:
    few = slice(0, 250)
    given = (drawn.moods.take(few), drawn.panel, drawn.ratings.take(few))

    def scores(*which: bool) -> Scores:
        return ceiling(*given, np.random.default_rng(1), np.tile(np.array(which), (250, 1)))

    nothing, tension = scores(False, False), scores(True, False)
    for subset in ("speech", "text", "speech+text"):
        assert nothing[f"{subset}+signals"] == nothing[subset] == tension[subset]
    assert nothing["signals"]["uar"] == pytest.approx(0.2)
    assert nothing["signals"]["macro_f1"] < 0.2
    for subset in ("signals", "speech+text+signals"):
        assert nothing[subset]["uar"] + 0.01 < tension[subset]["uar"]


def test_ceiling_of_a_single_utterance_is_finite() -> None:
    rng = np.random.default_rng(0)
    moods = draw_moods(rng, 1)
    panel = RaterPanel.draw(rng)
    for scores in ceiling(moods, panel, panel.rate(moods, rng), rng).values():
        assert np.isfinite(list(scores.values())).all()
