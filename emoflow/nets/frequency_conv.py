"""The published speech encoder: convolutions along frequency that leave time alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import SpeechAugmentation
from emoflow.frontends.logmel import LogMelConfig
from emoflow.nets.encoders import Encoder, LogMelInput, SpeechEncoderConfig
from emoflow.nets.states import States

__all__ = ["FrequencyConv", "FrequencyConvConfig"]

PUBLISHED_AUGMENTATION = SpeechAugmentation(mask_mels=(8, 27))


@dataclass(frozen=True)
class FrequencyConvConfig(SpeechEncoderConfig):
    """Convolutions along frequency: 128 mels and their differences → 768 values per frame."""

    logmel: LogMelConfig = field(default_factory=LogMelConfig)
    """The front end."""
    augmentation: SpeechAugmentation = PUBLISHED_AUGMENTATION
    """Random changes while training; the published one masks one band of mels."""
    scale: bool = True
    """Scale decibels to about one; off keeps the published raw decibels."""
    channels: tuple[int, ...] = (8, 8, 24, 24)
    """Channels behind each convolution."""
    kernels: tuple[int, ...] = (4, 7, 4, 7)
    """Mels under each convolution."""
    strides: tuple[int, ...] = (2, 1, 2, 1)
    """Steps of each convolution along frequency."""
    activation: Literal["relu", "gelu", "none"] = "relu"
    """Behind each convolution."""

    def __post_init__(self) -> None:
        if not len(self.channels) == len(self.kernels) == len(self.strides) > 0:
            raise ConfigError(
                f"FrequencyConv: {len(self.channels)} channels, {len(self.kernels)} kernels and "
                f"{len(self.strides)} strides do not describe the same convolutions",
                "give as many of each",
            )
        if any(k < s or s < 1 for k, s in zip(self.kernels, self.strides, strict=True)):
            raise ConfigError(
                f"FrequencyConv: strides {self.strides} skip mels under kernels {self.kernels}",
                "give every stride from 1 up to its kernel",
            )
        if self.bands < 1:
            raise ConfigError(
                f"FrequencyConv: nothing is left of {self.logmel.mels} mels",
                "give fewer or smaller strides, or more mels",
            )

    @property
    def max_seconds(self) -> float | None:
        """Seconds of speech that fit into the front end's frames."""
        return self.logmel.max_seconds

    @property
    def bands(self) -> int:
        """Positions along frequency behind the last convolution."""
        bands = self.logmel.mels
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            bands = (bands + 2 * _padding(kernel) - kernel) // stride + 1
        return bands

    def build_encoder(self) -> FrequencyConv:
        """Return the encoder, with random weights."""
        return FrequencyConv(self)


class FrequencyConv(Encoder):
    """Waveforms to one state per log-mel frame.

    A state's values are ordered by frequency, then by channel: they leave the convolutions
    without a copy.
    """

    def __init__(self, config: FrequencyConvConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.channels[-1] * config.bands
        self.input = LogMelInput(config.logmel, config.augmentation, scale=config.scale)
        channels = (config.logmel.channels, *config.channels)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                into, out, (1, kernel), (1, stride), padding=(0, _padding(kernel)), bias=False
            )
            for (into, out), kernel, stride in zip(
                pairwise(channels), config.kernels, config.strides, strict=True
            )
        )

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, sample), (batch,) → states of ``width`` per frame."""
        hidden, frames = self.input(inputs, counts)
        hidden = hidden.to(self.convolutions[0].weight.dtype)
        for convolution in self.convolutions:
            hidden = convolution(hidden)
            if self.config.activation == "relu":
                hidden = F.relu(hidden)
            elif self.config.activation == "gelu":
                hidden = F.gelu(hidden)
        return States(hidden.permute(0, 2, 3, 1).flatten(2), frames)


def _padding(kernel: int) -> int:
    """Return the padding that makes the output ``mels / stride`` wide."""
    return (kernel - 1) // 2
