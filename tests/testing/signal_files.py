"""The demo corpus's signal files, read as simply as they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emoflow.traces import SignalTrace


def signal(path: Path) -> SignalTrace:
    """Read one signal file: what is no number is NaN, IBI has its times in the first column."""
    ibi = path.parent.parent.name == "IBI"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = rows[1:] if ibi else rows[2:]
    cells = [row[1] if ibi else row[0] for row in rows]
    values = np.array([np.nan if "nan" in cell else float(cell) for cell in cells])
    times = np.array([float(row[0]) for row in rows]) if ibi else np.arange(len(rows)) / 4
    return SignalTrace(values, times, "", None if ibi else 4.0)
