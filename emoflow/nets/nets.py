"""The nets: speech alone, text alone, and both merged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from emoflow.errors import ConfigError
from emoflow.nets.attention import AttentionConfig, SelfAttention
from emoflow.nets.config import NetConfig
from emoflow.nets.encoders import SpeechEncoderConfig, TextEncoderConfig
from emoflow.nets.frequency_conv import FrequencyConvConfig
from emoflow.nets.heads import Head, HeadConfig
from emoflow.nets.pretrained_text import PretrainedTextConfig
from emoflow.nets.reading import read
from emoflow.nets.states import States, join
from emoflow.nets.towers import (
    PUBLISHED_TEXT_ATTENTION,
    SpeechTowerConfig,
    TextTowerConfig,
)
from emoflow.types import Batch, Modality

__all__ = [
    "MergedNet",
    "MergedNetConfig",
    "SpeechNet",
    "SpeechNetConfig",
    "TextNet",
    "TextNetConfig",
]

JOINT_ATTENTION = AttentionConfig(layers=2, heads=6, feed_forward=3072)
JOINT_HEAD = HeadConfig(kind="lstm", width=128)


@dataclass(frozen=True)
class SpeechNetConfig(NetConfig):
    """Speech alone; the defaults are the published arousal net."""

    encoder: SpeechEncoderConfig = field(default_factory=FrequencyConvConfig)
    """Waveforms to states."""
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    """Self-attention over the states."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """States to one vector."""

    def build(self, outputs: int) -> SpeechNet:
        """Return the net, with random weights."""
        return SpeechNet(self, outputs)


@dataclass(frozen=True)
class TextNetConfig(NetConfig):
    """Text alone; the defaults are the published valence net."""

    encoder: TextEncoderConfig = field(default_factory=PretrainedTextConfig)
    """Tokens to states."""
    attention: AttentionConfig = PUBLISHED_TEXT_ATTENTION
    """Self-attention over the states."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """States to one vector."""

    def build(self, outputs: int) -> TextNet:
        """Return the net, with random weights."""
        return TextNet(self, outputs)


@dataclass(frozen=True)
class MergedNetConfig(NetConfig):
    """Speech and text together; the defaults are the published emotion net.

    An absent modality is left out, whatever its place in the batch holds.
    """

    speech: SpeechTowerConfig = field(default_factory=SpeechTowerConfig)
    """The speech side."""
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    """The text side."""
    fusion: Literal["joint", "late"] = "joint"
    """``joint``: one sequence of speech and text states, attended to together, then the
    head. ``late``: a head for each side, their vectors side by side."""
    attention: AttentionConfig = JOINT_ATTENTION
    """Self-attention over the joint sequence; not used with late fusion."""
    head: HeadConfig = JOINT_HEAD
    """States to one vector."""
    width: int | None = None
    """Width that both sides are projected to; none projects only if their widths differ,
    then to the larger."""
    modality_embedding: bool = False
    """Mark the states with their modality, by a learned vector."""
    modality_dropout: float = 0.0
    """Share of the training utterances that lose one modality, either, if they have both."""

    def __post_init__(self) -> None:
        if self.fusion not in ("joint", "late"):
            raise ConfigError(f"there is no fusion {self.fusion!r}", "choose joint or late")
        if not 0 <= self.modality_dropout <= 1:
            raise ConfigError(
                f"modality_dropout is {self.modality_dropout}", "give a share between 0 and 1"
            )

    def build(self, outputs: int) -> MergedNet:
        """Return the net, with random weights."""
        return MergedNet(self, outputs)


class SpeechNet(nn.Module):
    """Encoder, self-attention, head, one linear layer; ``net(batch)`` → (batch, output)."""

    modalities: tuple[Modality, ...] = ("speech",)

    def __init__(self, config: SpeechNetConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.speech = SpeechTowerConfig(config.encoder, config.attention).build_tower()
        self.head = Head(self.speech.width, config.head)
        self.output = nn.Linear(self.head.width, outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Return raw outputs (batch, output): logits or values."""
        states = read(self.speech, batch, "speech")
        result: Tensor = self.output(self.head(_given(states, self.modalities)))
        return result


class TextNet(nn.Module):
    """Encoder, self-attention, head, one linear layer; ``net(batch)`` → (batch, output)."""

    modalities: tuple[Modality, ...] = ("text",)

    def __init__(self, config: TextNetConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.text = TextTowerConfig(config.encoder, config.attention).build_tower()
        self.head = Head(self.text.width, config.head)
        self.output = nn.Linear(self.head.width, outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Return raw outputs (batch, output): logits or values."""
        states = read(self.text, batch, "text")
        result: Tensor = self.output(self.head(_given(states, self.modalities)))
        return result


class MergedNet(nn.Module):
    """Two towers, merged; ``net(batch)`` → (batch, output)."""

    modalities: tuple[Modality, ...] = ("speech", "text")

    def __init__(self, config: MergedNetConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        self.speech = config.speech.build_tower()
        self.text = config.text.build_tower()
        widths = (self.speech.width, self.text.width)
        width = config.width or max(widths)
        even = config.width is not None or (config.fusion == "joint" and widths[0] != widths[1])
        self.projections = nn.ModuleList(
            nn.Linear(w, width) if even else nn.Identity() for w in widths
        )
        inner = (width, width) if even else widths
        self.marks = nn.ParameterList(
            nn.Parameter(torch.randn(w) * 0.02) for w in inner if config.modality_embedding
        )
        if config.fusion == "joint":
            self.attention = SelfAttention(inner[0], config.attention)
            self.head = Head(inner[0], config.head)
            vector = self.head.width
        else:
            heads = [Head(w, config.head) for w in inner]
            self.heads = nn.ModuleList(heads)
            self.vector_widths = [head.width for head in heads]
            vector = sum(self.vector_widths)
        self.output = nn.Linear(vector, outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Return raw outputs (batch, output): logits or values."""
        skip = not self.training
        sides = [
            read(self.speech, batch, "speech", skip_absent=skip),
            read(self.text, batch, "text", skip_absent=skip),
        ]
        if sides[0] is None and sides[1] is None:
            sides[0] = read(self.speech, batch, "speech")
            sides[1] = read(self.text, batch, "text") if sides[0] is None else None
            _given(sides[0] or sides[1], self.modalities)
        if self.training and self.config.modality_dropout > 0:
            sides = self._drop(sides)
        sides = [None if s is None else self._even(s, side) for side, s in enumerate(sides)]
        if self.config.fusion == "joint":
            present = [s for s in sides if s is not None]
            states = join(*present) if len(present) == 2 else present[0]
            result: Tensor = self.output(self.head(self.attention(states)))
            return result
        zeros = self.output.weight.new_zeros
        vectors = [
            zeros(len(batch), width) if s is None else head(s)
            for s, head, width in zip(sides, self.heads, self.vector_widths, strict=True)
        ]
        late: Tensor = self.output(torch.cat(vectors, dim=1))
        return late

    def _even(self, states: States, side: int) -> States:
        """Bring one side's states to the common width, and mark them."""
        values = self.projections[side](states.values)
        if len(self.marks):
            values = values + self.marks[side]
        return States(values, states.counts)

    def _drop(self, sides: list[States | None]) -> list[States | None]:
        """Let some utterances that have both modalities lose one of them."""
        first, second = sides
        if first is None or second is None:
            return sides
        draw = torch.rand(first.counts.shape[0], device=first.counts.device)
        both = (first.counts > 0) & (second.counts > 0)
        share = self.config.modality_dropout
        lose_first = both & (draw < share / 2)
        lose_second = both & (draw >= share / 2) & (draw < share)
        return [
            States(first.values, first.counts.masked_fill(lose_first, 0)),
            States(second.values, second.counts.masked_fill(lose_second, 0)),
        ]


def _given(states: States | None, modalities: tuple[Modality, ...]) -> States:
    if states is None:
        raise ConfigError(
            f"the batch holds no {' and no '.join(modalities)}",
            "its corpus was asked for other modalities: set corpus.needs to the task's needs",
        )
    return states
