"""Batches of utterances of similar length: little of a batch is padding.

A plan depends on nothing but the lengths, the seed and the epoch: every process computes
the same plan and takes its share, and a resumed run meets the batches it would have met.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from emoflow.errors import ConfigError

__all__ = ["LengthBatchSampler"]

_POOLS = 8  # pools per epoch: with one, every epoch would have nearly the same batches
_POOL_BATCHES = (4, 64)  # fewest and most full batches in a pool
_SLACK = 1.02  # batches per epoch over the fewest possible: room for random pools
_DRAWS = 8

_Rows = NDArray[np.int64]


class LengthBatchSampler(Sampler[list[int]]):
    """Gives lists of rows, one list per batch, within a budget of padded length.

    Training (``shuffle=True``): utterances are shuffled into pools, a pool is sorted by
    length and cut into batches, and the batches are shuffled. Evaluation: longest first, the
    same in every epoch. The number of batches is the same in every epoch and on every rank,
    and each utterance comes exactly once per epoch over all ranks. Two exceptions: with
    ``weights`` utterances are drawn; and where batches of one utterance cannot be divided
    further to fill the last step of all ranks, the first ones are repeated.

    Parameters
    ----------
    lengths
        (utterance,) in any unit, such as seconds; NaN counts as 0.
    rows
        (utterance,) what the batches hold; default: positions in ``lengths``.
    max_utterances
        Most utterances in a batch.
    max_total
        Most padded length in a batch: its longest utterance times its count. A single
        utterance that is longer still makes a batch of its own.
    shuffle
        Whether to shuffle by ``seed`` and epoch.
    seed
        Not negative.
    rank, world_size
        Which of how many processes this is. Batches of one step cost about the same.
    weights
        (utterance,) not negative: draw as many utterances as there are, with replacement, in
        proportion to these, so that classes are balanced; each comes as often as expected,
        give or take one or two. Needs ``shuffle``.
    longest_first
        Start each epoch with the batch of the largest padded length, so that memory runs out
        at once or not at all.

    Raises
    ------
    ConfigError
        For a limit that no batch can keep, or weights that do not fit.
    """

    def __init__(
        self,
        lengths: Sequence[float] | NDArray[np.floating] | NDArray[np.integer],
        *,
        rows: Sequence[int] | _Rows | None = None,
        max_utterances: int = 32,
        max_total: float | None = None,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        weights: NDArray[np.floating] | None = None,
        longest_first: bool = False,
    ) -> None:
        self.lengths = np.nan_to_num(np.asarray(lengths, np.float64), nan=0.0)
        self.rows = np.arange(len(self.lengths)) if rows is None else np.asarray(rows, np.int64)
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        self.max_utterances, self.max_total = max_utterances, max_total
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.longest_first = longest_first
        self.epoch = 0
        self._check()
        self._count = self._fixed_count()
        self._plan: tuple[int, list[_Rows]] | None = None

    @property
    def sampler(self) -> LengthBatchSampler:
        """Itself: Lightning looks here for :meth:`set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of one rank, the same in every epoch."""
        return self._count // self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.plan()[self.rank :: self.world_size]:
            yield self.rows[batch].tolist()

    def plan(self) -> list[_Rows]:
        """Return this epoch's batches of all ranks, as positions in ``lengths``.

        Rank r takes batches r, r + world_size, ….
        """
        if self._plan is None or self._plan[0] != self.epoch:
            self._plan = self.epoch, self._make_plan(self.epoch if self.shuffle else 0)
        return self._plan[1]

    @property
    def padded_share(self) -> float:
        """The part of this epoch's batches that is padding, 0 to below 1."""
        batches = [self.lengths[b] for b in self.plan()]
        padded = sum(float(b.max()) * len(b) for b in batches)
        return 1.0 - sum(float(b.sum()) for b in batches) / padded if padded else 0.0

    def _make_plan(self, epoch: int) -> list[_Rows]:
        if not self._count:
            return []
        if not self.shuffle:
            return self._stretch(self._cut(self._sorted(np.arange(len(self.lengths)))))
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(self._drawn(epoch))
        fewest, most = (n * self.max_utterances for n in _POOL_BATCHES)
        pool = min(max(len(order) // _POOLS, fewest), most)
        batches = self._cut_pools(order, pool)
        while len(batches) > self._count:  # one pool at last: no cut needs fewer batches
            pool *= 2
            batches = self._cut_pools(order, pool)
        batches = self._stretch(batches)
        cost = np.array([self.lengths[b].max() * len(b) for b in batches])
        # Ranks wait for each other at every step: give them batches of equal cost.
        steps = random.permutation(np.argsort(cost, kind="stable").reshape(-1, self.world_size))
        if self.longest_first:
            first = int(np.argmax(cost[steps].max(axis=1)))
            steps[[0, first]] = steps[[first, 0]]
        return [batches[i] for i in steps.reshape(-1)]

    def _fixed_count(self) -> int:
        """Return the number of batches of every epoch, over all ranks."""
        if not len(self.lengths):
            return 0
        fewest = len(self._cut(self._sorted(self._draw(0))))
        if self.shuffle:
            fewest = min(int(np.ceil(fewest * _SLACK)), len(self.lengths))
        return -(-fewest // self.world_size) * self.world_size

    def _drawn(self, epoch: int) -> _Rows:
        """Return the utterances of an epoch, such that they fit the number of batches."""
        if self.weights is None:
            return self._draw(epoch)
        for attempt in range(_DRAWS):
            drawn = self._draw(epoch, attempt)
            if len(self._cut(self._sorted(drawn))) <= self._count:
                return drawn
        return self._draw(0)  # the draw that the number was computed from

    def _draw(self, epoch: int, attempt: int = 0) -> _Rows:
        count = len(self.lengths)
        if self.weights is None:
            return np.arange(count)
        # One draw from each of `count` equal shares of the weights, laid out by weight and
        # length: classes and lengths then have the same proportions in every epoch.
        random = np.random.default_rng([self.seed, epoch, attempt, 1])
        order = random.permutation(count)
        order = order[np.lexsort((self.lengths[order], self.weights[order]))]
        ends = np.cumsum(self.weights[order])
        points = (np.arange(count) + random.random(count)) * (ends[-1] / count)
        drawn = np.searchsorted(ends, points, side="right")
        return np.asarray(order[np.minimum(drawn, np.flatnonzero(self.weights[order])[-1])])

    def _sorted(self, batch: _Rows) -> _Rows:
        return batch[np.argsort(-self.lengths[batch], kind="stable")]

    def _limit(self, longest: float) -> int:
        if self.max_total is None or longest * self.max_utterances <= self.max_total:
            return self.max_utterances
        return max(1, int(self.max_total / longest * (1 + 1e-12)))

    def _cut(self, ordered: _Rows) -> list[_Rows]:
        """Cut utterances, longest first, into batches as large as the budget allows."""
        batches, start = [], 0
        while start < len(ordered):
            stop = start + self._limit(float(self.lengths[ordered[start]]))
            batches.append(ordered[start:stop])
            start = stop
        return batches

    def _cut_pools(self, order: _Rows, pool: int) -> list[_Rows]:
        """Cut each pool; what does not fill a batch goes to the next pool."""
        batches: list[_Rows] = []
        rest = order[:0]
        for start in range(0, len(order), pool):
            waiting = self._sorted(np.concatenate([rest, order[start : start + pool]]))
            found = self._cut(waiting)
            last = found[-1]
            unfilled = len(last) < self._limit(float(self.lengths[last[0]]))
            rest = found.pop() if unfilled and start + pool < len(order) else order[:0]
            batches += found
        return batches

    def _stretch(self, batches: list[_Rows]) -> list[_Rows]:
        """Halve the fullest batches until there are as many as every epoch has."""
        if len(batches) > 1 and 2 * len(batches[-1]) < len(batches[-2]):
            tail = self._sorted(np.concatenate(batches[-2:]))
            half = (len(tail) + 1) // 2
            if half <= self._limit(float(self.lengths[tail[0]])):  # no tiny batch at the end
                batches = [*batches[:-2], tail[:half], tail[half:]]
        parts: list[tuple[int, tuple[int, ...], _Rows]]
        parts = [(-len(batch), (number,), batch) for number, batch in enumerate(batches)]
        heapq.heapify(parts)
        while len(parts) < self._count and len(parts[0][2]) > 1:
            _, place, batch = heapq.heappop(parts)
            half = (len(batch) + 1) // 2
            for side, part in enumerate((batch[:half], batch[half:])):
                heapq.heappush(parts, (-len(part), (*place, side), part))
        found = [part for _, _, part in sorted(parts, key=lambda p: p[1])]
        return [found[i % len(found)] for i in range(self._count)]

    def _check(self) -> None:
        if self.max_utterances < 1:
            raise ConfigError(
                f"max_utterances is {self.max_utterances}: a batch holds at least 1 utterance",
                "Set data.batch.max_utterances to 1 or more.",
            )
        if self.max_total is not None and not self.max_total > 0:
            raise ConfigError(
                f"the budget of padded length is {self.max_total}, not above 0",
                "Set data.batch.max_seconds to the seconds that fit into memory, such as 240.",
            )
        if not 0 <= self.rank < self.world_size:
            raise ConfigError(f"no rank {self.rank} among {self.world_size} processes")
        if self.seed < 0:
            raise ConfigError(f"the seed is {self.seed}", "Set data.seed to 0 or more.")
        if len(self.rows) != len(self.lengths):
            raise ValueError(f"{len(self.rows)} rows for {len(self.lengths)} lengths")
        if self.weights is None or not len(self.lengths):
            return
        fit = self.weights.shape == self.lengths.shape and np.isfinite(self.weights).all()
        if not (fit and self.shuffle and self.weights.min() >= 0 and self.weights.max() > 0):
            raise ConfigError(
                "balanced sampling needs shuffle and one finite weight per utterance, none "
                "negative and not all 0",
                "Set data.balanced_sampling to false, or correct the weights.",
            )
