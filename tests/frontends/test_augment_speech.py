from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import (
    AddNoise,
    Augmentation,
    FrequencyMask,
    Gain,
    SpeechAugment,
    SpeechAugmentation,
    SpeedPerturbation,
    TimeMask,
    Warp,
)
from emoflow.frontends.logmel import LogMel, LogMelConfig

EVERYTHING = SpeechAugmentation(
    speed=0.1, gain_db=6, noise_db=(5, 20), tempo=0.1, vocal_tract=0.1, mask_mels=(8, 27),
    mask_frames=10, masks=2,
)  # fmt: skip


def speech(*samples: int, filler: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    counts = torch.tensor(samples)
    time = torch.arange(int(counts.max()) + 100) / 16_000
    waves = 0.3 * torch.sin(2 * np.pi * 200 * time) + 0.01 * torch.randn(len(samples), len(time))
    waves[torch.arange(len(time)) >= counts[:, None]] = filler
    return waves, counts


def features() -> tuple[torch.Tensor, torch.Tensor]:
    values, frames = LogMel()(*speech(16_000, 9_000))
    return values.contiguous(), frames


def test_nothing_changes_in_eval_mode() -> None:
    augment = SpeechAugment(EVERYTHING, LogMelConfig()).eval()
    waves, samples = speech(8_000, 5_000)
    assert torch.equal(augment.on_waveforms(waves, samples)[0], waves)
    values, frames = features()
    assert torch.equal(augment.on_features(values, frames)[0], values)


def test_everything_is_marked_as_augmentation_and_off_by_default() -> None:
    augment = SpeechAugment(EVERYTHING, LogMelConfig())
    steps = [m for m in augment.modules() if not isinstance(m, nn.ModuleList)]
    assert len(steps) == 9
    assert all(isinstance(m, Augmentation) for m in steps)
    assert augment.active
    assert not SpeechAugment(SpeechAugmentation(), LogMelConfig()).active


def test_frequency_mask_replaces_one_band_of_real_frames_by_noise_in_range() -> None:
    values, frames = features()
    torch.manual_seed(1)
    masked, _ = FrequencyMask(8, 27).train()(values, frames)
    for row in range(2):
        real = int(frames[row])
        changed = (masked[row] != values[row]).any(0).any(0)
        width = int(changed.sum())
        first = int(changed.nonzero()[0])
        assert 8 <= width <= 27
        assert changed[first : first + width].all()
        assert torch.equal(masked[row, :, real:], values[row, :, real:])
        for channel in range(2):
            inside = values[row, channel, :real]
            band = masked[row, channel, :real, first : first + width]
            assert inside.min() <= band.min()
            assert band.max() <= inside.max()
            assert band.std() > 0


def test_frequency_mask_widths_cover_the_published_range() -> None:
    torch.manual_seed(0)
    values = torch.randn(400, 1, 3, 128)
    masked, _ = FrequencyMask(8, 27).train()(values, torch.full((400,), 3))
    widths = (masked != values)[:, 0, 0].sum(1)
    assert set(widths.tolist()) == set(range(8, 28))


def test_floor_fill_is_the_lowest_value() -> None:
    values, frames = features()
    masked, _ = FrequencyMask(20, 20, fill="floor").train()(values, frames)
    changed = masked != values
    assert torch.all(masked[0, 0][changed[0, 0]] == values[0, 0, : frames[0]].min())


def test_time_mask_is_short_and_stays_on_real_frames() -> None:
    values, frames = features()
    for seed in range(20):
        torch.manual_seed(seed)
        masked, _ = TimeMask(10, share=0.2).train()(values, frames)
        changed = (masked != values).any(3).any(1)
        assert (changed.sum(1) <= frames * 0.2 + 1).all()
        assert (changed.sum(1) <= 10).all()
        assert not changed[1, frames[1] :].any()


def test_gain_stays_within_its_range() -> None:
    waves, samples = speech(4_000, 4_000, 4_000)
    changed, _ = Gain(6.0).train()(waves, samples)
    ratio = changed.abs().amax(1) / waves.abs().amax(1)
    assert (20 * ratio.log10()).abs().max() <= 6.001
    assert len(set(ratio.tolist())) == 3


@pytest.mark.parametrize("db", [0.0, 20.0])
def test_noise_has_the_asked_ratio_on_real_samples(db: float) -> None:
    waves, samples = speech(16_000, 7_000, filler=float("nan"))
    noisy, _ = AddNoise(db, db).train()(waves, samples)
    for row, count in enumerate(samples):
        clean = waves[row, :count]
        noise = noisy[row, :count] - clean
        ratio = 10 * torch.log10(clean.square().sum() / noise.square().sum())
        assert ratio == pytest.approx(db, abs=0.05)
        assert noisy[row, count:].abs().max() == 0


def test_noise_reaches_the_asked_share() -> None:
    waves = torch.randn(500, 64)
    noisy, _ = AddNoise(10, 10, share=0.3).train()(waves, torch.full((500,), 64))
    share = (noisy != waves).any(1).float().mean()
    assert 0.2 < share < 0.4


def test_speed_changes_length_and_pitch_together() -> None:
    torch.manual_seed(3)
    waves, samples = speech(16_000, 16_000, 8_000, filler=float("nan"))
    faster, counts = SpeedPerturbation(0.2).train()(waves, samples)
    factor = samples / counts
    assert (factor > 0.79).all()
    assert (factor < 1.21).all()
    assert faster.isfinite().all()
    for row, count in enumerate(counts):
        spectrum = torch.fft.rfft(faster[row, :count]).abs()
        hz = float(spectrum.argmax()) * 16_000 / int(count)
        assert hz == pytest.approx(200 * float(factor[row]), rel=0.02)


def test_warp_moves_a_band_and_the_length() -> None:
    config = LogMelConfig(delta=False)
    values = torch.full((40, 1, 60, 128), -80.0)
    values[..., 64] = 0
    frames = torch.full((40,), 60)
    torch.manual_seed(0)
    warped, counts = Warp(config, 0.1, 0.2).train()(values, frames)
    assert (counts >= 60 * np.exp(-0.2) - 1).all()
    assert (counts <= 60 * np.exp(0.2) + 1).all()
    peak = warped[:, 0, 5].argmax(1)
    assert peak.min() < 62
    assert peak.max() > 66
    still, same = Warp(config, 0.0, 0.0).train()(values, frames)
    assert same.tolist() == frames.tolist()
    torch.testing.assert_close(still, values, atol=1e-2, rtol=0)


def test_the_whole_chain_ignores_padding_and_absent_speech() -> None:
    augment = SpeechAugment(EVERYTHING, LogMelConfig()).train()
    waves, samples = speech(9_000, 6_000, filler=float("nan"))
    samples = torch.cat((samples, torch.tensor([0])))
    waves = torch.cat((waves, torch.full_like(waves[:1], float("nan"))))
    waves, samples = augment.on_waveforms(waves, samples)
    values, frames = augment.on_features(*LogMel()(waves, samples))
    assert frames[2] == 0
    assert values.isfinite().all()


def test_equal_seeds_give_equal_changes() -> None:
    augment = SpeechAugment(EVERYTHING, LogMelConfig()).train()
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        waves, samples = augment.on_waveforms(*[x.clone() for x in _fixed()])
        results.append(augment.on_features(*LogMel()(waves, samples))[0])
    assert torch.equal(*results)


def _fixed() -> tuple[torch.Tensor, torch.Tensor]:
    time = torch.arange(9_000) / 16_000
    return torch.sin(2 * np.pi * 300 * time).repeat(2, 1), torch.tensor([9_000, 5_000])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"speed": 1.0}, "speed is 1.0"),
        ({"mask_mels": (9, 3)}, "mask_mels"),
        ({"mask_fill": "x"}, "mask_fill"),
    ],
)
def test_unusable_settings_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpeechAugmentation(**values)  # type: ignore[arg-type]
