"""Whether clusters go with emotion, arousal or valence: effect sizes, and permutations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Relation", "cramers_v", "emotion_relation", "residuals", "value_relation"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

_BLOCK = 2_000_000  # numbers permuted together


@dataclass(frozen=True, eq=False)
class Relation:
    """How closely clusters go with something, for every number of clusters."""

    sizes: Floats
    """(k,) of the effect, 0 to 1."""
    p: float
    """That of the largest effect over all numbers of clusters: the share of permutations, the
    labels themselves included, whose largest effect is as large."""
    needed: float
    """The largest effect that one in a hundred permutations exceeds."""
    utterances: int
    groups: int
    """Within how many speakers labels were permuted."""
    movable: int
    """Utterances of speakers who have more than one value."""

    @property
    def largest(self) -> float:
        """The largest effect over all numbers of clusters."""
        return float(self.sizes.max())

    @property
    def place(self) -> int:
        """Which number of clusters has it, counted from 0."""
        return int(self.sizes.argmax())


def emotion_relation(
    clusters: Sequence[Labels],
    emotion: Labels,
    groups: Labels,
    permutations: int,
    rng: np.random.Generator,
) -> Relation:
    """Compare Cramér's V, corrected for bias, with that of emotions permuted within groups.

    Emotions change places only among utterances of one group (a speaker): what a speaker's own
    clusters have to do with the speaker's own emotions does not count. The largest V over all
    numbers of clusters is compared with the largest one, so choosing a number costs nothing.

    Parameters
    ----------
    clusters
        Per number of clusters (utterance,) clusters from 0.
    emotion
        (utterance,) emotions from 0.
    groups
        (utterance,) speakers from 0.
    permutations
        How many.
    rng
        Of the permutations.
    """
    onehot, owner = _onehot(clusters)
    emotions = np.unique(emotion)

    def effects(permuted: Labels) -> Floats:
        counts = np.stack([(permuted == e).astype(float) @ onehot for e in emotions], axis=2)
        squares = [_v_squared(counts[:, owner == k]) for k in range(len(clusters))]
        return np.stack(squares, axis=1)

    return _permuted(effects, emotion, groups, permutations, rng)


def value_relation(
    clusters: Sequence[Labels],
    values: Floats,
    groups: Labels,
    permutations: int,
    rng: np.random.Generator,
) -> Relation:
    """Compare the share of variance between clusters with that of values permuted within groups.

    The effect is the square root of epsilon squared (Kelley 1935), the squared correlation ratio
    less what chance gives; otherwise as :func:`emotion_relation`. ``values`` are (utterance,).
    """
    onehot, owner = _onehot(clusters)
    sizes = onehot.sum(axis=0)
    away = values - values.mean()
    total = float(np.sum(away**2))

    def effects(permuted: Floats) -> Floats:
        between = (permuted @ onehot) ** 2 / np.maximum(sizes, 1)
        found = []
        for k in range(len(clusters)):
            inner = max(1, len(values) - int(np.count_nonzero(sizes[owner == k])))
            share = between[:, owner == k].sum(axis=1) / total if total else np.zeros(len(permuted))
            found.append(1 - (1 - share) * (len(values) - 1) / inner)
        return np.stack(found, axis=1)

    return _permuted(effects, away, groups, permutations, rng)


def cramers_v(counts: NDArray[np.int64] | Floats, corrected: bool = True) -> float:
    """Return Cramér's V of a table of counts, 0 to 1, corrected for bias (Bergsma 2013, eq. 3).

    Rows and columns without counts are left out; what is left of one row or column has V 0.
    """
    table = np.asarray(counts, float)[None]
    square = float(_v_squared(table, corrected)[0])
    return float(np.sqrt(min(1.0, max(0.0, square))))


def residuals(counts: NDArray[np.int64]) -> Floats:
    """Return (row, column) adjusted residuals: about standard normal without a relation."""
    table = np.asarray(counts, float)
    total = table.sum()
    row, column = table.sum(axis=1, keepdims=True), table.sum(axis=0, keepdims=True)
    expected = row * column / total
    spread = np.sqrt(expected * (1 - row / total) * (1 - column / total))
    away = table - expected
    return np.asarray(np.divide(away, spread, out=np.zeros_like(table), where=spread > 0))


def _v_squared(counts: Floats, corrected: bool = True) -> Floats:
    """Return (table,) squared V of (table, row, column) with equal margins.

    What is corrected may be below zero: then there is less than chance gives.
    """
    rows, columns = counts[0].sum(axis=1), counts[0].sum(axis=0)
    total, r, c = rows.sum(), np.count_nonzero(rows), np.count_nonzero(columns)
    if min(r, c) < 2 or total < 2:
        return np.zeros(len(counts))
    weight = np.outer(rows, columns)
    inside = np.divide(counts**2, weight, out=np.zeros_like(counts), where=weight > 0)
    phi = inside.sum(axis=(1, 2)) - 1
    if not corrected:
        return np.asarray(phi / (min(r, c) - 1))
    phi = phi - (r - 1) * (c - 1) / (total - 1)
    most = min(n - (n - 1) ** 2 / (total - 1) for n in (r, c)) - 1
    return np.asarray(phi / most) if most > 0 else np.zeros(len(counts))


def _onehot(clusters: Sequence[Labels]) -> tuple[Floats, Labels]:
    """Return (utterance, cluster) membership in the clusters of all numbers side by side."""
    parts = [(one[:, None] == np.arange(one.max() + 1)).astype(float) for one in clusters]
    owner = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    return np.concatenate(parts, axis=1), owner


def _permuted(
    effects: Callable[[NDArray[Any]], Floats],
    values: NDArray[Any],
    groups: Labels,
    permutations: int,
    rng: np.random.Generator,
) -> Relation:
    """Compare squared ``effects``, (permutation, k), of values with those of permutations."""
    own = effects(values[None])[0]
    found = [effects(values[order]) for order in _orders(groups, permutations, rng)]
    largest = np.concatenate(found).max(axis=1)
    # Sums in another order differ in their last digits.
    as_large = int(np.count_nonzero(largest >= own.max() - 1e-12))
    several = np.array([len(np.unique(values[groups == g])) > 1 for g in range(groups.max() + 1)])
    return Relation(
        sizes=np.sqrt(own.clip(0, 1)),
        p=(1 + as_large) / (1 + permutations),
        needed=float(np.sqrt(np.quantile(largest, 0.99).clip(0, 1))),
        utterances=len(values),
        groups=int(groups.max()) + 1,
        movable=int(np.count_nonzero(several[groups])),
    )


def _orders(groups: Labels, permutations: int, rng: np.random.Generator) -> Iterator[Labels]:
    """Yield (permutation, utterance) orders in which utterances stay within their group."""
    place = np.argsort(groups, kind="stable")
    block = max(1, _BLOCK // len(groups))
    for start in range(0, permutations, block):
        count = min(block, permutations - start)
        drawn = np.argsort(groups + rng.random((count, len(groups))), axis=1)
        order = np.empty_like(drawn)
        order[:, place] = drawn
        yield order
