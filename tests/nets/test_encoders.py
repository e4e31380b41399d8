from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import SpeechAugmentation
from emoflow.frontends.logmel import LogMel, LogMelConfig
from emoflow.nets import (
    CompactSpeechConfig,
    FrequencyConvConfig,
    JamoTextConfig,
    SpeechEncoderConfig,
    TextEncoderConfig,
)
from tests.nets.conftest import make_batch, settle


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_frequency_conv_is_the_published_one() -> None:
    config = FrequencyConvConfig()
    encoder = config.build_encoder().eval()
    assert count(encoder) == 2 * 8 * 4 + 8 * 8 * 7 + 8 * 24 * 4 + 24 * 24 * 7 == 5_312
    assert encoder.width == 768
    assert config.bands == 32
    batch = make_batch()
    values, frames = encoder(batch.waveforms, batch.samples)
    assert values.shape == (3, 59, 768)
    assert frames.tolist() == [18, 59, 34]


def test_frequency_conv_equals_plain_convolutions() -> None:
    encoder = FrequencyConvConfig(scale=False).build_encoder().eval()
    batch = make_batch()
    hidden, _ = LogMel()(batch.waveforms, batch.samples)
    for convolution, stride, padding in zip(
        encoder.convolutions, (2, 1, 2, 1), (1, 3, 1, 3), strict=True
    ):
        weight = convolution.weight.detach()
        assert convolution.bias is None
        hidden = F.conv2d(F.pad(hidden, (padding, padding)), weight, stride=(1, stride)).relu()
    values, _ = encoder(batch.waveforms, batch.samples)
    expected = hidden.permute(0, 2, 3, 1).flatten(2)  # (batch, frame, band · channel)
    torch.testing.assert_close(values, expected, atol=1e-3, rtol=1e-4)


def test_frequency_conv_leaves_time_alone() -> None:
    encoder = FrequencyConvConfig(activation="none").build_encoder().eval()
    features = torch.randn(1, 2, 6, 128)
    encoder.input.forward = lambda w, n: (features, n)  # type: ignore[method-assign]
    before, _ = encoder(torch.zeros(1, 1), torch.tensor([6]))
    features[:, :, 3] += 1
    after, _ = encoder(torch.zeros(1, 1), torch.tensor([6]))
    changed = (before != after).any(-1)[0]
    assert changed.tolist() == [False, False, False, True, False, False]


def test_published_mask_acts_in_training_only() -> None:
    encoder = FrequencyConvConfig().build_encoder()
    batch = make_batch()
    inputs = (batch.waveforms, batch.samples)
    encoder.eval()
    plain = encoder(*inputs).values
    assert torch.equal(encoder(*inputs).values, plain)
    encoder.train()
    assert not torch.equal(encoder(*inputs).values, plain)
    off = FrequencyConvConfig(augmentation=SpeechAugmentation()).build_encoder().train()
    off.load_state_dict(encoder.state_dict())
    assert torch.equal(off(*inputs).values, plain)


def test_long_speech_is_cut_to_the_published_512_frames() -> None:
    encoder = FrequencyConvConfig().build_encoder().eval()
    waveform = torch.randn(1, 16_000 * 20)
    values, frames = encoder(waveform, torch.tensor([16_000 * 20]))
    assert values.shape[1] == 512
    assert frames.tolist() == [512]


def test_compact_speech_is_small() -> None:
    encoder = CompactSpeechConfig().build_encoder()
    assert count(encoder) < 500_000
    batch = make_batch()
    values, steps = settle(encoder)(batch.waveforms, batch.samples)
    frames = 1 + batch.samples // 256
    assert steps.tolist() == ((frames + 3) // 4).tolist()
    assert values.shape == (3, int(steps.max()), 128)


def test_compact_speech_trains() -> None:
    encoder = CompactSpeechConfig(channels=(8, 8, 8)).build_encoder().train()
    batch = make_batch()
    values, _ = encoder(batch.waveforms, batch.samples)
    values.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_jamo_text() -> None:
    config = JamoTextConfig()
    encoder = config.build_encoder().eval()
    tokenizer = config.tokenizer()
    assert tokenizer.vocabulary_size == config.vocabulary
    ids = torch.tensor([tokenizer.encode("안녕하세요", config.max_tokens)])
    values, steps = encoder(ids, torch.tensor([ids.shape[1]]))
    assert values.shape == (1, ids.shape[1], 128)
    assert steps.tolist() == [ids.shape[1]]
    hidden = JamoTextConfig(letter_dropout=0.5).build_encoder().train()
    assert not torch.equal(hidden(ids, steps).values, hidden(ids, steps).values)


def test_garbage_ids_behind_the_text_are_never_looked_up() -> None:
    encoder = JamoTextConfig().build_encoder().eval()
    ids = torch.tensor([[5, 6, 10**6], [7, -3, 10**9]])
    values, _ = encoder(ids, torch.tensor([2, 1]))
    assert values[0, :2].isfinite().all()


def test_errors_say_what_to_choose() -> None:
    with pytest.raises(ConfigError, match="choose FrequencyConvConfig"):
        SpeechEncoderConfig().build_encoder()
    with pytest.raises(ConfigError, match="choose JamoTextConfig"):
        TextEncoderConfig().build_encoder()
    with pytest.raises(ConfigError, match="give as many of each"):
        FrequencyConvConfig(kernels=(3,))
    with pytest.raises(ConfigError, match="skip mels"):
        FrequencyConvConfig(kernels=(1, 7, 4, 7))
    with pytest.raises(ConfigError, match="nothing is left of 8 mels"):
        FrequencyConvConfig(LogMelConfig(mels=8), kernels=(4,) * 4, strides=(4,) * 4)
    with pytest.raises(ConfigError, match="odd number"):
        JamoTextConfig(kernel=4)
    with pytest.raises(ConfigError, match="one number per block"):
        CompactSpeechConfig(channels=())
