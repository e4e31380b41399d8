"""Features of skin temperature."""

from __future__ import annotations

from collections.abc import Mapping

from emoflow.frontends.signals.cleaning import GOOD, Kind, even_readings, fitted_line
from emoflow.frontends.signals.measured import Measured
from emoflow.frontends.signals.options import Window
from emoflow.traces import SignalTrace

__all__ = ["TEMP", "temperature_features"]

TEMP = Kind(low=10.0, high=50.0, slowest_hz=0.1, stuck_seconds=20.0, steepest=2.0)


def temperature_features(signals: Mapping[str, SignalTrace], window: Window) -> Measured:
    """Return mean, variance, and the fitted line of skin temperature in °C."""
    if "TEMP" not in signals:
        return Measured({}, {}, {"TEMP": "absent"})
    stretch = even_readings(signals["TEMP"], window, TEMP)
    if stretch.quality != GOOD:
        return Measured({}, {}, {"TEMP": stretch.quality})
    there = ~stretch.missing
    values, times = stretch.values[there], stretch.times_s[there]
    found = {"temp.mean": float(values.mean())}
    if len(values) > 2:
        slope, middle, mean = fitted_line(times, values)
        begin = window.utterance_start - stretch.start_s
        found["temp.variance"] = values.var(ddof=1)
        found["temp.slope"] = 60 * slope
        found["temp.intercept"] = mean + slope * (begin - middle)
    return Measured(found, {"temperature": stretch.seconds}, {"TEMP": GOOD})
