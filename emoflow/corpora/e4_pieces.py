"""Stretches of biosignals: cells of ragged tables, tags of utterances, one clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emoflow.data.e4 import E4_UNITS, parse_numbers
from emoflow.traces import SignalTrace

__all__ = ["Piece", "Placed", "read_cells", "read_lines", "read_tags", "spans_of", "trace_of"]

_FOLDER = re.compile(r"session(\d\d)", re.IGNORECASE)
_FILE = re.compile(r"sess(\d\d)[_fm]", re.IGNORECASE)
_PAUSE = 10.0
"""Seconds between tags of an utterance; what lies further off is a stray tag."""
_ROWS_AT_ONCE = 2048

Floats = NDArray[np.float64]
Parse = Callable[[str, str | None], str | None]
"""A cell and a session's two digits to an utterance's id."""


class Span(NamedTuple):
    """Where an utterance lies in a piece."""

    first: float
    """Time of its first reading, in seconds."""
    last: float
    """Time of its last reading."""
    readings: int


@dataclass(frozen=True, eq=False)
class Piece:
    """Readings of a signal that share a clock, and which of them are tagged."""

    values: Floats
    """(reading,) NaN where there is no number."""
    times: Floats
    """(reading,) finite seconds."""
    codes: NDArray[np.int64]
    """(reading,) place of its utterance in ``names``, -1 without one."""
    names: Sequence[str] = ()
    length: float = 0.0
    """Seconds that the last reading of an utterance takes."""
    rate_hz: float | None = None
    start: float | None = None
    """What has to be added to the times, where the file says so."""

    @cached_property
    def spans(self) -> dict[str, Span]:
        """Utterance to its place; where it is tagged in several, the one with most readings."""
        order = np.argsort(self.codes, kind="stable")
        codes, times = self.codes[order], self.times[order]
        bounds = np.flatnonzero(np.diff(codes, prepend=-2, append=-2)).tolist()
        found = {}
        for begin, end in pairwise(bounds):
            if codes[begin] >= 0:
                own = times[begin:end]
                runs = np.split(own, np.flatnonzero(np.abs(np.diff(own)) > _PAUSE) + 1)
                run = max(runs, key=len)
                span = Span(float(run.min()), float(run.max()), len(run))
                found[self.names[codes[begin]]] = span
        return found

    def part(self, which: NDArray[np.bool_] | slice) -> Piece:
        """Return some of the readings."""
        kept = self.values[which], self.times[which], self.codes[which]
        return Piece(*kept, self.names, self.length, self.rate_hz, self.start)


Placed = Sequence[tuple[Piece, float]]
"""Pieces of a signal, and what is added to the times of each."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank; none if it cannot be read."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError):
        return []
    text = content.decode("utf-8-sig", errors="replace").replace("\0", "")
    return [line for line in text.splitlines() if line and not line.isspace()]


def read_cells(lines: Sequence[str], columns: int) -> list[Floats]:
    """Return the first columns of a table as numbers, NaN where there is none."""
    found: list[list[Floats]] = [[] for _ in range(columns)]
    for begin in range(0, len(lines), _ROWS_AT_ONCE):
        rows = [line.split(",", columns) for line in lines[begin : begin + _ROWS_AT_ONCE]]
        if len(min(rows, key=len)) < columns:
            rows = [row + [""] * columns for row in rows]
        for place, column in enumerate(found):
            column.append(parse_numbers([row[place] for row in rows]))
    return [np.concatenate([np.empty(0), *column]) for column in found]


def read_tags(
    lines: Sequence[str], path: Path, parse: Parse
) -> tuple[NDArray[np.int64], list[str]]:
    """Return per line the place of its utterance in the list that follows, or -1.

    The last cell of a line that is not empty may name it. The session is that of the folder, or
    of the file.
    """
    folder, file = _FOLDER.fullmatch(path.parent.name), _FILE.match(path.name)
    session = folder[1] if folder else file[1] if file else None
    names: dict[str, int] = {}
    known: dict[str, int] = {}

    def code(line: str) -> int:
        _, comma, cell = line.rstrip(", \t").rpartition(",")
        found = known.get(cell)
        if found is None:
            name = parse(cell, session)
            found = -1 if name is None else names.setdefault(name, len(names))
            known[cell] = found
        return found if comma else -1

    codes = [code(line) if "_" in line else -1 for line in lines]
    return np.array(codes, np.int64), list(names)


def trace_of(signal: str, placed: Placed, rate_hz: float | None = None) -> SignalTrace:
    """Return pieces as one trace, in the order of their times."""
    values = np.concatenate([np.empty(0), *(piece.values for piece, _ in placed)])
    times = np.concatenate([np.empty(0), *(piece.times + shift for piece, shift in placed)])
    if np.any(np.diff(times) < 0):
        order = np.argsort(times, kind="stable")
        values, times = values[order], times[order]
    return SignalTrace(values, times, E4_UNITS.get(signal, "1"), rate_hz)


def spans_of(
    signals: Iterable[Placed], wanted: Mapping[str, str]
) -> dict[str, tuple[float, float]]:
    """Return start and end per id, of the first signal that names its utterance.

    ``wanted`` is the utterance per id, by the name that is tagged.
    """
    found: dict[str, tuple[float, float]] = {}
    for placed in signals:
        best: dict[str, tuple[int, tuple[float, float]]] = {}
        for piece, shift in placed:
            for name, (first, last, readings) in piece.spans.items():
                if name not in best or readings > best[name][0]:
                    best[name] = (readings, (first + shift, last + shift + piece.length))
        for name, (_, span) in best.items():
            found.setdefault(name, span)
    return {id: found[name] for id, name in wanted.items() if name in found}
