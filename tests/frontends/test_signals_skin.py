from __future__ import annotations

import numpy as np
import pytest

from emoflow.frontends.signals import SKIN_BANDS, SignalOptions, SignalTrace, signal_features
from tests.frontends.signal_waves import CLOCK, eda, known, trace, value

END = CLOCK + 59.75
BANDS = [f"eda.log_power_{low:g}_{high:g}" for low, high in SKIN_BANDS]


@pytest.mark.parametrize("slope", [0.0, 0.6, -0.6])
@pytest.mark.parametrize("rate", [2.0, 4.0, 8.0, 32.0, 128.0])
def test_planted_responses_are_counted_and_measured(slope: float, rate: float) -> None:
    wave = eda(60, (12.0, 30.0, 46.0), 0.3, 2.0, slope, rate)
    found = signal_features({"EDA": trace(wave, rate)}, END - 2, CLOCK + 60)
    assert value(found, "eda.scr_count") == 3
    assert value(found, "eda.scr_rate") == pytest.approx(3, rel=0.02)
    assert value(found, "eda.scr_amplitude") == pytest.approx(0.3, rel=0.1)
    # a tenth of half a cosine of 2 s is reached 0.41 s after its start
    assert value(found, "eda.scr_rise_time") == pytest.approx(1.59, abs=0.3)
    assert value(found, "eda.tonic_slope") == pytest.approx(slope, abs=0.05)
    level = 2.0 + slope / 2
    assert value(found, "eda.tonic_mean") == pytest.approx(level, abs=0.03)
    assert value(found, "eda.phasic_area") == pytest.approx(3 * 0.3 * (1 + 3), rel=0.15)


def test_responses_differ_in_height() -> None:
    wave = eda(60, (15.0,), 0.05) + eda(60, (40.0,), 0.4) - 2.0
    found = signal_features({"EDA": trace(wave, 4)}, END - 2, END)
    assert value(found, "eda.scr_count") == 2
    assert value(found, "eda.scr_amplitude") == pytest.approx((0.05 + 0.4) / 2, rel=0.1)
    found = signal_features({"EDA": trace(wave, 4)}, END - 2, END, SignalOptions(least_scr=0.1))
    assert value(found, "eda.scr_count") == 1


@pytest.mark.parametrize("slope", [0.0, 1.2, -1.2])
def test_a_line_is_all_tonic(slope: float) -> None:
    wave = eda(60, level=3.0, slope=slope)
    found = signal_features({"EDA": trace(wave, 4)}, END - 2, END)
    assert value(found, "eda.tonic_slope") == pytest.approx(slope, abs=1e-3)
    assert value(found, "eda.tonic_mean") == pytest.approx(3 + slope * 59.75 / 120, abs=1e-3)
    assert value(found, "eda.phasic_mean") == pytest.approx(0, abs=1e-3)
    assert value(found, "eda.scr_count") == 0
    assert "eda.scr_amplitude" not in known(found)


@pytest.mark.parametrize(
    ("hz", "band"), [(0.075, 0), (0.2, 1), (0.35, 2), (0.7, 3), (1.5, 4), (3.0, 5)]
)
@pytest.mark.parametrize("rate", [4.0, 16.0])
def test_a_tone_has_its_power_in_its_band(hz: float, band: int, rate: float) -> None:
    time = np.arange(round(60 * rate)) / rate
    wave = 2 + 0.01 * time + 0.1 * np.sin(2 * np.pi * hz * time)
    found = signal_features({"EDA": trace(wave, rate)}, END - 2, END + 1)
    if hz > rate / 2:
        assert BANDS[band] not in known(found)
        return
    assert 10 ** value(found, BANDS[band]) == pytest.approx(0.1**2 / 2, rel=0.1)
    for other in set(BANDS) & known(found) - {BANDS[band]}:
        assert value(found, other) < value(found, BANDS[band]) - 1


def test_nothing_is_told_of_what_lies_above_the_nyquist_frequency() -> None:
    random = np.random.default_rng(0)
    for rate, bands in ((1.0, 3), (2.0, 4), (4.0, 5), (10.0, 6)):
        wave = 2 + random.standard_normal(round(60 * rate)) / 10
        found = signal_features({"EDA": trace(wave, rate)}, END - 2, END + 1)
        assert known(found) & set(BANDS) == set(BANDS[:bands]), rate


def test_a_few_readings_may_be_missing() -> None:
    whole = trace(eda(60, (12.0, 30.0, 46.0)), 4)
    kept = np.random.default_rng(0).random(240) > 0.05
    part = SignalTrace(whole.values[kept], whole.times_s[kept], "µS", 4.0)
    found, all_of_it = (signal_features({"EDA": t}, END - 2, END) for t in (part, whole))
    assert known(found) == known(all_of_it)
    for name in ("eda.tonic_mean", "eda.scr_count", "eda.scr_amplitude"):
        assert value(found, name) == pytest.approx(value(all_of_it, name), rel=0.03)


def test_single_readings_that_jump_are_left_out() -> None:
    wave = eda(60, (12.0, 30.0, 46.0))
    expected = signal_features({"EDA": trace(wave, 4)}, END - 2, END)
    wave[[40, 100, 160]] += 20.0
    found = signal_features({"EDA": trace(wave, 4)}, END - 2, END)
    assert known(found) == known(expected)
    assert value(found, "eda.scr_count") == 3
    for name in ("eda.tonic_mean", "eda.scr_amplitude", "eda.log_power_0.1_0.25"):
        assert value(found, name) == pytest.approx(value(expected, name), rel=0.02)


@pytest.mark.parametrize(
    ("damage", "quality"),
    [
        (lambda w: w[:0], "empty"),
        (lambda w: w * np.nan, "no numbers"),
        (lambda w: 0 * w, "out of range"),
        (lambda w: -w, "out of range"),
        (lambda w: 0 * w + 1.5, "flat"),
        (lambda w: np.where(np.arange(240) % 3 == 0, 900.0, w), "noisy"),
        (lambda w: np.where(np.arange(240) % 4 == 0, 15.0, w), "noisy"),
        (lambda w: np.where(np.arange(240) > 180, np.nan, w), "gappy"),
        (lambda w: np.where(np.arange(240) > 180, w[180], w), "gappy"),
        (lambda w: w[:1], "flat"),
    ],
)
def test_what_cannot_be_used_is_unknown_and_says_why(damage, quality: str) -> None:
    wave = damage(eda(60, (12.0, 30.0, 46.0)))
    found = signal_features({"EDA": trace(wave, 4)}, END - 2, END)
    assert found.quality["EDA"] == quality
    assert not known(found)
    assert not found.values.any()


def test_a_short_recording_tells_only_what_it_can() -> None:
    wave = eda(12, slope=0.6)
    found = signal_features({"EDA": trace(wave, 4)}, CLOCK + 9, CLOCK + 12)
    assert found.quality["EDA"] == "short: 12 s"
    expected = {"eda.tonic_mean", "eda.tonic_slope", *BANDS[2:5]}
    assert known(found) == expected


def test_a_rate_that_tells_nothing_of_skin_is_refused() -> None:
    found = signal_features({"EDA": trace(eda(60, rate_hz=0.5), 0.5)}, END - 2, END)
    assert found.quality["EDA"] == "wrong rate"
    assert not known(found)
