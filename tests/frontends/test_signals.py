from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.errors import ConfigError
from emoflow.frontends.signals import (
    FEATURES,
    SIGNALS,
    SignalFeatures,
    SignalOptions,
    SignalTrace,
    signal_features,
)
from tests.frontends.signal_waves import (
    CLOCK,
    beats,
    bvp,
    ecg,
    eda,
    heart,
    intervals,
    known,
    trace,
    value,
)


def temperature(seconds: float, level: float = 33.0, slope: float = 0.1) -> SignalTrace:
    """A line; ``slope`` is in °C per minute."""
    time = np.arange(round(4 * seconds)) / 4
    return trace(level + slope * time / 60, 4, "°C")


def everything(seconds: float, seed: int = 0) -> dict[str, SignalTrace]:
    lengths = heart(seconds - 1, 0.8, seed)
    at = beats(lengths)
    random = np.random.default_rng(seed)
    peaks = tuple(np.arange(10, seconds - 5, 13).tolist())
    warmth = 33 + np.cumsum(random.normal(0, 0.005, round(4 * seconds)))
    return {
        "ECG": trace(ecg(at, seconds, 125.0), 125.0, "mV"),
        "IBI": intervals(lengths),
        "BVP": trace(bvp(at, seconds), 64.0),
        "EDA": trace(eda(seconds, peaks, slope=0.2), 4.0, "µS"),
        "TEMP": trace(warmth, 4.0, "°C"),
    }


def check(found: SignalFeatures) -> None:
    """Whatever comes out keeps the promises of the table."""
    assert found.names == tuple(feature.name for feature in FEATURES)
    assert found.values.shape == found.known.shape == (len(FEATURES),)
    assert np.isfinite(found.values).all()
    assert not found.values[~found.known].any()
    assert set(found.quality) == set(SIGNALS)
    for feature, there, number in zip(FEATURES, found.known, found.values, strict=True):
        assert not there or feature.low <= number <= feature.high, feature.name


def test_the_line_of_skin_temperature_is_exact() -> None:
    start, end = CLOCK + 100, CLOCK + 104
    found = signal_features({"TEMP": temperature(300, 32.0, -0.3)}, start, end)
    assert value(found, "temp.slope") == pytest.approx(-0.3, abs=1e-9)
    assert value(found, "temp.intercept") == pytest.approx(32 - 0.3 * 100 / 60, abs=1e-9)
    assert value(found, "temp.mean") == pytest.approx(32 - 0.3 * (44 + 104) / 2 / 60, abs=1e-9)
    steps = 0.3 / 60 * np.arange(241) / 4
    assert value(found, "temp.variance") == pytest.approx(steps.var(ddof=1), rel=1e-9)
    assert found.quality["TEMP"] == "good"


def test_the_line_is_fitted_to_readings_not_to_gaps() -> None:
    whole = temperature(60)
    kept = np.random.default_rng(0).random(240) > 0.1
    part = SignalTrace(whole.values[kept], whole.times_s[kept], "°C", 4.0)
    found = signal_features({"TEMP": part}, CLOCK + 50, CLOCK + 59)
    assert value(found, "temp.slope") == pytest.approx(0.1, abs=1e-6)
    assert value(found, "temp.intercept") == pytest.approx(33 + 0.1 * 50 / 60, abs=1e-6)


def test_a_room_is_no_skin() -> None:
    found = signal_features({"TEMP": temperature(60, 18.0)}, CLOCK + 55, CLOCK + 59)
    assert known(found) == {"temp.variance", "temp.slope"}


def test_everything_is_known_of_a_long_window() -> None:
    found = signal_features(everything(200), CLOCK + 195, CLOCK + 199, SignalOptions(seconds=180))
    check(found)
    assert {f.name for f in FEATURES} - known(found) == {"eda.log_power_2_5"}
    assert {word.split(":")[0] for word in found.quality.values()} == {"good", "not used"}


def test_without_signals_nothing_is_known() -> None:
    found = signal_features({}, 0, 1)
    check(found)
    assert not known(found)
    assert set(found.quality.values()) == {"absent"}


def until(signal: SignalTrace, end: float) -> SignalTrace:
    past = signal.times_s <= end
    return SignalTrace(signal.values[past], signal.times_s[past], signal.unit, signal.rate_hz)


@pytest.mark.parametrize("baseline", ["none", "past"])
def test_the_future_changes_nothing(baseline: Any) -> None:
    signals = everything(240)
    end = CLOCK + 180.0
    options = SignalOptions(baseline=baseline, baseline_seconds=120)
    before = signal_features(signals, end - 3, end, options)
    random = np.random.default_rng(0)
    for change in (lambda v: 0 * v, lambda v: v * np.nan, lambda v: random.normal(0, 1e6, len(v))):
        changed = {}
        for name, signal in signals.items():
            values = signal.values.copy()
            future = signal.times_s > end
            values[future] = change(values[future])
            changed[name] = SignalTrace(values, signal.times_s, signal.unit, signal.rate_hz)
        after = signal_features(changed, end - 3, end, options)
        np.testing.assert_array_equal(after.values, before.values)
        np.testing.assert_array_equal(after.known, before.known)
        assert after.quality == before.quality
    cut = {name: until(signal, end) for name, signal in signals.items()}
    after = signal_features(cut, end - 3, end, options)
    np.testing.assert_array_equal(after.values, before.values)
    assert len(known(before)) > 20


def test_a_rate_is_told_from_the_times() -> None:
    signals = everything(61)
    unsaid = {n: SignalTrace(s.values, s.times_s, s.unit) for n, s in signals.items()}
    expected = signal_features(signals, CLOCK + 58, CLOCK + 60)
    found = signal_features(unsaid, CLOCK + 58, CLOCK + 60)
    assert known(found) == known(expected)
    np.testing.assert_allclose(found.values, expected.values, rtol=0.01, atol=1e-3)


def test_a_centred_window_sees_both_sides() -> None:
    signals = {"TEMP": temperature(300, 32.0, 0.6)}
    start, end = CLOCK + 148, CLOCK + 152
    past = signal_features(signals, start, end)
    both = signal_features(signals, start, end, SignalOptions(past_only=False))
    assert value(past, "temp.mean") == pytest.approx(32 + 0.6 * (92 + 152) / 2 / 60, abs=1e-9)
    assert value(both, "temp.mean") == pytest.approx(32 + 0.6 * 150 / 60, abs=1e-9)
    last = signal_features(signals, CLOCK + 296, CLOCK + 299, SignalOptions(past_only=False))
    assert value(last, "temp.slope") == pytest.approx(0.6, abs=1e-9)


def test_a_long_utterance_is_taken_as_a_whole() -> None:
    signals = {"TEMP": temperature(300, 32.0, 0.6)}
    found = signal_features(signals, CLOCK + 100, CLOCK + 280)
    assert value(found, "temp.mean") == pytest.approx(32 + 0.6 * 190 / 60, abs=1e-9)
    assert value(found, "temp.intercept") == pytest.approx(33, abs=1e-9)


def test_the_baseline_is_the_mean_of_the_windows_before() -> None:
    signals = everything(400)
    start, end = CLOCK + 390.0, CLOCK + 394.0
    now = signal_features(signals, start, end)
    past = [signal_features(signals, start - 60 * n, end - 60 * n) for n in (1, 2, 3)]
    above = signal_features(
        signals, start, end, SignalOptions(baseline="past", baseline_seconds=180)
    )
    for name in known(above):
        expected = value(now, name) - np.mean([value(p, name) for p in past])
        assert value(above, name) == pytest.approx(expected, abs=1e-9), name
    assert known(above) == known(now)
    steady = {"TEMP": temperature(400, 32.0, 0.6)}
    above = signal_features(
        steady, start, end, SignalOptions(baseline="past", baseline_seconds=180)
    )
    assert value(above, "temp.mean") == pytest.approx(0.6 * 2, abs=1e-9)
    assert value(above, "temp.slope") == pytest.approx(0, abs=1e-9)


def test_without_a_past_there_is_no_baseline() -> None:
    options = SignalOptions(baseline="past")
    found = signal_features(everything(62), CLOCK + 59, CLOCK + 61, options)
    assert not known(found)
    assert found.quality["EDA"] == found.quality["TEMP"] == found.quality["ECG"] == "no baseline"


def test_a_baseline_may_lack_one_feature() -> None:
    signals = {"EDA": trace(eda(180, (140.0, 160.0)), 4.0, "µS")}
    found = signal_features(signals, CLOCK + 175, CLOCK + 179, SignalOptions(baseline="past"))
    assert found.quality["EDA"] == "good"
    assert value(found, "eda.scr_count") == 2
    assert "eda.scr_amplitude" not in known(found)


def test_readings_may_come_in_any_order_and_twice() -> None:
    signals = everything(61)
    expected = signal_features(signals, CLOCK + 58, CLOCK + 60)
    random = np.random.default_rng(0)
    mixed = {}
    for name, signal in signals.items():
        order = random.permutation(np.tile(np.arange(len(signal.values)), 2))
        mixed[name] = SignalTrace(
            signal.values[order], signal.times_s[order], signal.unit, signal.rate_hz
        )
    found = signal_features(mixed, CLOCK + 58, CLOCK + 60)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.known, expected.known)


@pytest.mark.parametrize(
    "values",
    [[], [None, "a"], "words", 3.0, None, [[1.0, 2.0]], [10**400, 1], [1j, 2j], [True, False]],
)
def test_what_is_no_list_of_numbers_is_unknown(values: Any) -> None:
    times = np.arange(2.0)
    found = signal_features(
        {name: SignalTrace(values, times, "", 4.0) for name in SIGNALS}, 0.0, 2.0
    )
    check(found)
    assert not known(found)


FLOATS = st.floats(width=64) | st.sampled_from(
    [0.0, 1.0, 1e308, -1e308, 5e-324, 1e-300, np.inf, -np.inf, np.nan, 33.0, 0.8, 2.0]
)


@settings(max_examples=200, deadline=None)
@given(
    signals=st.dictionaries(
        st.sampled_from(SIGNALS),
        st.builds(
            lambda values, times, rate: SignalTrace(np.array(values), np.array(times), "", rate),
            st.lists(FLOATS, max_size=60),
            st.lists(FLOATS, max_size=60) | st.just(np.arange(60.0) / 4),
            st.none() | FLOATS,
        ),
        max_size=5,
    ),
    start=FLOATS,
    end=FLOATS,
    options=st.builds(
        SignalOptions,
        seconds=st.sampled_from([1.0, 60.0, 600.0]),
        past_only=st.booleans(),
        baseline=st.sampled_from(["none", "past"]),
    ),
)
def test_any_floats_give_finite_features(
    signals: dict[str, SignalTrace], start: float, end: float, options: SignalOptions
) -> None:
    found = signal_features(signals, start, end, options)
    assert np.isfinite(found.values).all()
    assert not found.values[~found.known].any()
    if options.baseline == "none":
        check(found)


def damaged(random: np.random.Generator, signal: SignalTrace) -> SignalTrace:
    """Return the signal with one to three things wrong with it."""
    values, times, rate = signal.values.copy(), signal.times_s.copy(), signal.rate_hz
    for kind in random.integers(0, 10, random.integers(1, 4)):
        count = len(values)
        some = random.random(count) < random.random()
        odd = random.choice([np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308, 5e-324, 1e9, -5.0])
        first = int(random.integers(0, count + 1))

        if kind == 0:
            values[some] = odd
        elif kind == 1:
            times[some] = random.choice([np.nan, np.inf, -1e308, 1e308, CLOCK])
        elif kind == 2:
            values, times = values[:first], times[:first]
        elif kind == 3:
            values[first:] = values[first : first + 1].sum()
        elif kind == 4:
            values = values[random.permutation(count)]
        elif kind == 5:
            times = np.round(times, int(random.integers(0, 3)))
        elif kind == 6:
            values = values * random.choice([1e-300, 1e-9, -1.0, 1e6, 1e290])
        elif kind == 7:
            values, times = values[some], times[some]
        elif kind == 8:
            values = values + random.normal(0, 1, count) * 3
        else:
            rate = random.choice([np.nan, 0.0, -4.0, 1e-9, 1e12, 1.0, 4.0, 700.0])
    return SignalTrace(values, times, signal.unit, rate)


def test_thousands_of_damaged_signals() -> None:
    random = np.random.default_rng(1)
    signals = everything(20)
    survived = 0
    for _ in range(2_000):
        with np.errstate(all="ignore"):
            broken = {name: damaged(random, signal) for name, signal in signals.items()}
        end = CLOCK + random.uniform(-5, 30)
        found = signal_features(broken, end - random.uniform(0, 8), end)
        check(found)
        survived += len(known(found))
    assert survived > 2_000  # some damage leaves something to measure


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seconds": 0.0}, "window of 0 seconds"),
        ({"seconds": float("nan")}, "window of nan seconds"),
        ({"baseline": "future"}, "no baseline 'future'"),
        ({"baseline_seconds": -1.0}, "baseline of -1 seconds"),
        ({"least_scr": 0.0}, "responses of at least 0 µS"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SignalOptions(**wrong)


def test_the_table_is_sound() -> None:
    assert len({f.name for f in FEATURES}) == len(FEATURES)
    for feature in FEATURES:
        assert feature.low < feature.high
        assert feature.unit
        assert feature.meaning
        assert feature.group in ("heart", "skin", "temperature")


def test_signals_load_no_torch() -> None:
    code = "import sys, emoflow.frontends.signals; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
