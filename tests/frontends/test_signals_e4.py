"""Features of two real sessions of a wristband, which lie beside the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emoflow.data.e4 import read_e4_session
from emoflow.frontends.signals import FEATURES, SignalFeatures, SignalTrace, signal_features
from emoflow.frontends.signals.beats import bvp_peaks
from tests.frontends.signal_waves import known, value

SESSIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "e4_sessions"
pytestmark = pytest.mark.skipif(not SESSIONS.is_dir(), reason="no ../shared/data/e4_sessions")

Session = Mapping[str, SignalTrace]


@pytest.fixture(scope="module")
def msr2023() -> Session:
    return read_e4_session(SESSIONS / "msr2023")


@pytest.fixture(scope="module")
def flirt() -> Session:
    return read_e4_session(SESSIONS / "flirt" / "empatica")


def utterances(session: Session, signal: str) -> list[tuple[float, float]]:
    """Return an utterance of 3 s per minute of a signal."""
    times = session[signal].times_s
    return [(end - 3, end) for end in np.arange(times[0] + 3, times[-1], 60).tolist()]


def features(session: Session, signal: str, *given: str) -> list[SignalFeatures]:
    signals = {name: session[name] for name in given}
    return [signal_features(signals, *span) for span in utterances(session, signal)]


def share(found: list[SignalFeatures], name: str) -> float:
    return float(np.mean([name in known(f) for f in found]))


@pytest.mark.parametrize("session", ["msr2023", "flirt"])
def test_everything_is_in_its_range_or_unknown(
    session: str, request: pytest.FixtureRequest
) -> None:
    signals = request.getfixturevalue(session)
    for found in features(signals, "TEMP", *signals):
        assert np.isfinite(found.values).all()
        assert not found.values[~found.known].any()
        for feature, there, number in zip(FEATURES, found.known, found.values, strict=True):
            assert not there or feature.low <= number <= feature.high, feature.name


def test_skin_and_temperature_of_a_worn_wristband_are_known(msr2023: Session) -> None:
    found = features(msr2023, "EDA", "EDA", "TEMP")[1:]
    for feature in FEATURES:
        if feature.group != "heart" and feature.name != "eda.log_power_2_5":
            least = 0.5 if "scr_amplitude" in feature.name or "rise" in feature.name else 0.95
            assert share(found, feature.name) > least, feature.name
    session = np.median(msr2023["EDA"].values)
    level = np.median([value(f, "eda.tonic_mean") for f in found])
    assert level == pytest.approx(session, rel=0.1)


def test_the_heart_rate_agrees_with_the_devices_own(flirt: Session) -> None:
    device = flirt["HR"]
    apart = []
    for end in np.arange(device.times_s[0] + 60, device.times_s[-1], 20).tolist():
        found = signal_features({"IBI": flirt["IBI"]}, end - 3, end)
        if "heart.rate" in known(found):
            # the device's rate is an average over the ten seconds before
            inside = (device.times_s > end - 50) & (device.times_s <= end)
            apart.append(value(found, "heart.rate") - float(device.values[inside].mean()))
    assert len(apart) > 80
    assert abs(np.median(apart)) < 2
    assert np.median(np.abs(apart)) < 4


def test_pulses_are_the_beats_that_the_device_found_itself(msr2023: Session) -> None:
    """It typed all the time: the device is sure of a few hundred intervals in an hour."""
    pulse, device = msr2023["BVP"], msr2023["IBI"]
    rate, part = 64.0, 60 * 64
    peaks = np.concatenate([
        pulse.times_s[first] + bvp_peaks(pulse.values[first : first + part], rate) / rate
        for first in range(0, len(pulse.values) - part, part)
    ])  # fmt: skip

    def nearest(times: NDArray[np.float64]) -> NDArray[np.intp]:
        after = np.searchsorted(peaks, times).clip(1, len(peaks) - 1)
        return after - (times - peaks[after - 1] < peaks[after] - times)

    # the device places beats elsewhere on the wave
    behind = np.median(peaks[nearest(device.times_s)] - device.times_s)
    last = nearest(device.times_s + behind)
    first = nearest(device.times_s - device.values + behind)
    lengths = peaks[last] - peaks[first]
    same = (last - first == 1) & (np.abs(lengths - device.values) < 0.1)
    assert same.mean() > 0.7
    error = lengths[same] - device.values[same]
    assert abs(error.mean()) < 0.005
    assert np.median(np.abs(error)) < 1 / rate
