"""Signals of one person on one clock: what readers give and front ends take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["SignalRecording", "SignalTrace"]


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


@dataclass(frozen=True, eq=False)
class SignalRecording:
    """What was recorded of one person without a break, and when utterances were spoken."""

    traces: Mapping[str, SignalTrace] = field(default_factory=dict)
    """Signal to its trace, all on one clock."""
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Id of an utterance to its start and end on that clock, in seconds."""
