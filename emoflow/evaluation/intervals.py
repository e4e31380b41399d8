"""How far a score would move with other speakers: 95 % bootstrap intervals.

Utterances of one speaker resemble each other, so an interval over utterances is far too
narrow. Whole speakers are drawn instead, with replacement, as many as there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emoflow.evaluation.metrics import (
    classification_sums,
    metrics_from_classification_sums,
    metrics_from_regression_sums,
    regression_sums,
)

__all__ = ["LEVEL", "Intervals", "Score", "bootstrap"]

LEVEL = 0.95
_DRAWS_AT_ONCE = 2**21  # bounds memory where units are utterances


class Score(NamedTuple):
    """A metric's value and its 95 % interval; the ends are ``None`` where there is none."""

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """Return ``{"value", "low", "high"}``, rounded to six decimals."""
        return {name: rounded(end) for name, end in self._asdict().items()}


@dataclass(frozen=True)
class Intervals:
    """Every metric of one set of utterances, with how its intervals were made."""

    scores: dict[str, Score]
    """Metric to score."""
    resampled: Literal["speakers", "utterances"]
    """What was drawn: utterances only where no speaker is known."""
    units: int
    """How many there are to draw from; below 2 there is no interval."""
    repeats: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return how the intervals were made, as plain data."""
        return {
            "level": LEVEL,
            "resampled": self.resampled,
            "units": self.units,
            "repeats": self.repeats,
            "seed": self.seed,
        }


def bootstrap(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    target: str = "emotion",
    speakers: Sequence[str | None] | NDArray[Any] | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> Intervals:
    """Return every metric with the 2.5th and 97.5th percentile over resampled speakers.

    Parameters
    ----------
    truth
        (utterance,) class numbers (-1 unknown) for ``emotion``, else values (NaN unknown).
    predicted
        (utterance, class) probabilities for ``emotion``, else (utterance,) values.
    target
        ``emotion``, ``arousal`` or ``valence``.
    speakers
        (utterance,) speaker of each; an unknown one (``None``, NaN) is a unit of its own.
        If none is known, utterances are drawn, and :attr:`Intervals.resampled` says so.
    repeats
        Number of resamples.
    seed
        Seed of the draws.

    Raises
    ------
    EmoflowError
        As :func:`~emoflow.evaluation.metrics.classification_metrics`.
    """
    t = np.asarray(truth)
    p = np.asarray(predicted, np.float64)
    known = t >= 0 if target == "emotion" else ~np.isnan(np.asarray(t, np.float64))
    t, p = t[known], p[known]
    groups, units, named = _units(speakers, known)

    def metrics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        if target == "emotion":
            return metrics_from_classification_sums(sums, classes)
        return metrics_from_regression_sums(sums, target)

    classes = 0
    if target == "emotion":
        sums, classes = classification_sums(t, p, groups, units)
    else:
        sums = regression_sums(t, p, groups, units)
    values = metrics(sums.sum(0))
    resampled: Literal["speakers", "utterances"] = "speakers" if named else "utterances"
    if units < 2 or repeats < 1:
        scores = {name: Score(float(value), None, None) for name, value in values.items()}
        return Intervals(scores, resampled, units, repeats, seed)
    drawn = metrics(_resample(sums, repeats, seed))
    tails = [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2]
    scores = {}
    for name, value in values.items():
        low, high = np.percentile(drawn[name], tails)
        scores[name] = Score(float(value), float(low), float(high))
    return Intervals(scores, resampled, units, repeats, seed)


def rounded(number: float | None) -> float | None:
    """Round to six decimals, so that a result file does not depend on summation order."""
    return None if number is None else round(float(number), 6) + 0.0


def _units(
    speakers: Sequence[str | None] | NDArray[Any] | None, known: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], int, bool]:
    """Return each known utterance's unit, the number of units, and whether any is named."""
    rows = np.flatnonzero(known)
    if speakers is None:
        return np.arange(len(rows)), len(rows), False
    names = [speakers[row] for row in rows.tolist()]
    numbers: dict[Any, int] = {}
    named = False
    groups = np.empty(len(rows), np.int64)
    for i, name in enumerate(names):
        own = name is not None and name == name  # NaN stands for an unknown speaker, too
        named |= own
        groups[i] = numbers.setdefault(name if own else (i,), len(numbers))
    return groups, len(numbers), named


def _resample(sums: NDArray[np.float64], repeats: int, seed: int) -> NDArray[np.float64]:
    """Return (repeat, sum): the sums of as many units as there are, drawn with replacement."""
    units = len(sums)
    random = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // units)
    parts = []
    for start in range(0, repeats, at_once):
        count = min(at_once, repeats - start)
        draws = random.integers(units, size=(count, units))
        draws += units * np.arange(count)[:, None]
        weights = np.bincount(draws.reshape(-1), minlength=count * units)
        parts.append(weights.reshape(count, units).astype(np.float64) @ sums)
    return np.concatenate(parts)
