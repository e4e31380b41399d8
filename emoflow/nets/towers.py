"""One modality's way through a net: an encoder and self-attention, either of them frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self

from torch import Tensor, nn

from emoflow.errors import ConfigError
from emoflow.nets.attention import AttentionConfig, SelfAttention
from emoflow.nets.config import NetConfig
from emoflow.nets.encoders import (
    Encoder,
    SignalEncoderConfig,
    SpeechEncoderConfig,
    TextEncoderConfig,
)
from emoflow.nets.frequency_conv import FrequencyConvConfig
from emoflow.nets.heads import HeadConfig
from emoflow.nets.pretrained_text import PretrainedTextConfig
from emoflow.nets.signal_encoders import SignalFeaturesEncoderConfig
from emoflow.nets.states import States, without_padding

__all__ = ["SignalTowerConfig", "SpeechTowerConfig", "TextTowerConfig", "Tower", "TowerConfig"]

NO_ATTENTION = AttentionConfig(layers=0)
PUBLISHED_TEXT_ATTENTION = AttentionConfig(layers=5, heads=6)


@dataclass(frozen=True)
class SpeechTowerConfig(NetConfig):
    """The speech side of a merged net."""

    encoder: SpeechEncoderConfig = field(default_factory=FrequencyConvConfig)
    """Waveforms to states."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """Self-attention over the states."""
    head: HeadConfig | None = None
    """Its own head, for a fusion that reads each side by itself; none takes the net's."""
    frozen: bool = False
    """Whether the tower keeps its weights; it is then computed once per utterance."""

    def build_tower(self) -> Tower:
        """Return the tower, with random weights."""
        return Tower(self)


@dataclass(frozen=True)
class TextTowerConfig(NetConfig):
    """The text side of a merged net."""

    encoder: TextEncoderConfig = field(default_factory=PretrainedTextConfig)
    """Tokens to states."""
    attention: AttentionConfig = PUBLISHED_TEXT_ATTENTION
    """Self-attention over the states."""
    head: HeadConfig | None = None
    """Its own head, for a fusion that reads each side by itself; none takes the net's."""
    frozen: bool = False
    """Whether the tower keeps its weights; it is then computed once per utterance."""

    def build_tower(self) -> Tower:
        """Return the tower, with random weights."""
        return Tower(self)


@dataclass(frozen=True)
class SignalTowerConfig(NetConfig):
    """The side of the biosignals in a merged net."""

    encoder: SignalEncoderConfig = field(default_factory=SignalFeaturesEncoderConfig)
    """Features or readings to states."""
    attention: AttentionConfig = NO_ATTENTION
    """Self-attention over the states."""
    head: HeadConfig | None = None
    """Its own head, for a fusion that reads each side by itself; none takes the net's."""
    frozen: bool = False
    """Whether the tower keeps its weights."""

    def build_tower(self) -> Tower:
        """Return the tower, with random weights."""
        return Tower(self)


TowerConfig = SpeechTowerConfig | TextTowerConfig | SignalTowerConfig


class Tower(nn.Module):
    """An encoder and self-attention layers.

    What is frozen stays in eval mode, also while the rest trains.
    """

    width: int
    """Width of the states."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder: Encoder = config.encoder.build_encoder()
        self.width = self.encoder.width
        self.attention = SelfAttention(self.width, config.attention)
        if config.frozen:
            self.freeze()

    @property
    def store_dtype(self) -> Literal["float16", "float32"]:
        """How states are kept when they are computed once, as the encoder says."""
        return self.encoder.store_dtype

    @property
    def frozen_part(self) -> Tower | Encoder | None:
        """The part whose output never changes while training.

        The tower itself if nothing in it learns, else its encoder if nothing in that
        learns, else ``None``. Called as ``part(inputs, counts)`` it returns
        :class:`States` of width ``part.width``, which the tower takes as ``states``.
        """
        if not _learns(self):
            return self
        return None if _learns(self.encoder) else self.encoder

    def freeze(self) -> Self:
        """Freeze the whole tower."""
        self.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for what is frozen."""
        super().train(mode)
        part = self.frozen_part
        if mode and part is not None:
            for module in part.modules():
                module.training = False
        return self

    def forward(
        self,
        inputs: Tensor | None = None,
        counts: Tensor | None = None,
        states: States | None = None,
    ) -> States:
        """Run the tower.

        Parameters
        ----------
        inputs
            (batch, sample) waveforms, (batch, token) ids or (batch, step, 2 · number) of
            biosignals; not needed with ``states``.
        counts
            (batch,) real samples, tokens or steps.
        states
            What :attr:`frozen_part` gave earlier; the tower continues behind it.
        """
        if states is not None:
            part = self.frozen_part
            if part is None:
                raise ConfigError(
                    "stored states were given to a tower that is not frozen",
                    "freeze the encoder or the tower, or give waveforms or tokens",
                )
            _check_width(states, self.width)
            states = without_padding(states)
            if part is self:
                return states
        elif inputs is None or counts is None:
            raise ConfigError(
                "a tower got neither its inputs nor stored states",
                "give waveforms and samples, or tokens and token_counts",
            )
        else:
            states = self.encoder(inputs, counts)
        attended: States = self.attention(states)
        return attended


def _learns(module: nn.Module) -> bool:
    return any(p.requires_grad for p in module.parameters())


def _check_width(states: States, width: int) -> None:
    if states.values.shape[-1] != width:
        raise ConfigError(
            f"stored states are {states.values.shape[-1]} wide, the tower is {width} wide",
            "they come from another encoder: delete the store or give the right one",
        )
