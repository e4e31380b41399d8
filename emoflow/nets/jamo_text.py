"""A small text encoder over letters, trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.jamo_tokenizer import JamoTokenizer
from emoflow.nets.dropout import Dropout
from emoflow.nets.encoders import Encoder, TextEncoderConfig
from emoflow.nets.states import States
from emoflow.types import Tokenizer

__all__ = ["JamoText", "JamoTextConfig"]


@dataclass(frozen=True)
class JamoTextConfig(TextEncoderConfig):
    """Letters (Hangul jamo, Latin, digits, signs), embedded and mixed by convolutions."""

    vocabulary: int = JamoTokenizer().vocabulary_size
    """Entries of the tokenizer's vocabulary."""
    width: int = 128
    """Width of the states; there is one per letter."""
    layers: int = 3
    """Convolutions."""
    kernel: int = 5
    """Letters under each convolution; odd."""
    dropout: float = 0.1
    """Dropout on the embeddings and behind each convolution."""
    letter_dropout: float = 0.0
    """Share of the letters that are hidden while training."""
    tokens: int = 192
    """Letters kept per utterance, marks of begin and end included."""

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(
                f"JamoText: a kernel of {self.kernel} letters has no middle", "give an odd number"
            )
        if self.tokens < 1:
            raise ConfigError(f"JamoText: tokens is {self.tokens}", "give at least 1")

    @property
    def max_tokens(self) -> int:
        """Letters kept per utterance."""
        return self.tokens

    def tokenizer(self) -> Tokenizer:
        """Return the letters' tokenizer."""
        return JamoTokenizer()

    def build_encoder(self) -> JamoText:
        """Return the encoder, with random weights."""
        return JamoText(self)


class JamoText(Encoder):
    """Letter ids to one state per letter."""

    def __init__(self, config: JamoTextConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.width
        self.embed = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.embed.weight, std=config.width**-0.5)
        self.dropout = Dropout(config.dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(config.layers + 1))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.width, config.width, config.kernel, padding="same")
            for _ in range(config.layers)
        )

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, token), (batch,) → states of ``width``."""
        beyond = torch.arange(inputs.shape[1], device=inputs.device) >= counts[:, None]
        hidden = self.embed(inputs.masked_fill(beyond, 0))
        beyond = beyond[..., None]
        if self.training and self.config.letter_dropout > 0:
            hide = torch.rand(inputs.shape, device=inputs.device) < self.config.letter_dropout
            hidden = hidden.masked_fill(hide[..., None], 0.0)
        hidden = self.dropout(self.norms[0](hidden))
        for convolution, norm in zip(self.convolutions, self.norms[1:], strict=True):
            mixed = convolution(hidden.masked_fill(beyond, 0.0).transpose(1, 2)).transpose(1, 2)
            hidden = hidden + self.dropout(F.gelu(norm(mixed)))
        return States(hidden, counts)
