from __future__ import annotations

import time

import numpy as np
import pytest

from emoflow.evaluation import bootstrap, classification_metrics, regression_metrics


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
