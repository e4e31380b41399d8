"""Features of the intervals between heart beats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import lombscargle

from emoflow.frontends.signals.beats import BVP, ECG, bvp_peaks, ecg_peaks
from emoflow.frontends.signals.cleaning import (
    GOOD,
    Floats,
    even_readings,
    fitted_line,
    readings_within,
)
from emoflow.frontends.signals.measured import Measured, shortened
from emoflow.frontends.signals.options import Window
from emoflow.traces import SignalTrace

__all__ = [
    "HEART_SOURCES",
    "Intervals",
    "beat_intervals",
    "clean_intervals",
    "heart_features",
    "heart_intervals",
]

HEART_SOURCES = ("ECG", "IBI", "BVP")
"""What beats are told from, the surest first."""

_SHORTEST, _LONGEST = 0.3, 2.0  # seconds: 200 and 30 beats per minute
_LARGEST_JUMP = 0.25  # from the median of eleven intervals
_NEIGHBOURS = 11
_MOST_REJECTED = 0.3
_LEAST_COVERED = 0.5
_SAME_BEAT = 0.05  # seconds between one interval's end and the next one's start
_ENOUGH_SECONDS = 20.0
_LONGEST_GAP = 0.1  # seconds without readings inside an interval
_BANDS = {"heart.log_low_power": (0.04, 0.15), "heart.log_high_power": (0.15, 0.4)}  # Hz


class Intervals(NamedTuple):
    """Intervals between successive beats; there may be gaps."""

    ends_s: Floats
    """(interval,) time of the second beat."""
    seconds: Floats
    """(interval,) length."""

    @property
    def covered(self) -> float:
        """Seconds that they cover."""
        return float(self.seconds.sum())

    def keep(self, which: NDArray[np.bool_]) -> Intervals:
        """Return some of them."""
        return Intervals(self.ends_s[which], self.seconds[which])


def heart_features(
    signals: Mapping[str, SignalTrace], window: Window, sources: tuple[str, ...] = HEART_SOURCES
) -> tuple[Measured, str | None]:
    """Return heart rate and its variability, and of which signal they are."""
    intervals, quality, source = heart_intervals(signals, window, sources)
    if source is None:
        return Measured({}, {}, quality), None
    return Measured(_statistics(intervals), {"heart": intervals.covered}, quality), source


def heart_intervals(
    signals: Mapping[str, SignalTrace], window: Window, sources: tuple[str, ...] = HEART_SOURCES
) -> tuple[Intervals, dict[str, str], str | None]:
    """Return intervals between beats, the quality of each source, and which one they are of.

    The first of ``sources`` with 20 seconds of good intervals is taken, or else the one with most.
    """
    quality = {name: "not used" if name in signals else "absent" for name in HEART_SOURCES}
    longest, source = Intervals(np.empty(0), np.empty(0)), None
    for name in sources:
        if name not in signals:
            continue
        intervals, quality[name] = beat_intervals(name, signals[name], window)
        if quality[name] == GOOD:
            intervals, quality[name] = clean_intervals(intervals, window)
        if not quality[name].startswith(GOOD):
            continue
        if intervals.covered > longest.covered:
            longest, source = intervals, name
        if intervals.covered >= _ENOUGH_SECONDS:
            break
        quality[name] = shortened(quality[name], intervals.covered)
    return longest, quality, source


def beat_intervals(name: str, trace: SignalTrace, window: Window) -> tuple[Intervals, str]:
    """Return the intervals that a signal tells of, and what is wrong with it."""
    if name == "IBI":
        values, times = readings_within(trace, window)
        numbers = np.isfinite(values)
        quality = GOOD if numbers.any() else "no numbers" if len(values) else "empty"
        return Intervals(times, values).keep(numbers), quality
    stretch = even_readings(trace, window, ECG if name == "ECG" else BVP)
    if stretch.quality != GOOD:
        return Intervals(np.empty(0), np.empty(0)), stretch.quality
    find = ecg_peaks if name == "ECG" else bvp_peaks
    peaks = find(stretch.values, stretch.rate_hz)
    lost = np.concatenate([[0], np.cumsum(stretch.missing)])
    places = peaks.astype(np.intp).clip(0, len(stretch.values) - 1)
    whole = np.diff(lost[places]) <= _LONGEST_GAP * stretch.rate_hz
    times = peaks / stretch.rate_hz
    intervals = Intervals(stretch.start_s + times[1:], np.diff(times)).keep(whole)
    return intervals, GOOD if len(intervals.seconds) else "no beats"


def clean_intervals(intervals: Intervals, window: Window) -> tuple[Intervals, str]:
    """Return the intervals that a heart can have, and how good they are.

    An interval is rejected outside 0.3 to 2 s, and where it is more than a quarter away from the
    median of the eleven around it. Intervals of which over 30 % are rejected are noisy; those that
    cover less than half of their time are gappy. The quality begins with ``good`` where neither
    is so, and counts the rejected ones.
    """
    possible = (intervals.seconds >= _SHORTEST) & (intervals.seconds <= _LONGEST)
    kept = intervals.keep(possible)
    if len(kept.seconds):
        around = median_filter(kept.seconds, _NEIGHBOURS, mode="mirror")
        kept = kept.keep(np.abs(kept.seconds - around) <= _LARGEST_JUMP * around)
    total = len(intervals.seconds)
    rejected = total - len(kept.seconds)
    counted = f": {rejected} of {total} intervals rejected" if rejected else ""
    if rejected > _MOST_REJECTED * total:
        return kept, f"noisy{counted}"
    end = max(float(kept.ends_s[-1]), min(window.end, window.utterance_end))
    time = end - float(kept.ends_s[0] - kept.seconds[0])
    if not kept.covered >= _LEAST_COVERED * time:
        return kept, "gappy"
    return kept, f"{GOOD}{counted}"


def _statistics(intervals: Intervals) -> dict[str, float]:
    lengths = 1000 * intervals.seconds
    found = {"heart.rate": 60_000 / lengths.mean(), "heart.mean_ibi": lengths.mean()}
    if len(lengths) > 2:
        found["heart.sdnn"] = lengths.std(ddof=1)
        found |= _powers(intervals)
    begins = intervals.ends_s[1:] - intervals.seconds[1:]
    successive = np.abs(begins - intervals.ends_s[:-1]) <= _SAME_BEAT
    before, after = lengths[:-1][successive], lengths[1:][successive]
    if len(before) > 2:
        steps = after - before
        rmssd = math.sqrt(float(np.mean(steps**2)))
        large = int(np.count_nonzero(np.abs(steps) > 50))
        found |= {
            "heart.rmssd": rmssd,
            "heart.sdsd": steps.std(ddof=1),
            "heart.cvsd": rmssd / lengths.mean(),
            "heart.nn50": large,
            "heart.pnn50": 100 * large / len(steps),
            "heart.sd1": steps.std(ddof=1) / math.sqrt(2),
            "heart.sd2": (before + after).std(ddof=1) / math.sqrt(2),
        }
    return found


def _powers(intervals: Intervals) -> dict[str, float]:
    """Return the power of the intervals in the usual bands (Lomb-Scargle), log10 ms²."""
    times = intervals.ends_s - intervals.ends_s[0]
    lengths = 1000 * intervals.seconds
    slope, middle, mean = fitted_line(times, lengths)
    lengths = lengths - mean - slope * (times - middle)
    powers = {}
    for name, (low, high) in _BANDS.items():
        hz = np.linspace(low, high, max(8, math.ceil((high - low) * 4 * intervals.covered)))
        density = 2 * intervals.seconds.mean() * lombscargle(times, lengths, 2 * np.pi * hz)
        powers[name] = math.log10(max(float(np.trapezoid(density, hz)), 1e-9))
    return powers
