from __future__ import annotations

import numpy as np
import pytest

from emoflow.frontends.signals import SignalOptions, SignalTrace, signal_features
from emoflow.frontends.signals.beats import bvp_peaks, ecg_peaks
from tests.frontends.signal_waves import (
    CLOCK,
    Floats,
    beats,
    bvp,
    ecg,
    heart,
    intervals,
    known,
    trace,
    value,
)

END = CLOCK + 60.0


def statistics(lengths: Floats) -> dict[str, float]:
    """Return the usual formulas, written out."""
    ms = 1000 * lengths
    steps = ms[1:] - ms[:-1]
    sums = ms[1:] + ms[:-1]
    n, m = len(ms), len(steps)
    mean = sum(ms) / n
    step = sum(steps) / m
    rmssd = (sum(steps**2) / m) ** 0.5
    sdsd = (sum((steps - step) ** 2) / (m - 1)) ** 0.5
    return {
        "heart.rate": 60_000 / mean,
        "heart.mean_ibi": mean,
        "heart.sdnn": (sum((ms - mean) ** 2) / (n - 1)) ** 0.5,
        "heart.rmssd": rmssd,
        "heart.sdsd": sdsd,
        "heart.cvsd": rmssd / mean,
        "heart.nn50": sum(abs(steps) > 50),
        "heart.pnn50": 100 * sum(abs(steps) > 50) / m,
        "heart.sd1": sdsd / 2**0.5,
        "heart.sd2": (sum((sums - sum(sums) / m) ** 2) / (m - 1) / 2) ** 0.5,
    }


def test_two_alternating_intervals_have_the_variability_of_their_difference() -> None:
    lengths = np.tile([0.8, 0.86], 33)
    found = signal_features({"IBI": intervals(lengths)}, END - 2, END)
    assert value(found, "heart.rate") == pytest.approx(60 / 0.83, rel=1e-3)
    assert value(found, "heart.rmssd") == pytest.approx(60, abs=1e-6)
    assert value(found, "heart.pnn50") == 100
    assert value(found, "heart.nn50") == len(lengths) - 1
    assert value(found, "heart.sdnn") == pytest.approx(30 * (66 / 65) ** 0.5, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_every_statistic_of_given_intervals_is_exact(seed: int) -> None:
    lengths = heart(57, 0.7 + 0.1 * seed, seed)
    found = signal_features({"IBI": intervals(lengths)}, END - 2, END)
    for name, expected in statistics(lengths).items():
        assert value(found, name) == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize("rate", [100.0, 128.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize("mean", [0.5, 0.8, 1.2])
def test_r_peaks_lie_where_they_were_put(rate: float, mean: float) -> None:
    lengths = heart(58, mean)
    at = beats(lengths)
    found = ecg_peaks(ecg(at, 60, rate), rate) / rate
    assert len(found) == len(at)
    np.testing.assert_allclose(found, at, atol=0.01)
    features = signal_features({"ECG": trace(ecg(at, 60, rate), rate)}, END - 2, END)
    assert value(features, "heart.rate") == pytest.approx(60 / lengths.mean(), rel=1e-3)
    true = statistics(lengths)
    assert value(features, "heart.rmssd") == pytest.approx(true["heart.rmssd"], abs=3)
    assert value(features, "heart.sdnn") == pytest.approx(true["heart.sdnn"], abs=2)


@pytest.mark.parametrize("change", [lambda e: -e, lambda e: 1e-3 * e, lambda e: 700 * e + 2e4])
def test_unit_offset_and_polarity_of_an_ecg_do_not_matter(change) -> None:
    at = beats(heart(58))
    wave = ecg(at, 60, 250)
    np.testing.assert_allclose(ecg_peaks(change(wave), 250), ecg_peaks(wave, 250), atol=0.02)


@pytest.mark.parametrize("rate", [32.0, 64.0, 100.0])
@pytest.mark.parametrize("mean", [0.55, 0.8, 1.1])
def test_systolic_peaks_lie_where_they_were_put(rate: float, mean: float) -> None:
    lengths = heart(58, mean)
    at = beats(lengths)
    found = bvp_peaks(bvp(at, 60, rate), rate) / rate
    assert len(found) == len(at)
    np.testing.assert_allclose(found, at, atol=0.02)
    features = signal_features({"BVP": trace(bvp(at, 60, rate), rate)}, END - 2, END)
    assert value(features, "heart.rate") == pytest.approx(60 / lengths.mean(), rel=2e-3)
    assert value(features, "heart.rmssd") == pytest.approx(
        statistics(lengths)["heart.rmssd"], abs=4
    )


def test_impossible_intervals_are_rejected_and_counted() -> None:
    lengths = heart(54)
    damaged = np.concatenate([[0.5], lengths[:20], [1.6, 0.2, 0.45], lengths[20:], [1.4]])
    found = signal_features({"IBI": intervals(damaged)}, END, END)
    assert found.quality["IBI"] == f"good: 5 of {len(damaged)} intervals rejected"
    steps = 1000 * np.concatenate([np.diff(lengths[:20]), np.diff(lengths[20:])])
    assert value(found, "heart.mean_ibi") == pytest.approx(1000 * lengths.mean())
    assert value(found, "heart.rmssd") == pytest.approx(np.sqrt(np.mean(steps**2)))


def test_intervals_with_a_gap_between_them_are_not_compared() -> None:
    lengths = heart(57)
    ends = beats(lengths)[1:]
    keep = (ends < 20) | (ends > 30)
    signal = SignalTrace(lengths[keep], CLOCK + ends[keep], "s")
    found = signal_features({"IBI": signal}, END - 1, END)
    last = int(np.count_nonzero(ends < 20))
    behind = int(np.count_nonzero(ends <= 30))
    steps = 1000 * np.concatenate([np.diff(lengths[:last]), np.diff(lengths[behind:])])
    assert value(found, "heart.rmssd") == pytest.approx(np.sqrt(np.mean(steps**2)))


def test_noise_has_no_heart_beat() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 60 * 250))
    found = signal_features(
        {"ECG": trace(noise[0], 250), "BVP": trace(noise[1, : 60 * 64], 64)}, END - 2, END
    )
    assert not known(found)
    assert found.quality["ECG"].startswith("noisy")
    assert found.quality["BVP"].startswith("noisy")


def test_a_lost_electrode_leaves_a_gap_and_no_false_interval() -> None:
    lengths = heart(58)
    wave = ecg(beats(lengths), 60, 250)
    wave[20 * 250 : 26 * 250] = wave[20 * 250]
    found = signal_features({"ECG": trace(wave, 250)}, END - 2, END)
    true = statistics(lengths)
    assert value(found, "heart.rate") == pytest.approx(true["heart.rate"], rel=0.01)
    assert value(found, "heart.rmssd") == pytest.approx(true["heart.rmssd"], abs=5)
    wave[20 * 250 : 46 * 250] = np.nan
    found = signal_features({"ECG": trace(wave, 250)}, END - 2, END)
    assert found.quality["ECG"] == "gappy"
    assert not known(found)


@pytest.mark.parametrize(
    ("hz", "band"), [(0.1, "heart.log_low_power"), (0.25, "heart.log_high_power")]
)
def test_a_wave_in_the_intervals_has_its_power_in_its_band(hz: float, band: str) -> None:
    lengths, time = [], 0.0
    while time < 290:
        lengths.append(0.8 + 0.03 * np.sin(2 * np.pi * hz * time))
        time += lengths[-1]
    found = signal_features(
        {"IBI": intervals(np.array(lengths))},
        CLOCK + 298,
        CLOCK + 300,
        SignalOptions(seconds=300),
    )
    assert 10 ** value(found, band) == pytest.approx(30**2 / 2, rel=0.1)
    other = {"heart.log_low_power", "heart.log_high_power"} - {band}
    assert value(found, other.pop()) < value(found, band) - 1


def test_slow_bands_need_a_long_window() -> None:
    found = signal_features({"IBI": intervals(heart(57))}, END - 2, END)
    assert "heart.log_low_power" not in known(found)
    assert "heart.log_high_power" in known(found)


def test_the_best_source_tells_of_the_heart() -> None:
    slow, fast = heart(57, 1.0), heart(57, 0.6)
    signals = {"IBI": intervals(fast), "BVP": trace(bvp(beats(slow), 60), 64)}
    found = signal_features(signals, END - 2, END)
    assert value(found, "heart.rate") == pytest.approx(100, abs=1)
    assert found.quality == {
        "ECG": "absent",
        "IBI": "good",
        "BVP": "not used",
        "EDA": "absent",
        "TEMP": "absent",
    }
    few = intervals(fast)
    signals["IBI"] = SignalTrace(few.values[:10], few.times_s[:10], "s")
    found = signal_features(signals, END - 2, END)
    assert value(found, "heart.rate") == pytest.approx(60, abs=1)
    assert (found.quality["IBI"], found.quality["BVP"]) == ("gappy", "good")


def test_a_few_sure_beats_do_not_win_over_a_minute_of_them() -> None:
    slow, fast = heart(57, 1.0), heart(57, 0.6)
    late = intervals(fast)
    signals = {
        "IBI": SignalTrace(late.values[-20:], late.times_s[-20:], "s"),
        "BVP": trace(bvp(beats(slow), 60), 64),
    }
    found = signal_features(signals, END - 4, END - 2)
    assert value(found, "heart.rate") == pytest.approx(60, abs=1)
    assert (found.quality["IBI"], found.quality["BVP"]) == ("short: 12 s", "good")
    del signals["BVP"]
    found = signal_features(signals, END - 4, END - 2)
    assert known(found) == {"heart.rate", "heart.mean_ibi"}
    assert value(found, "heart.rate") == pytest.approx(100, abs=2)
    assert found.quality["IBI"] == "short: 12 s"


def test_what_was_rejected_is_counted_in_short_signals_too() -> None:
    lengths = np.concatenate([heart(20), [0.2], heart(10)])
    signal = intervals(lengths)
    end = float(signal.times_s[-1])
    found = signal_features({"IBI": signal}, end - 2, end)
    assert found.quality["IBI"] == f"short: 30 s, 1 of {len(lengths)} intervals rejected"
