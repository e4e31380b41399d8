"""Sessions as an Empatica E4 wristband exports them: a folder with a csv file per signal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoflow.errors import CorpusError
from emoflow.traces import SignalTrace

__all__ = ["E4_UNITS", "parse_numbers", "read_e4_file", "read_e4_session"]

E4_UNITS: Mapping[str, str] = {
    "ACC": "g/64",
    "BVP": "1",
    "EDA": "µS",
    "HR": "1/min",
    "IBI": "s",
    "TEMP": "°C",
}
"""Signal to the unit of its readings; that of the blood volume pulse is the device's own."""

_SLOWEST_HZ, _FASTEST_HZ = 0.01, 10_000.0

Floats = NDArray[np.float64]


def read_e4_session(
    folder: str | Path, findings: Counter[str] | None = None
) -> Mapping[str, SignalTrace]:
    """Return the signals of a session by name, on one clock: seconds since 1970, UTC.

    Parameters
    ----------
    folder
        It holds some of ``ACC.csv``, ``BVP.csv``, ``EDA.csv``, ``HR.csv``, ``IBI.csv`` and
        ``TEMP.csv``. A file that is not there has no trace; one that holds nothing has an empty
        trace. Cells that are not finite numbers are NaN.
    findings
        Whatever is wrong is counted here, such as ``EDA: cell is not a number``.

    Raises
    ------
    CorpusError
        If the folder is missing, or none of these files is in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder", "name the folder of an E4 export")
    findings = Counter() if findings is None else findings
    files = {path.name.upper(): path for path in sorted(folder.iterdir()) if path.is_file()}
    paths = {name: files[f"{name}.CSV"] for name in E4_UNITS if f"{name}.CSV" in files}
    if not paths:
        names = ", ".join(f"{name}.csv" for name in E4_UNITS)
        raise CorpusError(f"{folder}: none of {names} is there", "unpack the E4 export, name it")
    for name in E4_UNITS:
        if name not in paths:
            findings[f"{name}: no file"] += 1
    return {name: read_e4_file(name, path, findings) for name, path in paths.items()}


def read_e4_file(name: str, path: str | Path, findings: Counter[str] | None = None) -> SignalTrace:
    """Return the readings of one file, in seconds since 1970, UTC.

    A file that cannot be read, or says no start or rate, gives an empty trace.

    Parameters
    ----------
    name
        The signal: one of :data:`E4_UNITS`, or another whose file is written alike: a line with
        the start, one with the rate in Hz, then a reading per line, of unit ``1``.
    path, findings
        The file, and what :func:`read_e4_session` counts in.
    """
    findings = Counter() if findings is None else findings
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", errors="replace")
    except (OSError, ValueError):
        findings[f"{name}: cannot be read"] += 1
        return _nothing(name)
    rows = [line.split(",") for line in text.splitlines() if line.strip()]
    start = _number(rows[0][0]) if rows else math.nan
    rate = _number(rows[1][0]) if len(rows) > 1 else math.nan
    if problem := _problem(name, rows, start, rate):
        findings[f"{name}: {problem}"] += 1
        return _nothing(name)
    cells = _cells(rows[1 if name == "IBI" else 2 :], {"ACC": 3, "IBI": 2}.get(name, 1))
    if broken := int(np.count_nonzero(np.isnan(cells))):
        findings[f"{name}: cell is not a number"] += broken
    unit = E4_UNITS.get(name, "1")
    if name == "IBI":
        return SignalTrace(cells[:, 1], start + cells[:, 0], unit)
    times = start + np.arange(len(cells)) / rate
    return SignalTrace(cells if name == "ACC" else cells[:, 0], times, unit, rate)


def parse_numbers(cells: Sequence[str]) -> Floats:
    """Return cells (row,) as numbers, NaN where there is no finite one."""
    try:
        numbers = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        numbers = np.fromiter(map(_number, cells), np.float64, len(cells))
    numbers[~np.isfinite(numbers)] = math.nan
    return numbers


def _problem(name: str, rows: list[list[str]], start: float, rate: float) -> str | None:
    if not rows:
        return "empty file"
    if not math.isfinite(start):
        return "no start time"
    if name != "IBI" and not _SLOWEST_HZ <= rate <= _FASTEST_HZ:
        return "no rate"
    return "no reading" if len(rows) == (1 if name == "IBI" else 2) else None


def _nothing(name: str) -> SignalTrace:
    values = np.empty((0, 3) if name == "ACC" else 0)
    return SignalTrace(values, np.empty(0), E4_UNITS.get(name, "1"))


def _cells(rows: list[list[str]], width: int) -> Floats:
    """Return (row, column) numbers, NaN where there is none."""
    columns = ([row[n] if n < len(row) else "" for row in rows] for n in range(width))
    return np.stack([parse_numbers(column) for column in columns], axis=1)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
