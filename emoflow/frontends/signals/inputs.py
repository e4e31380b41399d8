"""What a net reads of biosignals: the features of a window, or its readings at even times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.errors import ConfigError
from emoflow.frontends.signals.cleaning import GOOD, Floats, even_readings
from emoflow.frontends.signals.extract import NAMES, signal_features
from emoflow.frontends.signals.heart import HEART_SOURCES, heart_intervals
from emoflow.frontends.signals.options import SignalOptions, Window
from emoflow.frontends.signals.skin import EDA
from emoflow.frontends.signals.temperature import TEMP
from emoflow.traces import SignalTrace

__all__ = ["SignalFeatureInput", "SignalReadings", "SignalReadingsInput"]

_FEATURES_VERSION = 1
"""Raised whenever equal signals give other features."""
_READINGS_VERSION = 1
_LONGEST_BRIDGE = 3.0  # seconds between two beats that a line is drawn over
_CHANNELS = ("heart", "skin", "temperature")


@dataclass(frozen=True)
class SignalFeatureInput:
    """The features of an utterance's window, in one step."""

    options: SignalOptions = field(default_factory=SignalOptions)
    """Window and baseline."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, see ``FEATURES``."""
        return NAMES

    @property
    def width(self) -> int:
        """Number of features."""
        return len(NAMES)

    def __call__(
        self, signals: Mapping[str, SignalTrace], start: float, end: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return features (1, feature) and which of them are known."""
        found = signal_features(signals, start, end, self.options)
        return found.values[None], found.known[None]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data: equal data, equal numbers."""
        return {"features": asdict(self.options), "version": _FEATURES_VERSION}


@dataclass(frozen=True)
class SignalReadings:
    """How biosignals become a sequence of readings."""

    rate_hz: float = 4.0
    """Steps per second; wristbands measure skin at 4 Hz."""
    seconds: float = 60.0
    """Length of the window around the utterance; a longer utterance is taken as a whole."""
    past_only: bool = True
    """Whether the window ends with the utterance; else its middle is the utterance's."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.rate_hz <= 64:
            raise ConfigError(
                f"signals: {self.rate_hz:g} readings per second are not usable",
                "set rate_hz between 0.1 and 64; 4 is a wristband's own",
            )
        self.window(0.0, 0.0)

    def window(self, start: float, end: float) -> Window:
        """Return the window around an utterance."""
        return SignalOptions(self.seconds, self.past_only).window(start, end)


@dataclass(frozen=True)
class SignalReadingsInput:
    """Readings at even times: interval between beats (s), EDA (µS), skin temperature (°C).

    The interval between beats is that of the surest source (ECG, IBI, BVP), a line between
    beats. A step whose readings are missing, out of range or artefacts is unknown.
    """

    options: SignalReadings = field(default_factory=SignalReadings)
    """Rate and window."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return _CHANNELS

    @property
    def width(self) -> int:
        """Number of channels."""
        return len(_CHANNELS)

    def __call__(
        self, signals: Mapping[str, SignalTrace], start: float, end: float
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return readings (step, channel) and which of them are known."""
        window = self.options.window(float(start), float(end))
        rate = self.options.rate_hz
        count = max(1, round((window.end - window.start) * rate))
        times = window.end - np.arange(count)[::-1] / rate
        with np.errstate(all="ignore"):
            columns = [_heart(signals, window, times)]
            for name, kind in (("EDA", EDA), ("TEMP", TEMP)):
                if name not in signals:
                    columns.append((np.zeros(count), np.zeros(count, bool)))
                    continue
                stretch = even_readings(signals[name], window, kind)
                there = ~stretch.missing
                columns.append(
                    _at(times, stretch.start_s + stretch.times_s[there], stretch.values[there],
                        1.5 / min(stretch.rate_hz, rate))
                    if stretch.quality == GOOD
                    else (np.zeros(count), np.zeros(count, bool))
                )  # fmt: skip
        values, known = (np.stack(part, axis=1) for part in zip(*columns, strict=True))
        return np.where(known, values, 0.0), known

    def to_plain(self) -> dict[str, Any]:
        """Return plain data: equal data, equal numbers."""
        return {"readings": asdict(self.options), "version": _READINGS_VERSION}


def _heart(
    signals: Mapping[str, SignalTrace], window: Window, times: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    intervals, _, _ = heart_intervals(signals, window, HEART_SOURCES)
    return _at(times, intervals.ends_s, intervals.seconds, _LONGEST_BRIDGE)


def _at(
    times: Floats, measured_s: Floats, values: Floats, longest: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return values at ``times`` on lines between measurements at most ``longest`` apart."""
    if not len(measured_s):
        return np.zeros(len(times)), np.zeros(len(times), bool)
    after = np.searchsorted(measured_s, times).clip(1, max(len(measured_s) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(measured_s) - 1)
    first, last = measured_s[before], measured_s[after]
    slack = longest / 2
    known = (times >= first - slack) & (times <= last + slack) & (last - first <= longest)
    return np.interp(times, measured_s, values), known
