"""Biosignals of the KEMDy corpora, recorded with an Empatica E4: ragged tables, read gently."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SIGNALS",
    "SIGNALS_OF_KEMDY19",
    "SignalSegment",
    "kemdy19_id",
    "kemdy19_signals",
    "kemdy20_id",
    "kemdy20_signals",
    "read_kemdy19_signal",
    "read_kemdy20_signal",
]

SIGNALS = ("EDA", "IBI", "TEMP")
"""Electrodermal activity in µS and skin temperature in °C, 4 Hz each, and the intervals
between heart beats in seconds."""
SIGNALS_OF_KEMDY19 = ("ECG", "EDA", "TEMP")
"""ECG is an electrocardiogram; its unit and rate are not documented."""

_ID_19 = re.compile(r"sess(\d\d)_(script0[1-6]|impro0[1-4])_([fm])(\d{3})", re.IGNORECASE)
_ID = re.compile(r"sess(\d\d)_script0([1-6])_user(\d{3})([mf])_(\d{3})", re.IGNORECASE)
_FOLDER = re.compile(r"session(\d\d)", re.IGNORECASE)
_FILE = re.compile(r"sess(\d\d)[_fm]", re.IGNORECASE)


def kemdy19_id(cell: str, session: str | None = None) -> str | None:
    """Return an utterance's id without its noise, as :func:`kemdy20_id` does for KEMDy20."""
    found = _ID_19.fullmatch(_tidy(cell))
    if found is None:
        return None
    own, part, sex, number = found.groups()
    return f"Sess{session or own}_{part.casefold()}_{sex.upper()}{number}"


def kemdy20_id(cell: str, session: str | None = None) -> str | None:
    """Return an utterance's id without its noise, or ``None`` if it is not one.

    White space, a byte-order mark and wrong case are put right; ``session`` (two digits)
    replaces the id's own, because one released file calls session 17 session 42.
    """
    found = _ID.fullmatch(_tidy(cell))
    if found is None:
        return None
    own, script, user, sex, number = found.groups()
    return f"Sess{session or own}_script0{script}_User{user}{sex.upper()}_{number}"


def _tidy(cell: str) -> str:
    return "".join(cell.replace("\ufeff", "").split())


@dataclass(frozen=True)
class SignalSegment:
    """One signal during one utterance; empty where there is none."""

    values: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(reading,) in the unit of the signal; NaN where the cell is not a number."""
    offsets: NDArray[np.float64] | None = None
    """(reading,) seconds since the start of the recording; KEMDy20 has them for IBI only."""
    timestamps: tuple[str, ...] = ()
    """As written; their form is not documented."""


def read_kemdy20_signal(path: str | Path) -> dict[str, SignalSegment]:
    """Return what an EDA, TEMP or IBI file of KEMDy20 holds per utterance id.

    Which of them it is, the folder says (``IBI/Session01/…``), or else the width of most rows. A
    file that is missing, empty, or without a row inside an utterance gives an empty mapping; rows
    outside utterances, and rows that are cut short, are passed over.
    """
    path = Path(path)
    rows = _tagged_rows(path, kemdy20_id)
    widths = Counter(len(row) for readings in rows.values() for row in readings)
    kind = path.parent.parent.name.upper()
    ibi = kind == "IBI" if kind in SIGNALS else bool(widths) and widths.most_common(1)[0][0] == 3
    # offset, interval, time; or value, time
    places = (1, 0) if ibi else (0, None)
    return {name: _segment(readings, *places) for name, readings in rows.items()}


def read_kemdy19_signal(path: str | Path, signal: str) -> dict[str, SignalSegment]:
    """Return what an ECG, EDA or TEMP file of KEMDy19 holds per utterance id.

    ``signal`` is which of them it is: the columns stand in another order for ECG. The utterances
    are those of both speakers; files and rows without one are passed over, as in
    :func:`read_kemdy20_signal`.
    """
    # elapsed, value, time; or value, elapsed, time
    places = (1, 0) if signal.upper() == "ECG" else (0, 1)
    rows = _tagged_rows(Path(path), kemdy19_id)
    return {name: _segment(readings, *places) for name, readings in rows.items()}


def _tagged_rows(
    path: Path, parse: Callable[[str, str | None], str | None]
) -> dict[str, list[list[str]]]:
    """Return utterance id to the rows that end in it, without it."""
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    folder, file = _FOLDER.fullmatch(path.parent.name), _FILE.match(path.name)
    session = folder[1] if folder else file[1] if file else None

    rows: dict[str, list[list[str]]] = {}
    lines = io.StringIO(content.decode("utf-8-sig", errors="replace").replace("\0", ""), newline="")
    with suppress(csv.Error):  # a line beyond all measure: what stands before it is kept
        for row in csv.reader(lines, quoting=csv.QUOTE_NONE):
            while row and not row[-1].strip():
                row.pop()
            name = parse(row[-1], session) if len(row) >= 2 else None
            if name is not None:
                rows.setdefault(name, []).append(row[:-1])
    return rows


def _segment(rows: list[list[str]], value: int, offset: int | None) -> SignalSegment:
    time = 1 + max(value, offset or 0)
    return SignalSegment(
        np.array([_number(row, value) for row in rows]),
        None if offset is None else np.array([_number(row, offset) for row in rows]),
        tuple(row[-1].strip() if len(row) > time else "" for row in rows),
    )


def _number(row: list[str], place: int) -> float:
    try:
        return float(row[place])
    except (ValueError, IndexError):
        return float("nan")


def kemdy20_signals(id: str, files: Mapping[str, str] | None) -> dict[str, SignalSegment]:
    """Return every signal of utterance ``id``; what is missing is empty, never zero.

    ``files`` maps a signal's name to its file, as ``Utterance.signals`` does.
    """
    found = {name: read_kemdy20_signal(path) for name, path in (files or {}).items()}
    return {name: found.get(name, {}).get(id, SignalSegment()) for name in SIGNALS}


def kemdy19_signals(id: str, files: Mapping[str, str] | None) -> dict[str, SignalSegment]:
    """Return every signal of utterance ``id``, with or without the rated person behind it.

    ``files`` and what is missing are as in :func:`kemdy20_signals`.
    """
    found = {name: read_kemdy19_signal(path, name) for name, path in (files or {}).items()}
    spoken = "_".join(id.split("_")[:3])
    return {name: found.get(name, {}).get(spoken, SignalSegment()) for name in SIGNALS_OF_KEMDY19}
