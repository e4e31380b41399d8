"""Signals made of what they are to be found to hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emoflow.frontends.signals import SignalFeatures, SignalTrace

Floats = NDArray[np.float64]

CLOCK = 1_600_000_000.0
"""When the recordings start: seconds since 1970, as wristbands write it."""

_ECG = (  # seconds from the R peak, height in mV, width in seconds
    (-0.17, 0.12, 0.025),
    (-0.027, -0.12, 0.008),
    (0.0, 1.0, 0.010),
    (0.028, -0.2, 0.009),
    (0.26, 0.28, 0.05),
)
_PULSE = ((0.0, 100.0, 0.09), (0.3, 35.0, 0.1))


def trace(values: Floats, rate_hz: float, unit: str = "1") -> SignalTrace:
    values = np.asarray(values, np.float64)
    return SignalTrace(values, CLOCK + np.arange(len(values)) / rate_hz, unit, rate_hz)


def beats(intervals: Floats, first: float = 0.4) -> Floats:
    """Return beat times: a first one, and one after each interval."""
    return first + np.concatenate([[0.0], np.cumsum(intervals)])


def heart(seconds: float = 60.0, mean: float = 0.8, seed: int = 0) -> Floats:
    """Return intervals of a heart that breathes with 15 per minute and wanders a little."""
    random = np.random.default_rng(seed)
    count = int(seconds / mean)
    breath = 0.03 * np.sin(2 * np.pi * 0.25 * mean * np.arange(count))
    return mean + breath + random.normal(0, 0.015, count)


def ecg(at: Floats, seconds: float, rate_hz: float, noise: float = 0.02) -> Floats:
    """An electrocardiogram in mV with R peaks at these times, wandering and noisy."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 0.2 * np.sin(2 * np.pi * 0.2 * time)
    return wave + _pulses(time, at, _ECG) + _noise(len(time), noise)


def bvp(at: Floats, seconds: float, rate_hz: float = 64.0, noise: float = 1.0) -> Floats:
    """A blood volume pulse with systolic peaks at these times and a second wave behind each."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return _pulses(time, at, _PULSE) - 40 + _noise(len(time), noise)


def intervals(lengths: Floats) -> SignalTrace:
    return SignalTrace(np.asarray(lengths), CLOCK + beats(lengths)[1:], "s")


def eda(
    seconds: float,
    at: tuple[float, ...] = (),
    height: float = 0.3,
    level: float = 2.0,
    slope: float = 0.0,
    rate_hz: float = 4.0,
) -> Floats:
    """EDA in µS: a line (slope per minute), and responses with peaks of a height at some times.

    A response rises as half a cosine for 2 s and falls with a time constant of 3 s. Readings
    are a little noisy: a sensor whose readings are equal hangs.
    """
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    values = level + slope * time / 60 + _noise(len(time), 1e-4)
    for peak in at:
        since = time - peak
        rise = (1 + np.cos(np.pi * since / 2)) / 2 * ((since > -2) & (since <= 0))
        values = values + height * (rise + np.exp(-since.clip(min=0) / 3) * (since > 0))
    return values


def value(found: SignalFeatures, name: str) -> float:
    """Return a feature that has to be known."""
    place = found.names.index(name)
    assert found.known[place], f"{name} is unknown: {found.quality}"
    return float(found.values[place])


def known(found: SignalFeatures) -> set[str]:
    return {name for name, there in zip(found.names, found.known, strict=True) if there}


def _pulses(time: Floats, at: Floats, shape: tuple[tuple[float, float, float], ...]) -> Floats:
    values = np.zeros_like(time)
    for shift, height, width in shape:
        for beat in at:
            middle, reach = beat + shift, 5 * width
            part = slice(*np.searchsorted(time, (middle - reach, middle + reach)))
            values[part] += height * np.exp(-0.5 * ((time[part] - middle) / width) ** 2)
    return values


def _noise(count: int, size: float) -> Floats:
    return size * np.random.default_rng(7).standard_normal(count)
