"""The features of biosignals: their names, units, ranges, and how much signal each needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FEATURES", "SIGNALS", "SKIN_BANDS", "SignalFeature"]

SIGNALS = ("ECG", "IBI", "BVP", "EDA", "TEMP")
"""What features are made of: electrocardiogram (any unit, any rate from 50 Hz), intervals between
beats in seconds, blood volume pulse (any unit, from 20 Hz), electrodermal activity in µS (from
1 Hz) and skin temperature in °C."""

Group = Literal["heart", "skin", "temperature"]


@dataclass(frozen=True, slots=True)
class SignalFeature:
    """One number about a stretch of signal."""

    name: str
    unit: str
    low: float
    """Least value that a living person has; below it the feature counts as unknown."""
    high: float
    """Largest value that a living person has."""
    least_seconds: float
    """Seconds of usable signal that it needs."""
    meaning: str

    @property
    def group(self) -> Group:
        """What it is about."""
        groups: dict[str, Group] = {"heart": "heart", "eda": "skin", "temp": "temperature"}
        return groups[self.name.split(".")[0]]


SKIN_BANDS = ((0.05, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 5.0))
"""Lower and upper edge in Hz of the bands of EDA's spectrum. A band that does not lie below the
Nyquist frequency as a whole is unknown: the last one at 4 Hz."""


def _band(low: float, high: float) -> SignalFeature:
    name = f"eda.log_power_{low:g}_{high:g}"
    meaning = f"power of EDA between {low:g} and {high:g} Hz, without its line"
    return SignalFeature(name, "log10 µS²", -14.0, 4.0, 2 / low, meaning)


_BEATS = "differences of successive intervals between beats"

FEATURES = (
    SignalFeature("heart.rate", "1/min", 30, 200, 5, "60 s over the mean interval"),
    SignalFeature("heart.mean_ibi", "ms", 300, 2000, 5, "mean interval between beats"),
    SignalFeature("heart.sdnn", "ms", 0, 500, 20, "deviation (n-1) of the intervals"),
    SignalFeature("heart.rmssd", "ms", 0, 500, 20, f"root mean square of {_BEATS}"),
    SignalFeature("heart.sdsd", "ms", 0, 500, 20, f"deviation (n-1) of {_BEATS}"),
    SignalFeature("heart.cvsd", "1", 0, 0.5, 20, "RMSSD over the mean interval"),
    SignalFeature("heart.nn50", "count", 0, 10_000, 20, f"{_BEATS} of over 50 ms"),
    SignalFeature("heart.pnn50", "%", 0, 100, 20, "their share"),
    SignalFeature("heart.sd1", "ms", 0, 400, 20, "width of the Poincaré plot"),
    SignalFeature("heart.sd2", "ms", 0, 700, 20, "length of the Poincaré plot"),
    SignalFeature(
        "heart.log_low_power", "log10 ms²", -3, 6, 120, "power of the intervals, 0.04-0.15 Hz"
    ),
    SignalFeature(
        "heart.log_high_power", "log10 ms²", -3, 6, 45, "power of the intervals, 0.15-0.4 Hz"
    ),
    SignalFeature("eda.tonic_mean", "µS", 0.01, 100, 5, "mean of the slow part"),
    SignalFeature("eda.tonic_slope", "µS/min", -60, 60, 10, "slope of a line through it"),
    SignalFeature("eda.phasic_mean", "µS", -10, 50, 20, "mean of what lies above the slow part"),
    SignalFeature("eda.phasic_deviation", "µS", 0, 50, 20, "deviation (n-1) of the same"),
    SignalFeature("eda.phasic_area", "µS s", 0, 50_000, 20, "area of its positive part"),
    SignalFeature("eda.scr_count", "count", 0, 2_000, 20, "skin conductance responses"),
    SignalFeature("eda.scr_rate", "1/min", 0, 40, 20, "responses per minute of usable signal"),
    SignalFeature("eda.scr_amplitude", "µS", 0, 50, 20, "mean height, from the trough before"),
    SignalFeature("eda.scr_rise_time", "s", 0, 10, 20, "mean time from a tenth of it to the peak"),
    *(_band(*edges) for edges in SKIN_BANDS),
    SignalFeature("temp.mean", "°C", 20, 43, 5, "mean"),
    SignalFeature("temp.variance", "°C²", 0, 25, 5, "variance (n-1)"),
    SignalFeature("temp.slope", "°C/min", -5, 5, 10, "slope of the line fitted to it"),
    SignalFeature("temp.intercept", "°C", 20, 43, 10, "the line's value as the utterance starts"),
)
"""Every feature, in the order in which :func:`signal_features` returns them."""
