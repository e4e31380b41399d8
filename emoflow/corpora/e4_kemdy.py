"""Biosignals of the KEMDy corpora, recorded with an Empatica E4: ragged tables, read gently."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGNALS", "SignalSegment", "kemdy20_id", "kemdy20_signals", "read_kemdy20_signal"]

SIGNALS = ("EDA", "IBI", "TEMP")
"""Electrodermal activity in µS and skin temperature in °C, 4 Hz each, and the intervals
between heart beats in seconds."""

_ID = re.compile(r"sess(\d\d)_script0([1-6])_user(\d{3})([mf])_(\d{3})", re.IGNORECASE)
_FOLDER = re.compile(r"session(\d\d)", re.IGNORECASE)
_FILE = re.compile(r"sess(\d\d)_", re.IGNORECASE)


def kemdy20_id(cell: str, session: str | None = None) -> str | None:
    """Return an utterance's id without its noise, or ``None`` if it is not one.

    White space, a byte-order mark and wrong case are put right; ``session`` (two digits)
    replaces the id's own, because one released file calls session 17 session 42.
    """
    found = _ID.fullmatch("".join(cell.replace("\ufeff", "").split()))
    if found is None:
        return None
    own, script, user, sex, number = found.groups()
    return f"Sess{session or own}_script0{script}_User{user}{sex.upper()}_{number}"


@dataclass(frozen=True)
class SignalSegment:
    """One signal during one utterance; empty where there is none."""

    values: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(reading,) in the unit of the signal; NaN where the cell is not a number."""
    offsets: NDArray[np.float64] | None = None
    """(reading,) seconds since the start of the recording; IBI only."""
    timestamps: tuple[str, ...] = ()
    """As written; their form is not documented."""


def read_kemdy20_signal(path: str | Path) -> dict[str, SignalSegment]:
    """Return what an EDA, TEMP or IBI file of KEMDy20 holds per utterance id.

    Which of them it is, the folder says (``IBI/Session01/…``), or else the width of most rows. A
    file that is missing, empty, or without a row inside an utterance gives an empty mapping; rows
    outside utterances, and rows that are cut short, are passed over.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError:
        return {}
    folder, file = _FOLDER.fullmatch(path.parent.name), _FILE.match(path.name)
    session = folder[1] if folder else file[1] if file else None

    rows: dict[str, list[list[str]]] = {}
    widths: Counter[int] = Counter()
    lines = io.StringIO(content.decode("utf-8-sig", errors="replace").replace("\0", ""), newline="")
    with suppress(csv.Error):  # a line beyond all measure: what stands before it is kept
        for row in csv.reader(lines, quoting=csv.QUOTE_NONE):
            while row and not row[-1].strip():
                row.pop()
            name = kemdy20_id(row[-1], session) if len(row) >= 2 else None
            if name is not None:
                rows.setdefault(name, []).append(row[:-1])
                widths[len(row)] += 1
    kind = path.parent.parent.name.upper()
    ibi = kind == "IBI" if kind in SIGNALS else bool(widths) and widths.most_common(1)[0][0] == 4
    return {name: _segment(readings, ibi) for name, readings in rows.items()}


def _segment(rows: list[list[str]], ibi: bool) -> SignalSegment:
    place = 1 if ibi else 0  # offset, interval, time; or value, time
    return SignalSegment(
        np.array([_number(row, place) for row in rows]),
        np.array([_number(row, 0) for row in rows]) if ibi else None,
        tuple(row[-1].strip() if len(row) > place + 1 else "" for row in rows),
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
