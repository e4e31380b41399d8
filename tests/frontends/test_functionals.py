from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from emoflow.errors import ConfigError
from emoflow.frontends import FunctionalsConfig, SpeechFunctionals
from emoflow.frontends.masked import masked_quantiles, masked_slope, moments, run_sizes

RATE = 16_000
FUNCTIONALS = SpeechFunctionals()
INDEX = {name: number for number, name in enumerate(FUNCTIONALS.names)}


def measure(*waveforms: NDArray[np.float32] | Tensor) -> Tensor:
    tensors = [torch.as_tensor(w, dtype=torch.float32) for w in waveforms]
    samples = torch.tensor([len(t) for t in tensors])
    return FUNCTIONALS(torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), samples)


def value(statistics: Tensor, name: str) -> float:
    return float(statistics[INDEX[name]])


def hum(hz: float, seconds: float = 1.0, harmonics: int = 12) -> NDArray[np.float32]:
    """A voice-like tone, harmonics falling by 1/n."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * n * hz * time) / n for n in range(1, harmonics + 1))
    return (0.2 * np.asarray(tone)).astype(np.float32)


def babble(seconds: float = 1.3, seed: int = 0) -> NDArray[np.float32]:
    """Hums of several pitches, noise and pauses."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(5):
        parts.append(hum(random.uniform(90, 300), seconds / 8) * random.uniform(0.3, 1))
        parts.append(0.01 * random.standard_normal(round(seconds / 14 * RATE)))
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("hz", [75.0, 110.0, 187.3, 220.0, 331.0, 500.0])
def test_the_pitch_of_a_hum_is_its_fundamental(hz: float) -> None:
    (statistics,) = measure(hum(hz))
    semitone = 12 * np.log2(hz / 55)
    assert value(statistics, "voice.semitone.q50") == pytest.approx(semitone, abs=0.1)
    assert value(statistics, "voice.semitone.q05") == pytest.approx(semitone, abs=0.2)
    assert value(statistics, "voice.semitone.q95") == pytest.approx(semitone, abs=0.2)
    assert value(statistics, "rhythm.voiced_share") > 0.95


def test_the_pitch_of_a_glide_rises_at_its_pace() -> None:
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * 100 / np.log(2) * 2**time  # one octave per second, from 100 Hz
    (statistics,) = measure(0.2 * (np.sin(phase) + np.sin(2 * phase) / 2))
    assert value(statistics, "voice.semitone.slope.q50") == pytest.approx(0.12, rel=0.05)
    low, high = (value(statistics, f"voice.semitone.{q}") for q in ("q05", "q95"))
    assert high - low == pytest.approx(0.9 * 12 * (2 - 0.054), rel=0.05)


def test_harmonics_are_measured_in_nepers_below_the_first() -> None:
    (statistics,) = measure(hum(250.0))  # every harmonic on a bin of the spectrum
    assert value(statistics, "voice.h1_h2.q50") == pytest.approx(2 * np.log(2), abs=0.02)
    assert value(statistics, "voice.h1_h4.q50") == pytest.approx(2 * np.log(4), abs=0.02)


def test_noise_has_no_voice() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    (statistics,) = measure(noise)
    assert value(statistics, "rhythm.voiced_share") < 0.05
    assert value(measure(noise + 3 * hum(150.0))[0], "rhythm.voiced_share") > 0.9


def test_durations_are_those_of_what_was_put_together() -> None:
    hush = np.zeros(round(0.2 * RATE), np.float32)
    faint = 0.001 * np.random.default_rng(0).standard_normal(round(0.3 * RATE)).astype(np.float32)
    (statistics,) = measure(np.concatenate([hush, hum(150, 0.5), faint, hum(150, 0.4), hush]))
    seconds = np.exp(value(statistics, "rhythm.log_seconds"))
    assert seconds == pytest.approx(1.2, abs=0.04)  # silence at the ends does not count
    longest = np.exp(value(statistics, "rhythm.voiced_log_longest")) - 0.01
    assert longest == pytest.approx(0.5, abs=0.07)
    assert value(statistics, "rhythm.voiced_rate") == pytest.approx(2 / seconds, rel=1e-4)
    assert value(statistics, "rhythm.gap_share") == pytest.approx(0.3 / 1.2, abs=0.04)
    gap = np.exp(value(statistics, "rhythm.gap_log_mean")) - 0.01
    assert gap == pytest.approx(0.3, abs=0.04)


def test_level_centroid_flatness_and_crossings_agree_with_librosa() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE)
    speech = (noise + hum(130.0)).astype(np.float32)
    (statistics,) = measure(speech)
    c = FUNCTIONALS.config
    start = (c.window - c.spectral_window) // 2
    count = (len(speech) - c.window) // c.hop + 1
    inner = speech[start : start + (count - 1) * c.hop + c.spectral_window]
    frames = librosa.util.frame(inner, frame_length=c.spectral_window, hop_length=c.hop)
    level = 10 * np.log10((frames**2).mean(0))
    assert value(statistics, "spectral.level.mean") == pytest.approx(level.mean(), abs=1e-3)
    crossings = librosa.zero_crossings(frames, axis=0, pad=False, threshold=0).sum(0)
    crossings = np.log(crossings / (c.spectral_window - 1) + 0.005)
    assert value(statistics, "spectral.log_crossings.mean") == pytest.approx(
        crossings.mean(), abs=1e-4
    )
    window = np.hanning(c.spectral_window + 1)[:-1, None]
    magnitude = np.abs(np.fft.rfft(frames * window, c.n_fft, axis=0))
    centroid = librosa.feature.spectral_centroid(S=magnitude**2, sr=RATE, n_fft=c.n_fft)
    assert value(statistics, "spectral.log_centroid.q50") == pytest.approx(
        np.median(np.log(centroid)), abs=1e-3
    )
    rolloff = librosa.feature.spectral_rolloff(
        S=magnitude**2, sr=RATE, n_fft=c.n_fft, roll_percent=0.75
    )
    assert value(statistics, "spectral.log_rolloff75.mean") == pytest.approx(
        np.log(rolloff + 50).mean(), abs=1e-3
    )
    flatness = np.log(librosa.feature.spectral_flatness(S=magnitude))
    assert value(statistics, "spectral.flatness.mean") == pytest.approx(flatness.mean(), abs=1e-2)


def test_what_lies_behind_an_utterance_changes_nothing() -> None:
    first, second, third = babble(seed=1), babble(2.4, seed=2), hum(140, 0.03)
    alone = torch.cat([measure(w) for w in (first, second, third)])
    torch.testing.assert_close(measure(first, second, third), alone, atol=2e-5, rtol=1e-5)
    waveforms = torch.full((3, len(second) + 7_000), torch.nan)
    for row, waveform in zip(waveforms, (first, second, third), strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    samples = torch.tensor([len(first), len(second), len(third)])
    found = FUNCTIONALS(waveforms, samples)
    torch.testing.assert_close(found, alone, atol=2e-5, rtol=1e-5)
    assert torch.equal(found, FUNCTIONALS(waveforms, samples))


def test_nothing_at_all_gives_finite_statistics() -> None:
    waveforms = torch.full((4, 3_000), torch.nan)
    waveforms[1, 0], waveforms[2], waveforms[3] = 0.3, 0.0, 1.0
    found = FUNCTIONALS(waveforms, torch.tensor([0, 1, 3_000, 3_000]))
    assert found.shape == (4, len(FUNCTIONALS.names))
    assert found.isfinite().all()
    assert FUNCTIONALS(torch.zeros(1, 0), torch.tensor([0])).isfinite().all()


def test_loudness_is_in_the_level_only() -> None:
    speech = babble(seed=3)
    loud, soft = measure(speech, 0.5 * speech)
    moved = value(soft, "spectral.level.q95") - value(loud, "spectral.level.q95")
    assert moved == pytest.approx(-6.02, abs=0.02)
    for name in ("voice.semitone.mean", "rhythm.voiced_share", "rhythm.log_seconds"):
        assert value(soft, name) == pytest.approx(value(loud, name), abs=1e-3)


def test_it_stays_in_float32_and_out_of_checkpoints() -> None:
    module = SpeechFunctionals()
    assert not module.state_dict()
    assert not list(module.parameters())
    speech = torch.from_numpy(babble())[None]
    samples = torch.tensor([speech.shape[1]])
    expected = module(speech, samples)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(speech, samples), expected)
    assert torch.equal(module.bfloat16()(speech, samples), expected)


def test_names_are_unique_and_say_how_wide_it_is() -> None:
    assert len(set(FUNCTIONALS.names)) == FUNCTIONALS.width == 2319
    small = SpeechFunctionals(FunctionalsConfig(mels=10, cepstrum=4))
    found = small(torch.from_numpy(babble())[None], torch.tensor([8_000]))
    assert found.shape == (1, len(small.names))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lowest_pitch": 20.0}, "two periods"),
        ({"highest_pitch": 50.0}, "does not lie between"),
        ({"spectral_window": 600}, "does not fit"),
        ({"n_fft": 511}, "n_fft must be even"),
        ({"cepstrum": 26}, "below mels"),
        ({"hop": 0}, "must be positive"),
    ],
)
def test_a_config_that_cannot_be_is_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FunctionalsConfig(**wrong)  # type: ignore[arg-type]


def test_statistics_agree_with_numpy_and_scipy() -> None:
    random = np.random.default_rng(0)
    tracks, mask = random.normal(size=(3, 40, 5)), random.random((3, 40)) < 0.6
    shares = (0.05, 0.25, 0.5, 0.95)
    found = masked_quantiles(torch.from_numpy(tracks), torch.from_numpy(mask), shares)
    mean, log_deviation, skewness, log_kurtosis = moments(
        torch.from_numpy(tracks), torch.from_numpy(mask)
    )
    for row in range(3):
        real = tracks[row, mask[row]]
        np.testing.assert_allclose(found[row], np.quantile(real, shares, axis=0), atol=1e-12)
        np.testing.assert_allclose(mean[row], real.mean(0), atol=1e-12)
        np.testing.assert_allclose(log_deviation[row], np.log(real.std(0)), atol=1e-12)
        np.testing.assert_allclose(skewness[row], stats.skew(real), atol=1e-10)
        kurtosis = stats.kurtosis(real, fisher=False)
        np.testing.assert_allclose(log_kurtosis[row], np.log(kurtosis + 1), atol=1e-10)
    nothing = torch.zeros(3, 40, dtype=torch.bool)
    assert not masked_quantiles(torch.from_numpy(tracks), nothing, shares).any()


def test_slopes_are_those_of_fitted_lines_and_need_five_steps() -> None:
    tracks = np.random.default_rng(0).normal(size=(1, 12, 2))
    mask = torch.arange(12)[None] < 9
    slope, whole = masked_slope(torch.from_numpy(tracks), mask)
    assert whole[0].nonzero().flatten().tolist() == [2, 3, 4, 5, 6]
    for middle in range(2, 7):
        line = np.polyfit(np.arange(-2, 3), tracks[0, middle - 2 : middle + 3], 1)[0]
        np.testing.assert_allclose(slope[0, middle], line, atol=1e-12)


def test_run_sizes() -> None:
    on = torch.tensor([[1, 1, 0, 1, 0, 0, 1, 1, 1], [0] * 9, [1] * 9]).bool()
    sizes, count = run_sizes(on)
    assert [row[row > 0].tolist() for row in sizes] == [[2, 1, 3], [], [9]]
    assert count.tolist() == [3, 0, 1]
