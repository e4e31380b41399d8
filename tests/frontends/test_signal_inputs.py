from __future__ import annotations

import numpy as np
import pytest

from emoflow.errors import ConfigError
from emoflow.frontends.signals import (
    SignalFeatureInput,
    SignalOptions,
    SignalReadings,
    SignalReadingsInput,
    SignalTrace,
    signal_features,
)
from emoflow.types import SignalFrontEnd
from tests.frontends.signal_waves import CLOCK, intervals, trace

RAMP = 32 + 0.01 * np.arange(400)  # 100 s at 4 Hz


def test_features_come_in_one_step() -> None:
    signals = {"TEMP": trace(RAMP, 4.0)}
    front_end = SignalFeatureInput(SignalOptions(seconds=30))
    values, known = front_end(signals, CLOCK + 80, CLOCK + 84)
    expected = signal_features(signals, CLOCK + 80, CLOCK + 84, SignalOptions(seconds=30))
    assert values.shape == known.shape == (1, front_end.width)
    np.testing.assert_array_equal(values[0], expected.values)
    assert front_end.names == expected.names
    assert isinstance(front_end, SignalFrontEnd)
    assert front_end.to_plain() != SignalFeatureInput().to_plain()


def test_readings_lie_on_an_even_grid_that_ends_with_the_utterance() -> None:
    signals = {"TEMP": trace(RAMP, 4.0), "IBI": intervals(np.full(120, 0.8))}
    values, known = SignalReadingsInput(SignalReadings(seconds=20))(signals, CLOCK + 50, CLOCK + 55)
    assert values.shape == (80, 3)
    assert known[:, 2].all()
    assert not known[:, 1].any()  # no EDA
    times = 55 - np.arange(80)[::-1] / 4
    np.testing.assert_allclose(values[:, 2], 32 + 0.04 * times, atol=1e-6)
    assert known[8:, 0].all()
    np.testing.assert_allclose(values[known[:, 0], 0], 0.8)
    assert values[~known].tolist() == [0.0] * int((~known).sum())


def test_readings_at_another_rate_are_interpolated() -> None:
    signals = {"TEMP": trace(RAMP, 4.0)}
    values, known = SignalReadingsInput(SignalReadings(rate_hz=16, seconds=10))(
        signals, CLOCK + 50, CLOCK + 52
    )
    assert known[:, 2].all()
    np.testing.assert_allclose(
        values[:, 2], 32 + 0.04 * (52 - np.arange(160)[::-1] / 16), atol=1e-6
    )


def test_the_future_is_not_looked_at() -> None:
    broken = RAMP.copy()
    broken[60 * 4 + 1 :] = 99
    pair = [
        SignalReadingsInput()({"TEMP": trace(values, 4.0)}, CLOCK + 55, CLOCK + 60)
        for values in (RAMP, broken)
    ]
    np.testing.assert_array_equal(pair[0][0], pair[1][0])


def test_gaps_and_what_lies_before_the_recording_are_unknown() -> None:
    values = RAMP.copy()
    values[200:220] = np.nan  # 50 to 55 s
    found, known = SignalReadingsInput()({"TEMP": trace(values, 4.0)}, CLOCK + 40, CLOCK + 58)
    times = 58 - np.arange(240)[::-1] / 4
    inside = (times >= 0) & ~((times > 50.2) & (times < 54.8))
    assert known[inside & ~((times > 49) & (times < 56)), 2].all()
    assert not known[(times < -0.5) | ((times > 51) & (times < 54)), 2].any()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("seed", range(20))
def test_damaged_signals_give_finite_numbers(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(0, 300))
    values = random.choice([np.nan, np.inf, -1e30, 0.0, 33.0, 5e-324], size)
    times = np.sort(random.normal(CLOCK + 30, 20, size))
    if seed % 3 == 0:
        random.shuffle(times)
    signals = {n: SignalTrace(values, times, "1", 4.0) for n in ("EDA", "TEMP", "ECG", "IBI")}
    for front_end in (SignalReadingsInput(), SignalFeatureInput()):
        found, known = front_end(signals, CLOCK + 30, CLOCK + 31)
        assert np.isfinite(found).all()
        assert found.shape == known.shape
        assert found.shape[1] == front_end.width


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="readings per second"):
        SignalReadings(rate_hz=0)
    with pytest.raises(ConfigError, match="a window of 0 seconds"):
        SignalReadings(seconds=0)
