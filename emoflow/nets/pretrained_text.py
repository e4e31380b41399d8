"""Any pretrained text encoder that transformers' AutoModel knows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from emoflow.errors import ConfigError
from emoflow.frontends.tokenizers import load_tokenizer
from emoflow.nets.encoders import TextEncoderConfig
from emoflow.nets.pretrained import PretrainedEncoder, build_model, read_architecture
from emoflow.nets.states import States, key_mask
from emoflow.types import Tokenizer

__all__ = ["PretrainedText", "PretrainedTextConfig"]


@dataclass(frozen=True)
class PretrainedTextConfig(TextEncoderConfig):
    """A pretrained text encoder by name or folder; KoBERT by default."""

    name: str = "skt/kobert-base-v1"
    """Name on the Hugging Face hub, or a local folder."""
    tokenizer_name: str | None = None
    """Name or folder of the tokenizer; none takes that of ``name``."""
    frozen: bool = True
    """Whether the encoder keeps its weights; its states are then computed once."""
    learning_rate_scale: float = 0.1
    """Learning rate of the encoder relative to the rest, where it is not frozen."""
    tokens: int = 64
    """Tokens kept per utterance, special tokens included."""
    architecture: dict[str, Any] | None = None
    """The encoder's description as plain data; read and filled in before the first fit."""

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise ConfigError(f"PretrainedText: tokens is {self.tokens}", "give at least 1")

    @property
    def max_tokens(self) -> int:
        """Tokens kept per utterance; never more than the encoder has positions for."""
        limit = (self.architecture or {}).get("max_position_embeddings")
        if not isinstance(limit, int):
            return self.tokens
        return max(min(self.tokens, limit - 2), 1)  # RoBERTa's kind start counting at 2

    @property
    def ready(self) -> bool:
        """Whether the description is there."""
        return self.architecture is not None

    def resolve(self) -> Self:
        """Return the config with its description filled in."""
        if self.ready:
            return self
        return dataclasses.replace(self, architecture=read_architecture(self.name))

    def tokenizer(self) -> Tokenizer:
        """Return the encoder's tokenizer; it is read from the folder or the hub."""
        return load_tokenizer(self.tokenizer_name or self.name)

    def build_encoder(self) -> PretrainedText:
        """Return the encoder, with random weights."""
        return PretrainedText(self)


class PretrainedText(PretrainedEncoder):
    """Token ids to the last hidden states of a transformers model."""

    def __init__(self, config: PretrainedTextConfig) -> None:
        super().__init__(
            config.name,
            frozen=config.frozen,
            learning_rate_scale=config.learning_rate_scale,
            ready=config.ready,
        )
        assert config.architecture is not None
        self.config = config
        model = build_model(config.architecture, f"PretrainedText {config.name}")
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        self.model = model
        self.width = int(model.config.hidden_size)
        pad = model.config.pad_token_id
        self.pad_id = int(pad) if isinstance(pad, int) else 0
        if config.frozen:
            self.requires_grad_(False)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, token), (batch,) → states of the model's hidden size."""
        real = key_mask(States(inputs, counts))
        mask = torch.ones_like(inputs)
        if real is not None:
            inputs = inputs.masked_fill(~real, self.pad_id)
            mask = (real | (counts == 0)[:, None]).long()
        hidden = self.model(input_ids=inputs, attention_mask=mask).last_hidden_state
        return States(hidden, counts)
