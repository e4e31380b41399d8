"""Dealing units (speakers, sessions, sentences) to folds, reproducibly for ever.

Everything here is integer arithmetic and hashes of names: no random generator, no floating
point, no library whose next version might deal differently. The same corpus gives the same
folds on every machine, in whatever order its files were found.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "balanced_folds",
    "balanced_part",
    "contiguous_folds",
    "contiguous_part",
    "natural_key",
    "shuffled",
    "spread",
    "unit_shares",
]

_ONE = 1 << 20  # the integer that stands for a share of 1

_Ints = NDArray[np.int64]


def natural_key(name: str) -> tuple[Any, ...]:
    """Return a sort key under which ``Actor_2`` comes before ``Actor_10``."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def shuffled(names: Sequence[str], salt: str) -> _Ints:
    """Return the place of each of ``names`` in an order that hashing makes, (name,)."""
    digests = bytearray()
    for name in names:
        digests += hashlib.blake2b(f"{salt}/{name}".encode(), digest_size=8).digest()
    values = np.frombuffer(digests, ">u8").astype(np.uint64)
    order = np.argsort(values, kind="stable")
    if (np.diff(values[order]) == 0).any():  # equal hashes: the names decide
        order = np.array(sorted(order.tolist(), key=lambda i: (values[i], names[i])), np.int64)
    places = np.empty(len(names), np.int64)
    places[order] = np.arange(len(names))
    return places


def unit_shares(units: _Ints, labels: _Ints, count: int) -> _Ints:
    """Return what each unit holds: of every class, of all utterances, and of all units.

    Parameters
    ----------
    units
        (utterance,) number of each utterance's unit, below ``count``.
    labels
        (utterance,) class numbers.
    count
        Number of units.

    Returns
    -------
    (unit, class + 2) integers; each column sums to about 2^20.
    """
    classes = int(labels.max(initial=0)) + 1
    table = np.zeros((count, classes + 2), np.int64)
    np.add.at(table, (units, labels), 1)
    table[:, -2] = table[:, :-2].sum(axis=1)
    table[:, -1] = 1
    total = table.sum(axis=0)
    present = total > 0
    return np.asarray(table[:, present] * _ONE // total[present])


def balanced_folds(shares: _Ints, names: Sequence[str], folds: int, salt: str) -> _Ints:
    """Deal units to folds that are alike in classes, utterances and units, (unit,).

    Greedy: large units first (hash order among units of similar size), each to the fold
    that holds least of what the unit brings, which is the choice that keeps the sum of
    squared shares smallest. Every fold gets a unit if there are as many units as folds.
    """
    loads = np.zeros((folds, shares.shape[1]), np.int64)
    result = np.empty(len(names), np.int64)
    for unit in _large_first(shares, names, salt):
        fold = int(np.argmin(loads @ shares[unit]))  # an empty fold has 0: it comes first
        loads[fold] += shares[unit]
        result[unit] = fold
    return result


def balanced_part(shares: _Ints, names: Sequence[str], size: int, salt: str) -> NDArray[np.bool_]:
    """Choose ``size`` units that are together like the whole, (unit,) bool."""
    chosen = np.zeros(len(names), bool)
    inside = np.zeros(shares.shape[1], np.int64)
    outside = np.zeros(shares.shape[1], np.int64)
    open_in, open_out = size, len(names) - size
    for unit in _large_first(shares, names, salt):
        # Compare what each part holds already, relative to the size that it shall have.
        fuller = int(inside @ shares[unit]) * (len(names) - size)
        emptier = int(outside @ shares[unit]) * size
        if open_in and (not open_out or fuller < emptier):
            chosen[unit] = True
            inside += shares[unit]
            open_in -= 1
        else:
            outside += shares[unit]
            open_out -= 1
    return chosen


def contiguous_folds(count: int, folds: int) -> _Ints:
    """Cut ``count`` units into runs whose sizes differ by one at most, (unit,)."""
    size, larger = divmod(count, folds)
    return np.repeat(np.arange(folds), [size + (f < larger) for f in range(folds)])


def contiguous_part(held: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Choose the ``size`` units that follow the held-out ones, round the end, (unit,) bool."""
    last = int(np.flatnonzero(held).max(initial=-1))
    free = [u % len(held) for u in range(last + 1, last + 1 + len(held)) if not held[u % len(held)]]
    chosen = np.zeros(len(held), bool)
    chosen[free[:size]] = True
    return chosen


def spread(places: _Ints, labels: _Ints) -> _Ints:
    """Line up utterances by class, inside a class by ``places``; return each one's position.

    Taking every k-th position then takes a k-th of each class, give or take one.
    """
    positions = np.empty(len(places), np.int64)
    positions[np.lexsort((places, labels))] = np.arange(len(places))
    return positions


def _large_first(shares: _Ints, names: Sequence[str], salt: str) -> _Ints:
    size = [int(largest).bit_length() for largest in shares.max(axis=1, initial=0)]
    return np.lexsort((shuffled(names, salt), -np.asarray(size, np.int64)))
