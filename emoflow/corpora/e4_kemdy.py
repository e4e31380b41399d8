"""Biosignals of the KEMDy corpora: ragged tables of whole recordings, laid on one clock.

Nothing in a file is an error: what cannot be read is left out or NaN, and an utterance whose place
is not known has no span.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoflow.corpora.e4_pieces import (
    Piece,
    read_cells,
    read_lines,
    read_tags,
    spans_of,
    trace_of,
)
from emoflow.data.e4 import parse_numbers
from emoflow.traces import SignalRecording

__all__ = [
    "SIGNALS",
    "SIGNALS_OF_KEMDY19",
    "kemdy19_id",
    "kemdy19_recording",
    "kemdy20_id",
    "kemdy20_recording",
]

SIGNALS = ("EDA", "IBI", "TEMP")
"""Electrodermal activity in µS and skin temperature in °C, 4 Hz each, and the intervals
between heart beats in seconds."""
SIGNALS_OF_KEMDY19 = ("ECG", "EDA", "TEMP")
"""ECG is an electrocardiogram; its unit and rate are not documented."""

_ID_19 = re.compile(r"sess(\d\d)_(script0[1-6]|impro0[1-4])_([fm])(\d{3})", re.IGNORECASE)
_ID = re.compile(r"sess(\d\d)_script0([1-6])_user(\d{3})([mf])_(\d{3})", re.IGNORECASE)
_PREFERRED = ("EDA", "TEMP", "IBI")
"""Which file of KEMDy20 tells where an utterance lies, the surest first."""
_RATE_HZ = 4.0
_SLOWEST_HZ, _FASTEST_HZ = 0.5, 1000.0
_LATEST = 1e11
"""Seconds; a start beyond is no time."""
_LONGEST = 1e7
"""Seconds; a time within a recording that is beyond is none."""
_JUMP_BACK = 1.0
_GLITCH_ROWS, _GLITCH_SECONDS = 3, 5.0
_SAME_CLOCK = 2.0
"""Seconds between the tags of two signals that share a clock."""
_APART = 3600.0

Floats = NDArray[np.float64]


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


# ---- KEMDy20 -------------------------------------------------------------------------


def kemdy20_recording(files: Mapping[str, str], ids: Collection[str]) -> SignalRecording:
    """Return what the EDA, IBI and TEMP files of one script and speaker hold.

    Reading ``k`` of EDA and TEMP lies at the file's start + k / rate, an interval at the start +
    its offset. A file that does not say its start is laid beside the others by the utterances
    that both name, and has no readings where there are none; if no file says it, the clock begins
    with the first. An utterance lasts from its first to its last tagged reading, of EDA or else of
    TEMP or else of IBI.

    Parameters
    ----------
    files
        Signal to file; others than in ``SIGNALS`` are passed over.
    ids
        Utterances whose spans are wanted.
    """
    pieces = {n: _file_of_kemdy20(n, Path(files[n])) for n in _PREFERRED if n in files}
    starts = _starts(pieces)
    placed = {n: [(piece, starts[n])] if n in starts else [] for n, piece in pieces.items()}
    traces = {name: trace_of(name, own, pieces[name].rate_hz) for name, own in placed.items()}
    return SignalRecording(traces, spans_of(placed.values(), {id: id for id in ids}))


def _file_of_kemdy20(signal: str, path: Path) -> Piece:
    lines = read_lines(path)
    start = rate = math.nan
    intervals = signal == "IBI"
    if lines and not _is_reading(lines[0], intervals):
        start = _first_number(lines.pop(0))
        if not intervals and lines and not _is_reading(lines[0], intervals):
            rate = _first_number(lines.pop(0))
    codes, names = read_tags(lines, path, kemdy20_id)
    known_start = start if abs(start) <= _LATEST else None
    if intervals:
        offsets, values = read_cells(lines, 2)
        usual = values[(values > 0) & (values < 3)]
        length = float(np.median(usual)) if len(usual) else 0.0
        piece = Piece(values, offsets, codes, names, length, None, known_start)
        return piece.part(np.abs(offsets) <= _LONGEST)
    rate = rate if _SLOWEST_HZ <= rate <= _FASTEST_HZ else _RATE_HZ
    times = np.arange(len(lines)) / rate
    return Piece(read_cells(lines, 1)[0], times, codes, names, 1 / rate, rate, known_start)


def _is_reading(line: str, intervals: bool) -> bool:
    """Say whether a line that should come before the readings is one.

    Behind a value stands a time, which is no number; behind an offset an interval, which is one.
    """
    _, _, second = line.partition(",")
    second = second.partition(",")[0]
    number = math.isfinite(parse_numbers([second])[0])
    return number if intervals else not number and any(map(str.isdigit, second))


def _first_number(line: str) -> float:
    return float(parse_numbers([line.partition(",")[0]])[0])


def _starts(pieces: Mapping[str, Piece]) -> dict[str, float]:
    """Return the start of every file that can be laid on the common clock."""
    starts = {name: piece.start for name, piece in pieces.items() if piece.start is not None}
    waiting = [name for name in pieces if name not in starts and len(pieces[name].times)]
    if waiting and not any(len(pieces[name].times) for name in starts):
        first = max(waiting, key=lambda name: bool(pieces[name].spans))
        starts = {first: 0.0}
        waiting.remove(first)
    for _ in range(len(waiting)):
        for name in [name for name in waiting if name not in starts]:
            lags = [
                starts[other] + pieces[other].spans[utterance].first - span.first
                for utterance, span in pieces[name].spans.items()
                for other in [o for o in pieces if o in starts and utterance in pieces[o].spans][:1]
            ]
            if lags:
                starts[name] = float(np.median(lags))
    return starts


# ---- KEMDy19 -------------------------------------------------------------------------


def kemdy19_recording(files: Mapping[str, str], ids: Collection[str]) -> SignalRecording:
    """Return what the ECG, EDA and TEMP files of one person and session hold.

    A time that goes back by over a second begins a new piece, such as the next script. It is laid
    an hour behind the one before, in all signals alike: pieces belong together that name the same
    utterances, or else by their order. A piece for which neither tells lies behind all others.
    Readings without a time are left out.

    Parameters
    ----------
    files
        Signal to file; others than in ``SIGNALS_OF_KEMDY19`` are passed over.
    ids
        Utterances whose spans are wanted, with or without the rated person behind them.
    """
    pieces = {n: _pieces(_file_of_kemdy19(n, Path(files[n]))) for n in SIGNALS_OF_KEMDY19
              if n in files}  # fmt: skip
    shifts = _shifts(pieces)
    placed = {n: list(zip(own, shifts[n], strict=True)) for n, own in pieces.items()}
    spans = spans_of(placed.values(), {id: "_".join(id.split("_")[:3]) for id in ids})
    return SignalRecording({name: trace_of(name, own) for name, own in placed.items()}, spans)


def _file_of_kemdy19(signal: str, path: Path) -> Piece:
    lines = read_lines(path)
    first, second = read_cells(lines, 2)
    times, values = (first, second) if signal == "ECG" else (second, first)
    codes, names = read_tags(lines, path, kemdy19_id)
    piece = Piece(values, times, codes, names).part(np.abs(times) <= _LONGEST)
    piece = piece.part(~_glitches(piece.times))
    steps = np.diff(piece.times)
    length = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    return Piece(piece.values, piece.times, piece.codes, names, min(length, 1.0))


def _glitches(times: Floats) -> NDArray[np.bool_]:
    """Return which readings are a few whose times are off, after which the old ones go on."""
    wrong = np.zeros(len(times), bool)
    cuts = (np.flatnonzero(np.abs(np.diff(times)) > _JUMP_BACK) + 1).tolist()
    last = float(times[cuts[0] - 1]) if cuts else 0.0
    for place, (begin, end) in enumerate(pairwise(cuts)):
        back = [float(times[c]) for c in cuts[place + 1 : place + 1 + _GLITCH_ROWS]]
        near = [t for t in back if 0 <= t - last <= _GLITCH_SECONDS]
        own = times[begin:end]
        if end - begin <= _GLITCH_ROWS and near and not last <= own[0] <= own[-1] <= near[0]:
            wrong[begin:end] = True
        else:
            last = float(own[-1])
    return wrong


def _pieces(whole: Piece) -> list[Piece]:
    cuts = np.flatnonzero(np.diff(whole.times) < -_JUMP_BACK) + 1
    bounds = [0, *cuts.tolist(), len(whole.times)]
    return [whole.part(slice(*edges)) for edges in pairwise(bounds) if edges[0] < edges[1]]


def _shifts(pieces: Mapping[str, Sequence[Piece]]) -> dict[str, list[float]]:
    """Return per signal what to add to the times of each piece."""
    if not pieces:
        return {}
    main = max(pieces, key=lambda name: sum(len(piece.spans) for piece in pieces[name]))
    together: dict[tuple[str, int], list[tuple[str, int, float]]] = {}
    for name in (main, *(name for name in pieces if name != main)):
        for number, (place, lag) in enumerate(_matched(pieces[main], pieces[name])):
            group = (name, number) if place is None else (main, place)
            together.setdefault(group, []).append((name, number, lag))
    shifts = {name: [0.0] * len(own) for name, own in pieces.items()}
    behind: float | None = None
    for members in together.values():
        first = min(float(pieces[name][n].times.min()) + lag for name, n, lag in members)
        last = max(float(pieces[name][n].times.max()) + lag for name, n, lag in members)
        shift = 0.0 if behind is None else math.ceil(behind + _APART - first)
        behind = last + shift
        for name, number, lag in members:
            shifts[name][number] = lag + shift
    return shifts


def _matched(main: Sequence[Piece], own: Sequence[Piece]) -> list[tuple[int | None, float]]:
    """Return for each own piece the place of the one it belongs to, and its clock's lag."""
    if own is main:
        return [(place, 0.0) for place in range(len(own))]
    owners: dict[str, int] = {}
    for place, piece in enumerate(main):
        for name, span in piece.spans.items():
            if name not in owners or span.readings > main[owners[name]].spans[name].readings:
                owners[name] = place
    found: list[tuple[int | None, float]] = []
    for piece in own:
        votes = Counter(owners[name] for name in piece.spans if name in owners)
        if not votes:
            found.append((None, 0.0))
            continue
        place = votes.most_common(1)[0][0]
        begins = main[place].spans
        lags = [begins[n].first - span.first for n, span in piece.spans.items() if n in begins]
        lag = float(np.median(lags))
        found.append((place, 0.0 if abs(lag) <= _SAME_CLOCK else lag))
    known = [-1, *(n for n, (match, _) in enumerate(found) if match is not None), len(own)]
    for before, after in pairwise(known):
        low = found[before][0] if before >= 0 else -1
        high = found[after][0] if after < len(own) else len(main)
        if low is not None and high is not None and high - low == after - before:  # by order
            found[before + 1 : after] = [(place, 0.0) for place in range(low + 1, high)]
    return found
