from __future__ import annotations

import time

import numpy as np
import pytest

from emoflow.errors import EmoflowError
from emoflow.evaluation import (
    bootstrap,
    bootstrap_difference,
    classification_metrics,
    regression_metrics,
)


def population(seed: int, speakers: int, each: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Speakers who differ in how well they are recognised."""
    random = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), each)
    truth = random.integers(4, size=len(speaker))
    skill = random.normal(1.5, 1.5, speakers)[speaker]
    logits = random.normal(size=(len(speaker), 4)) + skill[:, None] * np.eye(4)[truth]
    shares = np.exp(logits)
    return truth, shares / shares.sum(1, keepdims=True), [f"s{k}" for k in speaker]


def test_values_are_the_metrics_and_ends_those_of_a_plain_bootstrap() -> None:
    truth, shares, speakers = population(0, 12, 20)
    found = bootstrap(truth, shares, speakers=speakers, repeats=300, seed=3)
    assert {n: s.value for n, s in found.scores.items()} == pytest.approx(
        classification_metrics(truth, shares)
    )
    random = np.random.default_rng(3)
    names = np.array(speakers)
    people = list(dict.fromkeys(speakers))
    rows = {name: np.flatnonzero(names == name) for name in people}
    plain: dict[str, list[float]] = {}
    for draw in random.integers(12, size=(300, 12)):
        chosen = np.concatenate([rows[people[k]] for k in draw])
        for name, value in classification_metrics(truth[chosen], shares[chosen]).items():
            plain.setdefault(name, []).append(value)
    for name, values in plain.items():
        low, high = np.percentile(values, [2.5, 97.5])
        assert (found.scores[name].low, found.scores[name].high) == pytest.approx((low, high))


def test_regression_ends_are_those_of_a_plain_bootstrap() -> None:
    random = np.random.default_rng(1)
    speaker = random.integers(9, size=150)
    truth = random.normal(3, 1, 150)
    guess = truth + random.normal(0, 0.2, 9)[speaker] + random.normal(0, 0.4, 150)
    found = bootstrap(
        truth, guess, target="valence", speakers=[str(s) for s in speaker], repeats=200, seed=5
    )
    order = list(dict.fromkeys(speaker.tolist()))
    plain = []
    for draw in np.random.default_rng(5).integers(9, size=(200, 9)):
        chosen = np.concatenate([np.flatnonzero(speaker == order[k]) for k in draw])
        plain.append(regression_metrics(truth[chosen], guess[chosen], "valence"))
    for name in ("rmse_valence", "ccc_valence"):
        low, high = np.percentile([p[name] for p in plain], [2.5, 97.5])
        assert (found.scores[name].low, found.scores[name].high) == pytest.approx((low, high))


def test_a_difference_is_that_of_a_plain_paired_bootstrap() -> None:
    truth, shares, speakers = population(0, 12, 20)
    other = np.roll(shares, 1, 1) * 0.3 + shares * 0.7
    found = bootstrap_difference(truth, shares, other, speakers=speakers, repeats=300, seed=3)
    names = np.array(speakers)
    rows = [np.flatnonzero(names == name) for name in dict.fromkeys(speakers)]
    plain: dict[str, list[float]] = {}
    for draw in np.random.default_rng(3).integers(12, size=(300, 12)):
        chosen = np.concatenate([rows[k] for k in draw])
        one = classification_metrics(truth[chosen], shares[chosen])
        two = classification_metrics(truth[chosen], other[chosen])
        for name, value in one.items():
            plain.setdefault(name, []).append(value - two[name])
    one, two = classification_metrics(truth, shares), classification_metrics(truth, other)
    assert list(found.scores) == list(plain)
    for name, values in plain.items():
        low, high = np.percentile(values, [2.5, 97.5])
        assert found.scores[name] == pytest.approx((one[name] - two[name], low, high))


def test_a_difference_of_values_is_that_of_a_plain_paired_bootstrap() -> None:
    random = np.random.default_rng(2)
    speaker = random.integers(7, size=90)
    truth = random.normal(3, 1, 90)
    truth[4] = np.nan
    sides = [truth + random.normal(0, width, 90) for width in (0.4, 0.6)]
    sides = [np.where(np.isnan(side), 3.0, side) for side in sides]
    found = bootstrap_difference(
        truth, *sides, target="arousal", speakers=[str(s) for s in speaker], repeats=150, seed=8
    )
    known = np.flatnonzero(~np.isnan(truth))
    order = list(dict.fromkeys(speaker[known].tolist()))
    plain = []
    for draw in np.random.default_rng(8).integers(len(order), size=(150, len(order))):
        chosen = np.concatenate([known[speaker[known] == order[k]] for k in draw])
        one, two = (regression_metrics(truth[chosen], side[chosen], "arousal") for side in sides)
        plain.append({name: one[name] - two[name] for name in one})
    for name in ("rmse_arousal", "ccc_arousal"):
        low, high = np.percentile([p[name] for p in plain], [2.5, 97.5])
        assert (found.scores[name].low, found.scores[name].high) == pytest.approx((low, high))


def test_a_difference_to_itself_is_nothing_and_shapes_must_agree() -> None:
    truth, shares, speakers = population(1, 6, 10)
    found = bootstrap_difference(truth, shares, shares, speakers=speakers, repeats=50)
    assert {tuple(score) for score in found.scores.values()} == {(0.0, 0.0, 0.0)}
    one = bootstrap_difference(truth, shares, shares[::-1], speakers=["a"] * 60).scores["uar"]
    assert (one.low, one.high) == (None, None)
    with pytest.raises(EmoflowError, match=r"\(60, 4\) and \(60, 3\)[\s\S]*same classes"):
        bootstrap_difference(truth, shares, shares[:, :3])


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    """Speakers who are hard for both sides cancel out; over true pairs, 95 % coverage."""
    random = np.random.default_rng(0)
    people = [str(k) for k in np.repeat(np.arange(40), 10)]
    inside = 0
    for seed in range(100):
        hard = np.repeat(random.normal(0, 1, 40), 10)
        one, two = (hard + random.normal(0, width, 400) for width in (0.5, 1.0))
        found = bootstrap_difference(
            np.zeros(400), two, one, target="arousal", speakers=people, repeats=200, seed=seed
        ).scores["rmse_arousal"]
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= np.sqrt(2) - np.sqrt(1.25) <= found.high
    assert 87 <= inside <= 100
    alone = bootstrap(np.zeros(400), two, target="arousal", speakers=people).scores["rmse_arousal"]
    assert alone.high is not None
    assert alone.low is not None
    assert found.high - found.low < 0.7 * (alone.high - alone.low)


def test_speakers_widen_the_interval() -> None:
    truth, shares, speakers = population(2, 20, 50)
    by_speaker = bootstrap(truth, shares, speakers=speakers)
    by_utterance = bootstrap(truth, shares)
    assert (by_speaker.resampled, by_speaker.units) == ("speakers", 20)
    assert (by_utterance.resampled, by_utterance.units) == ("utterances", 1000)

    def width(found: object) -> float:
        score = found.scores["accuracy"]  # type: ignore[attr-defined]
        return float(score.high - score.low)

    assert width(by_speaker) > 2 * width(by_utterance)


def test_coverage() -> None:
    """Over many draws of speakers, about 95 % of the intervals hold the true value."""
    random = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        shift = np.repeat(random.normal(0, 0.5, 40), 10)
        error = shift + random.normal(0, 0.5, 400)
        found = bootstrap(
            np.zeros(400), error, target="arousal",
            speakers=[str(k) for k in np.repeat(np.arange(40), 10)], repeats=200, seed=seed,
        ).scores["rmse_arousal"]  # fmt: skip
        inside += found.low <= np.sqrt(0.5) <= found.high  # type: ignore[operator]
    assert 175 <= inside <= 199


def test_below_two_units_there_is_no_interval() -> None:
    truth, shares, _ = population(0, 1, 30)
    one = bootstrap(truth, shares, speakers=["a"] * 30).scores["uar"]
    assert (one.low, one.high) == (None, None)
    assert one.to_json() == {"value": round(one.value, 6), "low": None, "high": None}
    single = bootstrap([1.0], [2.0], target="arousal").scores["ccc_arousal"]
    assert (single.value, single.low) == (0.0, None)


def test_unknown_speakers_are_units_of_their_own() -> None:
    truth, shares, speakers = population(0, 3, 10)
    some: list[str | None] = [*speakers[:20], *[None] * 5, *[float("nan")] * 5]  # type: ignore[list-item]
    found = bootstrap(truth, shares, speakers=some)
    assert (found.resampled, found.units) == ("speakers", 12)
    assert bootstrap(truth, shares, speakers=[None] * 30).resampled == "utterances"


def test_order_of_speakers_and_unknown_truth() -> None:
    truth, shares, speakers = population(4, 5, 10)
    more = bootstrap([*truth, -1], [*shares, shares[0]], speakers=[*speakers, "stranger"])
    assert more == bootstrap(truth, shares, speakers=speakers)


def test_a_large_corpus_takes_less_than_a_second() -> None:
    truth, shares, speakers = population(0, 80, 165)
    start = time.perf_counter()
    bootstrap(truth, shares, speakers=speakers)
    assert time.perf_counter() - start < 1
