"""Encoders of biosignals: of a window's features, and of its readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.signals import (
    SignalFeatureInput,
    SignalOptions,
    SignalReadings,
    SignalReadingsInput,
)
from emoflow.nets.dropout import Dropout
from emoflow.nets.encoders import Encoder, SignalEncoderConfig
from emoflow.nets.standardise import Standardise
from emoflow.nets.states import States, real_steps
from emoflow.types import Batch, Modality, SignalFrontEnd

__all__ = [
    "SignalEncoder",
    "SignalFeaturesEncoder",
    "SignalFeaturesEncoderConfig",
    "SignalSequence",
    "SignalSequenceConfig",
]


@dataclass(frozen=True)
class SignalFeaturesEncoderConfig(SignalEncoderConfig):
    """Features of heart, skin and temperature through fully connected layers with ReLU.

    With the output behind them, the published net of three layers.
    """

    features: SignalOptions = field(default_factory=SignalOptions)
    """Window and baseline of the features."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the layers; the last one is the state's."""
    dropout: float = 0.0
    """Dropout behind each layer."""
    clip: float = 5.0
    """Largest standardised feature, in standard deviations."""

    def __post_init__(self) -> None:
        _check("SignalFeatures", self.hidden, self.clip)

    def front_end(self) -> SignalFrontEnd:
        """Return what the corpus computes the features with."""
        return SignalFeatureInput(self.features)

    def build_encoder(self) -> SignalFeaturesEncoder:
        """Return the encoder, with random weights."""
        return SignalFeaturesEncoder(self)


@dataclass(frozen=True)
class SignalSequenceConfig(SignalEncoderConfig):
    """Readings of heart, skin and temperature through convolutions over time."""

    readings: SignalReadings = field(default_factory=SignalReadings)
    """Rate and window of the readings."""
    channels: tuple[int, ...] = (32, 48, 64)
    """Channels of the convolutions; each halves time. The last one is the states' width."""
    kernel: int = 5
    """Steps under each convolution."""
    dropout: float = 0.1
    """Dropout behind each convolution."""
    clip: float = 5.0
    """Largest standardised reading, in standard deviations."""

    def __post_init__(self) -> None:
        _check("SignalSequence", self.channels, self.clip)
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(
                f"SignalSequence: a kernel of {self.kernel} steps has no middle",
                "give an odd number of steps",
            )

    def front_end(self) -> SignalFrontEnd:
        """Return what the corpus reads the signals with."""
        return SignalReadingsInput(self.readings)

    def build_encoder(self) -> SignalSequence:
        """Return the encoder, with random weights."""
        return SignalSequence(self)


class SignalEncoder(Encoder):
    """What both have in common: standardised numbers, 0 where unknown, and which are known."""

    fits_on: tuple[Modality, ...] = ("signals",)
    """What :meth:`fit_inputs` looks at."""
    store_dtype = "float32"

    def __init__(self, front_end: SignalFrontEnd, clip: float) -> None:
        super().__init__()
        self.numbers = front_end.width
        self.clip = clip
        self.standard = Standardise(self.numbers, "biosignals")

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    def fit_inputs(self, batches: Iterable[Batch]) -> None:
        """Take mean and deviation of every number from training batches; only once.

        Raises
        ------
        ConfigError
            If no utterance has signals.
        """
        self.standard.fit(
            (batch.signals, batch.signals_known)
            for batch in batches
            if batch.signals is not None and batch.signals_known is not None
        )

    def scaled(self, inputs: Tensor, counts: Tensor) -> Tensor:
        """(batch, step, 2 · number) → the same, standardised and clipped, 0 behind the end."""
        if inputs.shape[-1] != 2 * self.numbers:
            raise ConfigError(
                f"the batch holds {inputs.shape[-1] // 2} numbers of biosignals per step, the "
                f"net reads {self.numbers}",
                "let the corpus read with the net's own front end: set corpus.needs to the "
                "task's needs",
            )
        values, known = inputs[..., : self.numbers], inputs[..., self.numbers :]
        there = (known > 0) & real_steps(inputs, counts)[..., None]
        scaled = self.standard(values).clamp(-self.clip, self.clip).masked_fill(~there, 0.0)
        return torch.cat((scaled, there.to(scaled.dtype)), dim=-1).to(self.dtype)


class SignalFeaturesEncoder(SignalEncoder):
    """Features and which of them are known to one state per utterance."""

    def __init__(self, config: SignalFeaturesEncoderConfig) -> None:
        super().__init__(config.front_end(), config.clip)
        self.config = config
        self.width = config.hidden[-1]
        self.layers = nn.ModuleList(
            nn.Linear(*sizes) for sizes in pairwise((2 * self.numbers, *config.hidden))
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, step, 2 · feature), (batch,) → a state per step."""
        hidden = self.scaled(inputs, counts)
        for layer in self.layers:
            hidden = self.dropout(layer(hidden), relu=True)
        return States(hidden, counts)


class SignalSequence(SignalEncoder):
    """Readings and which of them are known to a sequence of states."""

    def __init__(self, config: SignalSequenceConfig) -> None:
        super().__init__(config.front_end(), config.clip)
        self.config = config
        self.width = config.channels[-1]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(into, out, config.kernel, 2, config.kernel // 2)
            for into, out in pairwise((2 * self.numbers, *config.channels))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in config.channels)
        self.dropout = Dropout(config.dropout)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, step, 2 · channel), (batch,) → states, one per 2^layers steps."""
        hidden = self.scaled(inputs, counts)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = convolution(hidden.transpose(1, 2)).transpose(1, 2)
            counts = (counts + 1) // 2
            hidden = self.dropout(F.gelu(norm(hidden)))
            hidden = hidden.masked_fill(~real_steps(hidden, counts)[..., None], 0.0)
        return States(hidden, counts)


def _check(name: str, widths: tuple[int, ...], clip: float) -> None:
    if not widths or min(widths) < 1 or clip <= 0:
        raise ConfigError(
            f"{name}: widths {widths} with clip {clip} cannot be built", "give positive numbers"
        )
