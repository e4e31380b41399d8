"""Features of electrodermal activity (EDA), at any rate from 1 Hz: wristbands record 4 Hz."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg import solveh_banded
from scipy.signal import butter, find_peaks, sosfiltfilt

from emoflow.frontends.signals.cleaning import (
    GOOD,
    Floats,
    Kind,
    Stretch,
    even_readings,
    fitted_line,
)
from emoflow.frontends.signals.measured import Measured
from emoflow.frontends.signals.options import Window
from emoflow.frontends.signals.table import SKIN_BANDS
from emoflow.traces import SignalTrace

__all__ = ["EDA", "Response", "skin_features", "skin_responses", "tonic_part"]

EDA = Kind(low=0.01, high=100.0, slowest_hz=1.0, stuck_seconds=5.0, steepest=10.0, least_swing=1e-6)
_TONIC_HZ = 0.05
_SMOOTH_HZ = 1.0
_ASYMMETRY = 0.02
_LEAST = 8  # readings


class Response(NamedTuple):
    """A skin conductance response."""

    peak_s: float
    amplitude: float
    """µS above the trough before it."""
    rise_s: float
    """Seconds from a tenth of the amplitude to the peak."""


def skin_features(signals: Mapping[str, SignalTrace], window: Window, least_scr: float) -> Measured:
    """Return features of the slow part, the fast part, the responses, and the spectrum, in µS."""
    if "EDA" not in signals:
        return Measured({}, {}, {"EDA": "absent"})
    stretch = even_readings(signals["EDA"], window, EDA)
    if stretch.quality != GOOD:
        return Measured({}, {}, {"EDA": stretch.quality})
    found = _powers(stretch)
    values, rate = _slower(stretch)
    if len(values) >= _LEAST:
        tonic = tonic_part(values, rate)
        phasic = values - tonic
        responses = skin_responses(phasic, rate, least_scr)
        found |= {
            "eda.tonic_mean": tonic.mean(),
            "eda.tonic_slope": 60 * fitted_line(np.arange(len(tonic)) / rate, tonic)[0],
            "eda.phasic_mean": phasic.mean(),
            "eda.phasic_deviation": phasic.std(ddof=1),
            "eda.phasic_area": phasic.clip(min=0).sum() / rate,
            "eda.scr_count": len(responses),
            "eda.scr_rate": 60 * len(responses) / max(stretch.seconds, 1.0),
        }
        if responses:
            found["eda.scr_amplitude"] = float(np.mean([r.amplitude for r in responses]))
            found["eda.scr_rise_time"] = float(np.mean([r.rise_s for r in responses]))
    return Measured(found, {"skin": stretch.seconds}, {"EDA": GOOD})


def tonic_part(values: Floats, rate_hz: float) -> Floats:
    """Return the slow part (level) of EDA: a smooth line along its lower edge.

    Asymmetric least squares (Eilers and Boelens 2005): second differences are penalised so that
    half of a wave of 0.05 Hz passes, and readings above the line weigh 0.02 against 0.98 below.
    Straight lines pass as they are, up to both ends.
    """
    penalty = (2 * math.sin(math.pi * min(_TONIC_HZ / rate_hz, 0.5))) ** -4
    count = len(values)
    differences = np.zeros((3, count))  # D'D of the second differences, upper bands
    for place, weight in enumerate((1.0, -2.0, 1.0)):
        differences[2, place : count - 2 + place] += weight**2
    differences[1, 1] = differences[1, -1] = -2.0
    differences[1, 2:-1] = -4.0
    differences[0, 2:] = 1.0
    above = np.zeros(count, bool)
    line = values
    for _ in range(30):
        weights = np.where(above, _ASYMMETRY, 1 - _ASYMMETRY)
        bands = penalty * differences
        bands[2] += weights
        line = solveh_banded(bands, weights * values)
        if np.array_equal(above, values > line):
            break
        above = values > line
    return np.asarray(line, np.float64)


def skin_responses(phasic: Floats, rate_hz: float, least: float) -> list[Response]:
    """Return the responses in the fast part of EDA: rises of at least so many µS."""
    responses, before = [], 0
    for peak in find_peaks(phasic, prominence=least / 2)[0].tolist():
        trough = before + int(np.argmin(phasic[before:peak]))
        before = peak
        height = float(phasic[peak] - phasic[trough])
        if height >= least:
            tenth = phasic[trough] + height / 10
            low = peak - 1 - int(np.argmax(phasic[trough:peak][::-1] <= tenth))
            share = (tenth - phasic[low]) / (phasic[low + 1] - phasic[low])
            responses.append(Response(peak / rate_hz, height, (peak - low - share) / rate_hz))
    return responses


def _slower(stretch: Stretch) -> tuple[Floats, float]:
    """Return the readings at 4 to 8 Hz, where they are faster, and without what is over 1 Hz."""
    values, rate = stretch.values, stretch.rate_hz
    step = max(1, int(rate // 4))
    whole = len(values) // step * step
    values, rate = values[:whole].reshape(-1, step).mean(1), rate / step
    if rate > 2.5 * _SMOOTH_HZ and len(values) >= _LEAST:
        values = sosfiltfilt(_smoother(rate), values, padlen=min(len(values) - 1, round(4 * rate)))
    return np.asarray(values, np.float64), rate


@lru_cache(64)
def _smoother(rate_hz: float) -> Floats:
    return np.asarray(butter(2, _SMOOTH_HZ, fs=rate_hz, output="sos"), np.float64)


def _powers(stretch: Stretch) -> dict[str, float]:
    """Return the power per band that lies below the Nyquist frequency, log10 µS²."""
    values, rate = stretch.values, stretch.rate_hz
    if len(values) < _LEAST:
        return {}
    slope, middle, mean = fitted_line(stretch.times_s, values)
    values = values - mean - slope * (stretch.times_s - middle)
    taper = np.hanning(len(values) + 1)[:-1]
    power = np.abs(np.fft.rfft(values * taper)) ** 2 / (len(values) * np.sum(taper**2))
    power[1:] *= 2
    if len(values) % 2 == 0:
        power[-1] /= 2
    hz = np.fft.rfftfreq(len(values), 1 / rate)
    found = {}
    for low, high in SKIN_BANDS:
        if high <= rate / 2 * 1.02:
            total = float(power[(hz >= low) & (hz < high)].sum())
            if total > 0:
                found[f"eda.log_power_{low:g}_{high:g}"] = math.log10(total)
    return found
