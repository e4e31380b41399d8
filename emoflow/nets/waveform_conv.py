"""A speech encoder that reads the waveform itself."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.nets.encoders import Encoder, SpeechEncoderConfig
from emoflow.nets.states import States, real_steps

__all__ = ["WaveformConv", "WaveformConvConfig"]

_FIRST_KERNEL, _FIRST_STRIDE, _POOL = 80, 4, 4


@dataclass(frozen=True)
class WaveformConvConfig(SpeechEncoderConfig):
    """1-D convolutions on the raw waveform, after Dai and others 2017 (arXiv:1610.00087)."""

    channels: tuple[int, ...] = (64, 64, 128, 128)
    """Channels behind each convolution; the last one is the states' width. Each leaves a quarter
    of the steps by pooling, the first a sixteenth."""
    kernel: int = 3
    """Steps under each convolution but the first, which covers 5 ms."""
    seconds: float | None = 16.0
    """Speech beyond this is cut off; none keeps all."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.kernel % 2 == 0:
            raise ConfigError(
                f"WaveformConv: channels {self.channels} with a kernel of {self.kernel} cannot "
                "be built",
                "give positive channels and an odd kernel",
            )

    @property
    def max_seconds(self) -> float | None:
        """Seconds of speech that the net uses."""
        return self.seconds

    @property
    def stride(self) -> int:
        """Samples per state."""
        return int(_FIRST_STRIDE * _POOL ** len(self.channels))

    def build_encoder(self) -> WaveformConv:
        """Return the encoder, with random weights."""
        return WaveformConv(self)


class WaveformConv(Encoder):
    """Waveforms to one state per :attr:`WaveformConvConfig.stride` samples."""

    def __init__(self, config: WaveformConvConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.channels[-1]
        first = config.channels[0]
        padding = (_FIRST_KERNEL - _FIRST_STRIDE) // 2
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(1, first, _FIRST_KERNEL, _FIRST_STRIDE, padding, bias=False)]
        )
        self.convolutions += [
            nn.Conv1d(into, out, config.kernel, padding=config.kernel // 2, bias=False)
            for into, out in pairwise(config.channels)
        ]
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in config.channels)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, sample), (batch,) → states of ``width``."""
        waves = inputs.masked_fill(~real_steps(inputs, counts), 0.0)
        waves = F.pad(waves, (0, -waves.shape[1] % self.config.stride))
        hidden = waves[:, None].to(next(self.parameters()).dtype)
        stride = _FIRST_STRIDE
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = F.relu(norm(convolution(hidden)))
            steps = (counts + stride - 1) // stride
            real = real_steps(hidden.transpose(1, 2), steps)
            hidden = F.max_pool1d(hidden * real[:, None].to(hidden.dtype), _POOL)
            stride *= _POOL
        return States(hidden.transpose(1, 2), (counts + stride - 1) // stride)
