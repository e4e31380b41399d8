"""Self-attention layers over padded sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.nets.config import NetConfig
from emoflow.nets.dropout import Dropout
from emoflow.nets.states import States, key_mask

__all__ = ["AttentionConfig", "CrossAttention", "SelfAttention"]


@dataclass(frozen=True)
class AttentionConfig(NetConfig):
    """A stack of self-attention layers; the defaults are the published ones."""

    layers: int = 7
    """Layers; with 0 the sequence passes unchanged."""
    heads: int = 4
    """Attention heads; must divide the width."""
    feed_forward: int = 1024
    """Width of the feed-forward part."""
    dropout: float = 0.1
    """Dropout behind attention and inside and behind the feed-forward part."""
    attention_dropout: float = 0.0
    """Dropout of attention weights; above 0 the fused kernel is not used on a CPU."""
    norm: Literal["post", "pre"] = "post"
    """Layer norm behind each part (published) or before it (steadier when deep)."""
    activation: Literal["relu", "gelu"] = "relu"
    """Activation of the feed-forward part."""
    positions: Literal["none", "sinusoidal"] = "none"
    """Whether the place in the sequence is added to its states."""

    def __post_init__(self) -> None:
        if self.layers < 0 or self.heads < 1:
            raise ConfigError(
                f"attention: {self.layers} layers with {self.heads} heads cannot be built",
                "give 0 or more layers and 1 or more heads",
            )


class SelfAttention(nn.Module):
    """N self-attention layers: states in, states of the same width and counts out.

    Padding never changes a real step. An utterance without real steps comes out finite.
    Each layer computes what ``torch.nn.TransformerEncoderLayer`` computes, and
    :meth:`Layer.take` copies one's weights.
    """

    def __init__(self, width: int, config: AttentionConfig) -> None:
        super().__init__()
        if config.layers and width % config.heads:
            raise ConfigError(
                f"attention: {config.heads} heads do not divide the width {width}",
                "choose heads that do, or another width",
            )
        if config.positions == "sinusoidal" and width % 2:
            raise ConfigError(
                f"attention: sinusoidal positions need an even width, not {width}",
                "choose an even width, or positions: none",
            )
        self.config = config
        self.layers = nn.ModuleList(Layer(width, config) for _ in range(config.layers))
        pre = config.norm == "pre" and config.layers > 0
        self.last_norm = nn.LayerNorm(width) if pre else nn.Identity()

    def forward(self, states: States) -> States:
        """Attend within each utterance's real steps."""
        if not self.layers:
            return states
        values, keys = self.prepared(states)
        for layer in self.layers:
            values = layer(values, keys)
        return States(self.last_norm(values), states.counts)

    def prepared(self, states: States) -> tuple[Tensor, Tensor | None]:
        """Return values without padding, with positions, and which keys are attended to."""
        values, counts = states
        real = key_mask(states)
        keys = None
        if real is not None:
            values = values.masked_fill(~real[..., None], 0.0)
            keys = (real | (counts == 0)[:, None])[:, None, None, :]
        if self.config.positions == "sinusoidal":
            values = values + sinusoids(values.shape[1], values.shape[2], values)
        return values, keys


class CrossAttention(nn.Module):
    """N layers in which one sequence attends to another; its width and counts stay.

    With 0 layers, or where there is nothing to attend to, it passes unchanged.
    """

    def __init__(self, width: int, config: AttentionConfig) -> None:
        super().__init__()
        self.own = SelfAttention(width, config)

    def forward(self, states: States, source: States | None) -> States:
        """Attend from each real step of ``states`` to the real steps of ``source``."""
        if source is None or not self.own.layers:
            return states
        values, _ = self.own.prepared(states)
        looked_up, keys = self.own.prepared(source)
        for layer in self.own.layers:
            values = layer(values, keys, looked_up)
        found = (source.counts > 0)[:, None, None]
        values = torch.where(found, self.own.last_norm(values), states.values)
        return States(values, states.counts)


class Layer(nn.Module):
    """One layer: attention and a feed-forward part, each with a residual and a norm."""

    def __init__(self, width: int, config: AttentionConfig) -> None:
        super().__init__()
        self.config = config
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.widen = nn.Linear(width, config.feed_forward)
        self.narrow = nn.Linear(config.feed_forward, width)
        self.norm_attention = nn.LayerNorm(width)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)
        nn.init.xavier_uniform_(self.project_in.weight)
        for linear in (self.project_in, self.project_out):
            nn.init.zeros_(linear.bias)

    def forward(self, values: Tensor, keys: Tensor | None, source: Tensor | None = None) -> Tensor:
        """(batch, step, width), (batch, 1, 1, key) True where attended to → the same shape.

        Without a ``source`` (batch, key, width), the values attend to themselves.
        """
        if self.config.norm == "pre":
            values = values + self._attend(self.norm_attention(values), keys, source)
            return values + self._feed_forward(self.norm_feed_forward(values))
        values = self.norm_attention(values + self._attend(values, keys, source))
        values = self.norm_feed_forward(values + self._feed_forward(values))
        return values

    def _attend(self, values: Tensor, keys: Tensor | None, source: Tensor | None) -> Tensor:
        if source is None:
            parts = self.project_in(values).chunk(3, dim=-1)
        else:
            width = values.shape[-1]
            weight, bias = self.project_in.weight, self.project_in.bias
            looked_up = F.linear(source, weight[width:], bias[width:]).chunk(2, dim=-1)
            parts = (F.linear(values, weight[:width], bias[:width]), *looked_up)
        query, key, value = (
            p.unflatten(-1, (self.config.heads, -1)).transpose(1, 2) for p in parts
        )
        dropout = self.config.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, keys, dropout)
        out: Tensor = self.dropout(self.project_out(mixed.transpose(1, 2).flatten(2)))
        return out

    def _feed_forward(self, values: Tensor) -> Tensor:
        hidden = self.widen(values)
        if self.config.activation == "relu":
            hidden = self.dropout(hidden, relu=True)
        else:
            hidden = self.dropout(F.gelu(hidden))
        out: Tensor = self.dropout(self.narrow(hidden))
        return out

    @torch.no_grad()
    def take(self, layer: nn.TransformerEncoderLayer) -> Layer:
        """Copy the weights of torch's layer."""
        self.project_in.weight.copy_(layer.self_attn.in_proj_weight)
        self.project_in.bias.copy_(layer.self_attn.in_proj_bias)
        pairs: tuple[tuple[nn.Module, nn.Module], ...] = (
            (self.project_out, layer.self_attn.out_proj),
            (self.widen, layer.linear1),
            (self.narrow, layer.linear2),
            (self.norm_attention, layer.norm1),
            (self.norm_feed_forward, layer.norm2),
        )
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        return self


def sinusoids(steps: int, width: int, like: Tensor) -> Tensor:
    """(step, width): sine and cosine of the step at wavelengths from 2π to 20,000π."""
    rate = torch.arange(0, width, 2, device=like.device) * (-math.log(10_000.0) / width)
    angle = torch.arange(steps, device=like.device)[:, None] * rate.exp()
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1).to(like.dtype)
