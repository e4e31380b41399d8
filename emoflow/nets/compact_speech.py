"""A small speech encoder that learns from a small corpus."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import SpeechAugmentation
from emoflow.frontends.logmel import LogMelConfig
from emoflow.nets.encoders import Encoder, LogMelInput, SpeechEncoderConfig
from emoflow.nets.states import States

__all__ = ["CompactSpeech", "CompactSpeechConfig"]

LOGMEL = LogMelConfig(
    n_fft=1024, window=640, hop=256, mels=64, low_hz=40.0, delta=False, max_frames=1875
)
AUGMENTATION = SpeechAugmentation(
    tempo=0.15, vocal_tract=0.12, mask_mels=(0, 10), mask_fill="middle", mask_frames=20, masks=2
)


@dataclass(frozen=True)
class CompactSpeechConfig(SpeechEncoderConfig):
    """Residual 2-D convolutions on the log-mel picture, with squeeze and excitation."""

    logmel: LogMelConfig = LOGMEL
    """The front end."""
    augmentation: SpeechAugmentation = AUGMENTATION
    """Random changes while training."""
    channels: tuple[int, ...] = (16, 32, 64, 96)
    """Channels of the residual blocks; each halves frequency, the second halves time too."""
    width: int = 128
    """Width of the states; there is one for every four frames."""
    trim_db: float | None = 40.0
    """Cut the ends of an utterance that are this far below its loudest 32 ms, in dB; none
    keeps them."""

    def __post_init__(self) -> None:
        if not self.channels:
            raise ConfigError("CompactSpeech has no channels", "give one number per block")

    @property
    def max_seconds(self) -> float | None:
        """Seconds of speech that fit into the front end's frames."""
        return self.logmel.max_seconds

    def build_encoder(self) -> CompactSpeech:
        """Return the encoder, with random weights."""
        return CompactSpeech(self)


class CompactSpeech(Encoder):
    """Waveforms to one state per four log-mel frames."""

    def __init__(self, config: CompactSpeechConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.input = LogMelInput(
            config.logmel, config.augmentation, scale=True, trim_db=config.trim_db
        )
        first = config.channels[0]
        self.stem = nn.Conv2d(config.logmel.channels, first, 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(first)
        self.blocks = nn.ModuleList(
            _Block(into, out, (2 if number == 1 else 1, 2))
            for number, (into, out) in enumerate(pairwise((first, *config.channels)))
        )
        bands = config.logmel.mels
        for _ in range(1 + len(config.channels)):
            bands = (bands + 1) // 2
        self.project = nn.Linear(config.channels[-1] * bands, config.width, bias=False)
        self.project_norm = nn.BatchNorm1d(config.width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, sample), (batch,) → states of ``width``."""
        features, steps = self.input(inputs, counts)
        features = features.to(self.stem.weight.dtype)
        hidden = features * _real(features, steps)
        steps = (steps + 1) // 2
        hidden = F.silu(self.stem_norm(self.stem(hidden)))
        hidden = hidden * _real(hidden, steps)
        for block in self.blocks:
            hidden, steps = block(hidden, steps)
        states = self.project(hidden.permute(0, 2, 3, 1).flatten(2))
        states = F.silu(self.project_norm(states.transpose(1, 2))).transpose(1, 2)
        return States(states, steps)


class _Block(nn.Module):
    """Two convolutions, channels weighed by the utterance's mean, and a shortcut."""

    def __init__(self, into: int, out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.time, self.band = stride
        self.first = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(out)
        self.squeeze = nn.Linear(out, max(out // 4, 1))
        self.excite = nn.Linear(max(out // 4, 1), out)
        # A linear layer on strided slices: oneDNN 3.12 writes out of bounds in the backward
        # pass of a 1×1 convolution with strides (1, 2) over channels-last memory.
        self.shortcut = nn.Linear(into, out, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(out)

    def forward(self, hidden: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, step, band), real steps → the same, smaller."""
        steps = torch.div(steps + self.time - 1, self.time, rounding_mode="floor")
        thinned = hidden[:, :, :: self.time, :: self.band].permute(0, 2, 3, 1)
        shortcut = self.shortcut_norm(self.shortcut(thinned).permute(0, 3, 1, 2))
        hidden = F.silu(self.first_norm(self.first(hidden)))
        real = _real(hidden, steps)
        hidden = self.second_norm(self.second(hidden * real)) * real
        mean = hidden.sum((2, 3)) / (steps.clamp(min=1) * hidden.shape[3])[:, None]
        weight = self.excite(F.relu(self.squeeze(mean.to(hidden.dtype)))).sigmoid()
        hidden = F.silu(hidden * weight[:, :, None, None] + shortcut) * real
        return hidden, steps


def _real(hidden: Tensor, steps: Tensor) -> Tensor:
    """(batch, 1, step, 1): 1 on real steps, 0 behind them."""
    index = torch.arange(hidden.shape[2], device=hidden.device)
    return (index < steps[:, None])[:, None, :, None].to(hidden.dtype)
