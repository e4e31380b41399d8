"""Heart beats in an electrocardiogram and in a blood volume pulse."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from emoflow.frontends.signals.cleaning import Floats, Kind

__all__ = ["BVP", "ECG", "bvp_peaks", "ecg_peaks"]

ECG = Kind(low=-1e9, high=1e9, slowest_hz=50.0, stuck_seconds=1.0, least_swing=1e-6)
BVP = Kind(low=-1e9, high=1e9, slowest_hz=20.0, stuck_seconds=1.0, least_swing=1e-6)

_CLOSEST = 0.25  # seconds between two beats
_LEAST_SECONDS = 2.0


def ecg_peaks(values: Floats, rate_hz: float) -> Floats:
    """Return the places of the R peaks, in fractions of a reading; none in under 2 seconds.

    Two moving averages of the squared signal between 8 and 20 Hz (Elgendi 2013, fast QRS
    detection) find the beats, whichever way up the electrodes were; a parabola through the
    signal's extreme and its neighbours places them between readings.
    """
    if len(values) < _LEAST_SECONDS * rate_hz:
        return np.empty(0)
    sharp = _limited(_band_pass(values, rate_hz, 8.0, 20.0), rate_hz)
    blocks = _blocks(sharp**2, rate_hz, narrow=0.097, wide=0.611, offset=0.08)
    shape = _band_pass(values, rate_hz, 0.5, min(40.0, 0.45 * rate_hz))
    reach = round(0.05 * rate_hz)
    middles = [first + int(np.argmax(np.abs(sharp[first:last]))) for first, last in blocks]
    around = [shape[max(0, m - reach) : m + reach + 1] for m in middles]
    upright = not around or np.median([part.max() + part.min() for part in around]) >= 0
    shape = shape if upright else -shape
    peaks = [max(0, m - reach) + int(np.argmax(shape[max(0, m - reach) : m + reach + 1]))
             for m in middles]  # fmt: skip
    return _placed(shape, _apart(peaks, shape, rate_hz), rate_hz)


def bvp_peaks(values: Floats, rate_hz: float) -> Floats:
    """Return the places of the systolic peaks, in fractions of a reading; none in under 2 s.

    Two moving averages of the squared upper half of the signal between 0.5 and 8 Hz (Elgendi and
    others 2013, systolic peak detection) find them.
    """
    if len(values) < _LEAST_SECONDS * rate_hz:
        return np.empty(0)
    shape = _band_pass(values, rate_hz, 0.5, min(8.0, 0.45 * rate_hz))
    upper = _limited(shape, rate_hz).clip(min=0)
    blocks = _blocks(upper**2, rate_hz, narrow=0.111, wide=0.667, offset=0.02)
    peaks = [first + int(np.argmax(shape[first:last])) for first, last in blocks]
    return _placed(shape, _apart(peaks, shape, rate_hz), rate_hz)


def _band_pass(values: Floats, rate_hz: float, low: float, high: float) -> Floats:
    """Return the signal between two frequencies, scaled by its largest magnitude."""
    values = values - np.median(values)
    values = values / (np.abs(values).max() or 1.0)
    filters = _filters(low, high, rate_hz)
    padding = min(len(values) - 1, round(3 * rate_hz))
    return np.asarray(sosfiltfilt(filters, values, padlen=padding), np.float64)


@lru_cache(64)
def _filters(low: float, high: float, rate_hz: float) -> Floats:
    sections = butter(2, (low, high), btype="bandpass", fs=rate_hz, output="sos")
    return np.asarray(sections, np.float64)


def _limited(values: Floats, rate_hz: float) -> Floats:
    """Cut off what is over three times as large as a usual beat."""
    step = round(1.5 * rate_hz)
    whole = len(values) // step * step
    usual = float(np.median(np.abs(values[:whole]).reshape(-1, step).max(1)))
    return values.clip(-3 * usual, 3 * usual)


def _blocks(
    power: Floats, rate_hz: float, *, narrow: float, wide: float, offset: float
) -> list[tuple[int, int]]:
    """Return where the average over ``narrow`` seconds is above the one over ``wide``."""
    short = uniform_filter1d(power, max(1, round(narrow * rate_hz)), mode="nearest")
    long = uniform_filter1d(power, max(1, round(wide * rate_hz)), mode="nearest")
    above = np.concatenate([[False], short > long + offset * power.mean(), [False]])
    edges = np.flatnonzero(above[1:] != above[:-1]).tolist()
    least = narrow * rate_hz * 0.8
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def _apart(peaks: list[int], shape: Floats, rate_hz: float) -> NDArray[np.intp]:
    """Of peaks that are too close together keep the largest; leave out those at the ends."""
    kept: list[int] = []
    for peak in peaks:
        if not kept or peak - kept[-1] >= _CLOSEST * rate_hz:
            kept.append(peak)
        elif shape[peak] > shape[kept[-1]]:
            kept[-1] = peak
    edge = max(1.0, 0.1 * rate_hz)
    return np.array([p for p in kept if edge <= p < len(shape) - edge], np.intp)


def _placed(shape: Floats, peaks: NDArray[np.intp], rate_hz: float) -> Floats:
    """Return the tops of parabolas through the peaks and their neighbours."""
    before, top, after = shape[peaks - 1], shape[peaks], shape[peaks + 1]
    bend = before - 2 * top + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0)
    return np.asarray(peaks + shift.clip(-0.5, 0.5), np.float64)
