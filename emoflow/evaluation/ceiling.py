"""How well a human rater does: each rater is scored against all the others.

The reference of an utterance is made from every rater but one, and the one left out is
the prediction (leave one rater out). All such pairs are pooled. A net is trained on the
opinion of many raters and may lie above one of them; it is the scale that matters:
where raters disagree, no score near 1 is to be had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emoflow.evaluation.metrics import regression_metrics
from emoflow.types import Rating

__all__ = ["ceiling_from_ratings", "ceiling_from_votes", "rater_ceiling"]


def ceiling_from_votes(votes: ArrayLike, kept: Sequence[int] | None = None) -> dict[str, float]:
    """Return accuracy, uar, macro_f1 and weighted_f1 of one rater against the others.

    Parameters
    ----------
    votes
        (utterance, class) votes as counted, over all classes that raters could choose.
    kept
        Classes that the task predicts, all by default. An utterance counts where the
        others' majority is one of them; a vote for another class is then a miss.

    Notes
    -----
    Where the others have no single majority there is no reference, and the pair is left
    out. Without any pair the result is empty.
    """
    v = np.asarray(votes, np.float64)
    v = np.where(np.isnan(v), 0, v)
    classes = v.shape[1]
    matrix = np.zeros((classes, classes))
    for vote in range(classes):
        rows = v[:, vote] >= 1
        others = v[rows].copy()
        others[:, vote] -= 1
        top = others.max(1, initial=0)
        single = (top > 0) & ((others == top[:, None]).sum(1) == 1)
        weight = v[rows, vote][single]
        matrix[:, vote] += np.bincount(others[single].argmax(1), weight, minlength=classes)
    keep = np.arange(classes) if kept is None else np.asarray(kept, np.int64)
    matrix = matrix[keep]
    total = matrix.sum()
    if not total:
        return {}
    true, predicted, hits = matrix.sum(1), matrix.sum(0)[keep], matrix[np.arange(len(keep)), keep]
    f1 = 2 * hits / np.maximum(true + predicted, 1)
    return {
        "accuracy": float(hits.sum() / total),
        "uar": float((hits[true > 0] / true[true > 0]).mean()),
        "macro_f1": float(f1.mean()),
        "weighted_f1": float((f1 * true).sum() / total),
    }


def ceiling_from_ratings(ratings: ArrayLike, target: str) -> dict[str, float]:
    """Return rmse and ccc of one rater's value against the mean of the others.

    Parameters
    ----------
    ratings
        (utterance, rater) values, NaN where a rater gave none.
    target
        ``arousal`` or ``valence``.

    Notes
    -----
    Utterances with fewer than two ratings are left out; without any other the result
    is empty.
    """
    r = np.asarray(ratings, np.float64)
    given = ~np.isnan(r)
    count = given.sum(1, keepdims=True)
    others = (np.where(given, r, 0).sum(1, keepdims=True) - r) / np.maximum(count - 1, 1)
    pairs = given & (count >= 2)
    if not pairs.any():
        return {}
    return regression_metrics(others[pairs], r[pairs], target)


def rater_ceiling(
    raters: Iterable[Sequence[Rating] | None],
    target: str,
    labels: Sequence[str] = (),
) -> dict[str, float] | None:
    """Return the ceiling of a split from what its raters said, or ``None`` without any.

    Parameters
    ----------
    raters
        For each utterance of the split its ratings, as in ``Utterance.raters``.
    target
        ``emotion``, ``arousal`` or ``valence``.
    labels
        Emotions that the task predicts; other emotions are a rater's miss, and an
        utterance whose other raters agree on one of those is left out.
    """
    everyone = [ratings or () for ratings in raters]
    if target == "emotion":
        given = {r.emotion for ratings in everyone for r in ratings if r.emotion}
        names = [*labels, *sorted(given - set(labels))]
        column = {name: k for k, name in enumerate(names)}
        votes = np.zeros((len(everyone), max(len(names), 1)))
        for row, ratings in enumerate(everyone):
            for rating in ratings:
                if rating.emotion:
                    votes[row, column[rating.emotion]] += 1
        kept = range(len(labels)) if labels else None
        return ceiling_from_votes(votes, kept) or None
    return ceiling_from_ratings(_values(everyone, target), target) or None


def _values(everyone: Sequence[Sequence[Rating]], target: str) -> NDArray[np.float64]:
    """Return (utterance, rating) values, NaN where there is none."""
    width = max((len(ratings) for ratings in everyone), default=0)
    values = np.full((len(everyone), max(width, 1)), np.nan)
    for row, ratings in enumerate(everyone):
        for column, rating in enumerate(ratings):
            value = getattr(rating, target)
            values[row, column] = np.nan if value is None else value
    return values
