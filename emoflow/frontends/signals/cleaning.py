"""Readings at even times, of signals in whatever state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.frontends.signals.options import Window
from emoflow.traces import SignalTrace

__all__ = ["GOOD", "Floats", "Kind", "Stretch", "even_readings", "fitted_line", "readings_within"]

Floats = NDArray[np.float64]

GOOD = "good"
_MOST_WRONG = 0.2
"""Share of readings out of range, and of missing ones, above which a stretch is not used."""
_SHORTEST_STEP = 0.1
"""Seconds; noise between readings that are closer is not told from a jump by its slope."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What readings of a signal can be."""

    low: float
    high: float
    slowest_hz: float
    stuck_seconds: float
    """Equal readings for so long are a sensor that hangs: they count as missing."""
    steepest: float = np.inf
    """Per second; a reading that is so far from both its neighbours is an artefact."""
    least_swing: float = 0.0
    """What varies no more than this is flat."""
    fastest_hz: float = 20_000.0


@dataclass(frozen=True)
class Stretch:
    """Readings at even times; none where they cannot be used, and ``quality`` says why."""

    quality: str
    """``good``, or what is wrong."""
    values: Floats = field(default_factory=lambda: np.empty(0))
    """(reading,) finite; gaps are bridged by straight lines."""
    missing: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    """(reading,) whether it is part of such a bridge, or of a sensor that hangs."""
    start_s: float = 0.0
    rate_hz: float = 1.0

    @property
    def seconds(self) -> float:
        """Seconds of signal, gaps left out."""
        return float(np.count_nonzero(~self.missing)) / self.rate_hz

    @property
    def times_s(self) -> Floats:
        """(reading,) seconds since the first one."""
        return np.arange(len(self.values)) / self.rate_hz


def even_readings(trace: SignalTrace, window: Window, kind: Kind) -> Stretch:
    """Return the readings inside a window at even times."""
    values, times = readings_within(trace, window)
    numbers = np.isfinite(values)
    usable = numbers & (values >= kind.low) & (values <= kind.high)
    if not usable.any():
        quality = "out of range" if numbers.any() else "no numbers" if len(values) else "empty"
        return Stretch(quality)
    wrong = np.count_nonzero(numbers & ~usable)
    values, times = values[usable], times[usable]
    smooth = ~_spikes(values, times, kind.steepest)
    wrong += np.count_nonzero(~smooth)
    if wrong > _MOST_WRONG * len(numbers):
        return Stretch("noisy")
    values, times = values[smooth], times[smooth]
    if values.max() - values.min() <= kind.least_swing:
        return Stretch("flat")

    start = float(times[0])
    times = times - start
    rate = _rate(trace.rate_hz, times)
    if not kind.slowest_hz <= rate <= kind.fastest_hz:
        return Stretch("wrong rate")
    count = float(times[-1]) * rate
    if not count < 5 * len(values):
        return Stretch("gappy")
    grid = np.arange(round(count) + 1) / rate
    after = np.searchsorted(times, grid).clip(1, len(times) - 1)
    nearest = np.minimum(np.abs(times[after] - grid), np.abs(times[after - 1] - grid))
    even = np.interp(grid, times, values)
    missing = (nearest > 0.75 / rate) | _stuck(even, round(kind.stuck_seconds * rate))

    behind = max(0.0, min(window.end, window.utterance_end) - start - float(times[-1])) * rate
    if np.count_nonzero(missing) + behind > _MOST_WRONG * (len(grid) + behind):
        return Stretch("gappy")
    return Stretch(GOOD, even, missing, start, rate)


def readings_within(trace: SignalTrace, window: Window) -> tuple[Floats, Floats]:
    """Return values and times of the readings inside a window, in order, one per moment."""
    values, times = _floats(trace.values), _floats(trace.times_s)
    count = min(len(values), len(times))
    values, times = values[:count], times[:count]
    inside = np.isfinite(times) & (times >= window.start) & (times <= window.end)
    values, times = values[inside], times[inside]
    if np.any(np.diff(times) <= 0):
        times, first = np.unique(times, return_index=True)
        values = values[first]
    return values, times


def fitted_line(times: Floats, values: Floats) -> tuple[float, float, float]:
    """Return slope, mean time and mean value of the line of least squares."""
    middle, mean = float(times.mean()), float(values.mean())
    away = times - middle
    return float(np.sum(away * (values - mean)) / np.sum(away**2)), middle, mean


def _floats(given: Any) -> Floats:
    """Return numbers along one axis; what is none becomes NaN."""
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.array([_float(value) for value in _listed(given)], np.float64)
    return array if array.ndim == 1 else np.empty(0)


def _listed(given: Any) -> Iterable[Any]:
    return given if isinstance(given, Iterable) else ()


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _rate(given: Any, times: Floats) -> float:
    rate = _float(given)
    if np.isfinite(rate) and rate > 0:
        return rate
    return 1 / float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _spikes(values: Floats, times: Floats, steepest: float) -> NDArray[np.bool_]:
    """Return which readings are far from both neighbours; at the ends from their only one."""
    steep = np.abs(np.diff(values)) > steepest * np.diff(times).clip(_SHORTEST_STEP)
    one = np.array([len(values) > 1])
    return np.asarray(np.concatenate([one, steep]) & np.concatenate([steep, one]), np.bool_)


def _stuck(values: Floats, longest: int) -> NDArray[np.bool_]:
    """Return which readings are one of more than ``longest`` equal ones in a row."""
    ends = np.flatnonzero(np.concatenate([np.diff(values) != 0, [True]])) + 1
    sizes = np.diff(ends, prepend=0)
    return np.repeat(sizes > max(longest, 1), sizes)
