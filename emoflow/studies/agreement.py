"""How far raters agree beyond chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fleiss_kappa", "krippendorff_alpha", "rating_counts"]


def rating_counts(ratings: Iterable[Sequence[Any]], values: Sequence[Any]) -> NDArray[np.float64]:
    """Count the ratings of every utterance: (utterance, value).

    ``ratings`` are what the raters said of each utterance; ``None`` and whatever is not among
    ``values`` is left out.
    """
    number = {value: k for k, value in enumerate(values)}
    rows = [[number[r] for r in one if r in number] for one in ratings]
    counts = np.zeros((len(rows), len(values)))
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    np.add.at(counts, (owner, np.array([k for row in rows for k in row], np.int64)), 1.0)
    return counts


def fleiss_kappa(counts: NDArray[np.float64]) -> float:
    """Return Fleiss' kappa of names given by interchangeable raters.

    Parameters
    ----------
    counts
        (utterance, name) ratings; utterances with fewer than two are left out. Their number may
        differ: an utterance's agreement is then the share of its own pairs of raters.

    Returns
    -------
    float
        At most 1; 0 for the agreement that chance gives; NaN without two ratings of anything,
        or if only one name is used. J. L. Fleiss, "Measuring nominal scale agreement among many
        raters", *Psychological Bulletin* 76, 1971.
    """
    several = counts[counts.sum(axis=1) >= 2]
    if not len(several):
        return float("nan")
    raters = several.sum(axis=1)
    pairs = (several * (several - 1)).sum(axis=1) / (raters * (raters - 1))
    chance = float(((several.sum(axis=0) / raters.sum()) ** 2).sum())
    return float("nan") if chance == 1 else (float(pairs.mean()) - chance) / (1 - chance)


def krippendorff_alpha(counts: NDArray[np.float64], values: Sequence[float] | None = None) -> float:
    """Return Krippendorff's alpha: 1 less the observed over the expected disagreement.

    Parameters
    ----------
    counts
        (utterance, value) ratings; utterances with fewer than two are left out.
    values
        The numbers that the columns stand for, whose squared differences are the disagreement
        (interval scale). ``None`` for names: any two different ones disagree equally.

    Returns
    -------
    float
        At most 1; 0 for ratings that know nothing of the utterance; NaN without two ratings of
        anything, or if all are equal. K. Krippendorff, *Content Analysis*, 2nd ed., 2004, ch. 11.
    """
    several = counts[counts.sum(axis=1) >= 2]
    if not len(several):
        return float("nan")
    if values is None:
        apart = 1 - np.eye(counts.shape[1])
    else:
        apart = np.subtract.outer(np.asarray(values, float), np.asarray(values, float)) ** 2
    raters = several.sum(axis=1)
    total = several.sum(axis=0)
    number = total.sum()
    observed = float((((several @ apart) * several).sum(axis=1) / (raters - 1)).sum() / number)
    expected = float(total @ apart @ total / (number * (number - 1)))
    return float("nan") if expected == 0 else 1 - observed / expected
