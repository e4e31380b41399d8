from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.errors import ConfigError
from emoflow.frontends.logmel import LogMel, LogMelConfig

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RAVDESS = DATA / "ravdess_speech_16k"


def reference(wave: np.ndarray, c: LogMelConfig) -> tuple[np.ndarray, np.ndarray]:
    """librosa's log-mel and delta, each (frame, mel)."""
    power = librosa.feature.melspectrogram(
        y=wave, sr=c.sample_rate, n_fft=c.n_fft, hop_length=c.hop, win_length=c.window,
        n_mels=c.mels, fmin=c.low_hz, fmax=c.high_hz,
    )  # fmt: skip
    level = librosa.power_to_db(power, ref=np.max, top_db=c.top_db)
    return level.T, librosa.feature.delta(level, width=9).T


def synthetic(seed: int, samples: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 16_000
    pitch = 120 + 60 * np.sin(2 * np.pi * 1.5 * time)
    tone = sum(np.sin(2 * np.pi * np.cumsum(k * pitch) / 16_000) / k for k in range(1, 20))
    envelope = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)
    return (0.1 * tone * envelope + 1e-4 * rng.standard_normal(samples)).astype(np.float32)


def padded(waves: list[np.ndarray], filler: float = float("nan")) -> tuple[torch.Tensor, ...]:
    samples = torch.tensor([len(w) for w in waves])
    batch = torch.full((len(waves), int(samples.max()) + 700), filler)
    for row, wave in enumerate(waves):
        batch[row, : len(wave)] = torch.from_numpy(wave)
    return batch, samples


def compare(waves: list[np.ndarray], config: LogMelConfig) -> float:
    """Largest difference from librosa on real frames, padding full of NaN."""
    features, frames = LogMel(config)(*padded(waves))
    worst = 0.0
    for row, wave in enumerate(waves):
        if config.max_samples is not None:
            wave = wave[: config.max_samples]
        for channel, expected in enumerate(reference(wave, config)[: config.channels]):
            got = features[row, channel, : frames[row]].numpy()
            assert got.shape == expected.shape
            worst = max(worst, float(np.abs(got - expected).max()))
    return worst


def test_equals_librosa_within_a_hundredth_of_a_db() -> None:
    waves = [synthetic(i, n) for i, n in enumerate((4_096, 16_000, 16_384, 40_321, 99_999))]
    waves.append(np.random.default_rng(0).standard_normal(30_000).astype(np.float32))
    assert compare(waves, LogMelConfig()) <= 0.01


@pytest.mark.parametrize(
    "config",
    [
        LogMelConfig(n_fft=1024, window=640, hop=256, mels=64, low_hz=40, delta=False),
        LogMelConfig(n_fft=512, hop=160, mels=40, low_hz=0, high_hz=7600, top_db=60),
        LogMelConfig(max_frames=20),
    ],
)
def test_other_settings_equal_librosa(config: LogMelConfig) -> None:
    assert compare([synthetic(1, 30_000), synthetic(2, 17_000)], config) <= 0.01


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(4_096, 30_000), seed=st.integers(0, 99))
def test_any_length_equals_librosa(samples: int, seed: int) -> None:
    assert compare([synthetic(seed, samples)], LogMelConfig()) <= 0.01


@pytest.mark.skipif(not RAVDESS.exists(), reason="the real data is not beside the project")
def test_real_speech_equals_librosa() -> None:
    files = (
        sorted(RAVDESS.rglob("*.flac"))[::200]
        + sorted((DATA / "emotiontts_ko").rglob("*.flac"))[::60]
    )
    waves = [soundfile.read(file, dtype="float32", always_2d=True)[0][:, 0] for file in files]
    assert len(waves) > 8
    assert compare(waves, LogMelConfig()) <= 0.01


def test_shape_channels_and_zero_padding() -> None:
    features, frames = LogMel()(*padded([synthetic(0, 20_000), synthetic(1, 5_000)]))
    assert features.shape == (2, 2, 1 + 20_700 // 512, 128)
    assert frames.tolist() == [40, 10]
    assert features.dtype == torch.float32
    assert features[1, :, 10:].abs().max() == 0
    assert features[:, 0].min() >= -80
    assert features[:, 0].max() == 0
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_frames_of_long_and_absent_speech() -> None:
    frames = LogMel().frames(torch.tensor([0, 1, 511, 512, 16_000 * 60]))
    assert frames.tolist() == [0, 1, 1, 2, 512]
    config = LogMelConfig()
    assert config.max_seconds is not None
    assert 16.38 < config.max_seconds < 16.385


def test_silence_is_finite() -> None:
    features, _ = LogMel()(torch.zeros(2, 9_000), torch.tensor([9_000, 0]))
    assert features.abs().max() == 0


def test_utterances_too_short_for_librosas_delta_get_one_slope() -> None:
    wave = synthetic(3, 2_048)
    features, frames = LogMel()(*padded([wave, synthetic(4, 9_000)]))
    count = int(frames[0])
    assert count == 5
    level, slope = features[0, 0, :count].numpy(), features[0, 1, :count].numpy()
    fitted = np.polyfit(np.arange(count), level, 1)[0]
    np.testing.assert_allclose(slope, np.broadcast_to(fitted, slope.shape), atol=1e-3)
    alone, _ = LogMel()(*padded([wave[:300]]))
    assert alone[0, 1, 0].abs().max() == 0


def test_stays_in_float32_under_autocast_and_in_a_bfloat16_module() -> None:
    batch = padded([synthetic(5, 12_000)])
    expected, _ = LogMel()(*batch)
    with torch.autocast("cpu", torch.bfloat16):
        inside, _ = LogMel()(*batch)
    cast, _ = LogMel().to(torch.bfloat16)(*batch)
    assert torch.equal(inside, expected)
    assert torch.equal(cast, expected)
    assert not LogMel().state_dict()


def test_is_right_when_built_under_another_default() -> None:
    batch = padded([synthetic(5, 12_000)])
    torch.set_default_dtype(torch.bfloat16)
    try:
        front = LogMel()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(front(*batch)[0], LogMel()(*batch)[0])


def test_compiles_into_one_graph() -> None:
    batch = padded([synthetic(5, 12_000), synthetic(6, 6_000)], filler=0.0)
    front = LogMel()
    compiled = torch.compile(front, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*batch)[0], front(*batch)[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"high_hz": 9000.0}, "half the sampling rate"),
        ({"hop": 0}, "hop 0"),
        ({"n_fft": 511}, "n_fft must be even"),
        ({"window": 4096}, "window of 4096 samples does not fit"),
        ({"max_frames": 0}, "max_frames is 0"),
    ],
)
def test_unusable_settings_are_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LogMelConfig(**values)  # type: ignore[arg-type]
