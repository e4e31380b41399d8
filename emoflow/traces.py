"""Signals of one person on one clock: what readers give and front ends take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SignalTrace"]


@dataclass(frozen=True, eq=False)
class SignalTrace:
    """Readings of a signal, and when they were taken."""

    values: NDArray[np.float64]
    """(reading,), or (reading, axis) of an accelerometer; NaN where there is no number."""
    times_s: NDArray[np.float64]
    """(reading,) seconds on a clock that all traces of a recording share; of an interval between
    two beats the time of the second beat."""
    unit: str
    rate_hz: float | None = None
    """Readings per second; ``None`` where they are irregular, or to be told from the times."""
