"""A text encoder without weights: which characters and pairs of characters occur."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.character_tokenizer import CharacterTokenizer
from emoflow.nets.encoders import Encoder, TextEncoderConfig
from emoflow.nets.states import States
from emoflow.types import Tokenizer

__all__ = ["CharacterBag", "CharacterBagConfig"]

_MARKS = "?!.,~"
_USUAL_LENGTH = 50.0  # characters
_PRIME = 2_147_483_647


@dataclass(frozen=True)
class CharacterBagConfig(TextEncoderConfig):
    """Which n-grams of characters an utterance holds, hashed, and how it is punctuated."""

    ngram: int = 2
    """Longest n-gram, in characters."""
    buckets: int = 4096
    """Hash buckets that the n-grams share."""
    style: float = 1.0
    """Length of the vector of punctuation, digits and text length; the n-grams' is 1."""
    tokens: int = 512
    """Characters kept per utterance, marks of begin and end included."""

    def __post_init__(self) -> None:
        if min(self.ngram, self.buckets, self.tokens) < 1:
            raise ConfigError(
                f"CharacterBag: ngram {self.ngram}, buckets {self.buckets}, tokens {self.tokens} "
                "are not usable",
                "give each at least 1",
            )
        if self.style < 0:
            raise ConfigError(f"CharacterBag: style is {self.style}", "give 0 or more")

    @property
    def max_tokens(self) -> int:
        """Characters kept per utterance."""
        return self.tokens

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of characters."""
        return CharacterTokenizer()

    def build_encoder(self) -> CharacterBag:
        """Return the encoder; it has no weights."""
        return CharacterBag(self)


class CharacterBag(Encoder):
    """Character ids to one state per utterance: n-grams of unit length, then style.

    Nothing in it learns, so it is computed once per utterance and kept.
    """

    marks: Tensor

    def __init__(self, config: CharacterBagConfig) -> None:
        super().__init__()
        self.config = config
        self.width = config.buckets + len(_MARKS) + 3
        marks = [ord(mark) + CharacterTokenizer.offset for mark in _MARKS]
        self.register_buffer("marks", torch.tensor(marks), persistent=False)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, token), (batch,) → one state of ``width``; none without tokens."""
        position = torch.arange(inputs.shape[1], device=inputs.device)
        tokens = inputs.masked_fill(position >= counts[:, None], CharacterTokenizer.pad_id)
        with torch.autocast(inputs.device.type, enabled=False):
            bag = F.normalize(self._ngrams(tokens, counts), dim=1)
            style = F.normalize(self._style(tokens), dim=1)
            values = torch.cat((bag, self.config.style * style), dim=1)
        return States(values[:, None], (counts > 0).long())

    def _ngrams(self, tokens: Tensor, counts: Tensor) -> Tensor:
        """(batch, bucket): 1 where an n-gram occurs. Marks count in n-grams, not alone."""
        c = self.config
        position = torch.arange(tokens.shape[1], device=tokens.device)
        bag = torch.zeros(len(tokens), c.buckets, dtype=torch.float32, device=tokens.device)
        code = torch.zeros_like(tokens)
        for n in range(c.ngram):
            code = (code * 1_000_003 + tokens.roll(-n, 1) + 1) % _PRIME
            bucket = (code * 2_654_435_761 % _PRIME) % c.buckets
            whole = position + n < counts[:, None]
            if n == 0:
                whole = whole & (tokens >= CharacterTokenizer.offset)
            bag.scatter_reduce_(1, bucket, whole.float(), "amax")
        return bag

    def _style(self, tokens: Tensor) -> Tensor:
        """(batch, 8): which marks occur, whether a digit does, length, and 1."""
        marks = (tokens[..., None] == self.marks).any(1).float()
        code = tokens - CharacterTokenizer.offset
        digit = ((code >= ord("0")) & (code <= ord("9"))).any(1).float()
        length = (code >= 0).sum(1) / _USUAL_LENGTH
        return torch.cat((marks, torch.stack((digit, length, torch.ones_like(length)), 1)), dim=1)
