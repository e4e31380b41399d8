from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from emoflow.testing.raters import (
    EMOTIONS,
    LABELS,
    RaterPanel,
    Ratings,
    _regression,
    _score,
    ceiling,
    draw_moods,
)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.random.Generator, object, RaterPanel, Ratings]:
    rng = np.random.default_rng(3)
    moods = draw_moods(rng, 1500)
    panel = RaterPanel.draw(rng)
    return rng, moods, panel, panel.rate(moods, rng)


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


def test_the_ceiling_needs_both_modalities(drawn: tuple) -> None:
    rng, moods, panel, ratings = drawn
    scores = ceiling(moods, panel, ratings, rng)
    assert list(scores) == ["speech", "text", "speech+text"]
    both = scores["speech+text"]
    assert 0.8 < both["macro_f1"] < 0.93
    for alone in ("speech", "text"):
        assert 0.45 < scores[alone]["macro_f1"] < both["macro_f1"] - 0.15
    assert 0.9 < scores["speech"]["ccc_arousal"] < 0.97
    assert 0.9 < scores["text"]["ccc_valence"] < 0.97
    assert scores["speech"]["ccc_valence"] < 0.5
    assert scores["text"]["ccc_arousal"] < 0.5
    assert scores["speech"]["rmse_arousal"] < 0.4 < scores["text"]["rmse_arousal"]


def test_no_decision_on_the_latent_state_beats_the_ceiling(drawn: tuple) -> None:
    """A forest that sees the hidden mood itself, and other utterances' labels."""
    from sklearn.ensemble import RandomForestClassifier

    rng, _, panel, _ = drawn
    moods = draw_moods(rng, 6000)
    ratings = panel.rate(moods, rng)
    winner = ratings.winners()
    number = np.array([LABELS.index(e) if e in LABELS else -1 for e in EMOTIONS])
    label = np.where(winner < 0, -1, number[winner])
    seen = np.stack([moods.arousal, moods.valence, moods.sound, moods.word == 1], axis=1)
    rows = np.flatnonzero(label >= 0)
    train, test = rows[rows < 3000], rows[rows >= 3000]
    forest = RandomForestClassifier(100, min_samples_leaf=10, random_state=0)
    guess = forest.fit(seen[train], label[train]).predict(seen[test])
    tested = np.arange(3000, 6000)
    scores = ceiling(moods.take(tested), panel, ratings.take(tested), rng)["speech+text"]
    accuracy = accuracy_score(label[test], guess)
    assert accuracy < scores["accuracy"] + 0.005
    assert accuracy > scores["accuracy"] - 0.04


def test_ceiling_of_a_single_utterance_is_finite() -> None:
    rng = np.random.default_rng(0)
    moods = draw_moods(rng, 1)
    panel = RaterPanel.draw(rng)
    for scores in ceiling(moods, panel, panel.rate(moods, rng), rng).values():
        assert np.isfinite(list(scores.values())).all()
