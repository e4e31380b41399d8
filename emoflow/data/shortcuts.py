"""Shortcuts: what predicts the label without listening to what is said, or reading it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.folds import shuffled, spread

__all__ = ["GAIN", "Shortcut", "shortcut_audit"]

GAIN = 0.3
"""From this share of the way from the floor to 1 on, a shortcut is said loudly."""

_FOLDS = 5
_BINS = 24
_FEWEST = 2 * _FOLDS  # utterances that a label needs to take part
_MOST = 50_000  # utterances looked at


@dataclass(frozen=True)
class Shortcut:
    """How well one cue alone predicts the emotion."""

    cue: str
    uar: float
    """Mean recall over the emotions, cross-validated over utterances."""
    floor: float
    """The same of a guess that looks at nothing."""
    utterances: int

    @property
    def gain(self) -> float:
        """Share of the way from the floor to 1; below 0 if it is worse than guessing."""
        return (self.uar - self.floor) / (1 - self.floor)

    @property
    def loud(self) -> bool:
        """Whether every report has to say it."""
        return self.gain >= GAIN

    def line(self) -> str:
        """Say it in one line."""
        size = f"floor {self.floor:.2f}, {self.utterances} utterances"
        if self.gain <= 0:  # far below in a balanced design: the other folds lack what is held out
            return (
                f"shortcut: {self.cue} alone predicts the emotion no better than guessing ({size})"
            )
        return (
            f"shortcut: {self.cue} alone predicts the emotion with a UAR of {self.uar:.2f} ({size})"
        )


def shortcut_audit(
    labels: NDArray[Any], cues: Mapping[str, NDArray[Any]], names: NDArray[Any]
) -> tuple[Shortcut, ...]:
    """Predict the labels from each cue alone, cross-validated.

    A cue's values (numbers in 24 bins of equal size, or names) vote for the label that is most
    over-represented among them in the other four folds. Nothing depends on the order of rows.

    Parameters
    ----------
    labels
        (utterance,) names; ``None`` is left out, and labels with fewer than 10 utterances.
    cues
        Name to (utterance,) numbers or names. Utterances with NaN or ``None`` are left out,
        and cues with one value only.
    names
        (utterance,) unique names of the utterances, from which the folds are dealt.
    """
    found = []
    number = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    label_of = np.fromiter(map(number.__getitem__, labels), np.int64, len(labels))
    labelled = np.flatnonzero(label_of != number.get(None, -1))
    labelled = labelled[np.argsort(shuffled(names[labelled].tolist(), "shortcuts"))]
    for cue, values in cues.items():
        numeric = values.dtype.kind == "f"
        known = ~np.isnan(values) if numeric else np.array([v is not None for v in values], bool)
        rows = _frequent(label_of, labelled[known[labelled]])[:_MOST]
        if not len(rows):
            continue
        classes, truth = np.unique(labels[rows].astype(str), return_inverse=True)
        codes = _bins(values[rows]) if numeric else _codes(values[rows])
        if len(classes) < 2 or (codes == codes[0]).all():
            continue
        fold = spread(np.arange(len(rows)), truth) % _FOLDS
        guess = np.empty(len(rows), np.int64)
        for k in range(_FOLDS):
            guess[fold == k] = _guesses(codes, truth, fold != k)[codes[fold == k]]
        recall = [(guess[truth == c] == c).mean() for c in range(len(classes))]
        found.append(Shortcut(cue, float(np.mean(recall)), 1 / len(classes), len(rows)))
    return tuple(found)


def _frequent(label_of: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows[np.bincount(label_of[rows])[label_of[rows]] >= _FEWEST]


def _guesses(
    codes: NDArray[np.int64], truth: NDArray[np.int64], learned: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the most over-represented class of every code, (code,)."""
    table = np.zeros((codes.max() + 1, truth.max() + 1))
    np.add.at(table, (codes[learned], truth[learned]), 1.0)
    return np.asarray((table / table.sum(axis=0).clip(1)).argmax(axis=1))


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    different, codes = np.unique(values, return_inverse=True)
    if len(different) <= _BINS:
        return codes.astype(np.int64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.unique(values.astype(str), return_inverse=True)[1].astype(np.int64)
