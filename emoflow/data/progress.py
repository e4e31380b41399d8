"""Progress bars for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["batches", "in_threads", "progress"]

A = TypeVar("A")
B = TypeVar("B")


def progress(
    values: Iterable[A], what: str, *, total: int | None = None, unit: str = "utterance"
) -> Iterator[A]:
    """Yield ``values``, with a bar on stderr from the third second on.

    Into a file or a pipe the bar is written at most every ten seconds.
    """
    from tqdm import tqdm

    interval = 0.2 if sys.stderr.isatty() else 10.0
    yield from tqdm(
        values,
        desc=what,
        total=total,
        unit=f" {unit}s",
        delay=2.0,
        mininterval=interval,
        maxinterval=interval,
        leave=False,
        dynamic_ncols=True,
    )


def batches(values: Iterable[A], size: int) -> Iterator[list[A]]:
    """Yield ``values`` in lists of ``size``; the last one may be shorter."""
    rest = iter(values)
    for first in rest:
        yield [first, *islice(rest, size - 1)]


def in_threads(
    function: Callable[[A], B], values: Iterable[A], *, threads: int = 8, ahead: int = 64
) -> Iterator[tuple[A, B]]:
    """Yield ``(value, function(value))`` in order, ``ahead`` of the reader at most.

    Memory stays the same however many values there are. An exception of ``function`` is
    raised where its value is due, and the rest is dropped.
    """
    rest = iter(values)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[A, Future[B]]] = deque()
        try:
            waiting.extend((v, pool.submit(function, v)) for v in islice(rest, ahead))
            while waiting:
                value, future = waiting.popleft()
                yield value, future.result()
                waiting.extend((v, pool.submit(function, v)) for v in islice(rest, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
