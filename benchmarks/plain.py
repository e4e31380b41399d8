"""A plain rendering of system A as published, to measure emoflow against.

What a reader of the slides would write: every utterance padded to 512 frames and 64 tokens,
attention as a product, a softmax and a product, recurrent heads over all steps, frozen towers
computed in every step. The weights have emoflow's shapes, so that both can hold the same ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

FRAMES, TOKENS, WIDTH = 512, 64, 768


class PlainAttention(nn.Module):
    """Post-norm self-attention layer: scores, mask, softmax, dropout, sum."""

    def __init__(self, heads: int, feed_forward: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.first, self.second = nn.Linear(WIDTH, feed_forward), nn.Linear(feed_forward, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        q, k, v = self.qkv(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(padding[:, None, None, :], float("-inf"))
        mixed = self.dropout(scores.softmax(dim=-1)) @ v
        x = self.norm1(x + self.dropout(self.out(mixed.transpose(1, 2).reshape(x.shape))))
        hidden = self.dropout(functional.relu(self.first(x)))
        return self.norm2(x + self.dropout(self.second(hidden)))


class PlainStack(nn.Module):
    """Layers of :class:`PlainAttention`."""

    def __init__(self, layers: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PlainAttention(heads, feed_forward) for _ in range(layers))

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, padding)
        return x


class PlainSpeechTower(nn.Module):
    """Four convolutions along frequency over (batch, 2, 512, 128), then attention."""

    def __init__(self, layers: int = 7) -> None:
        super().__init__()
        shapes = [(2, 8, 4, 2), (8, 8, 7, 1), (8, 24, 4, 2), (24, 24, 7, 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, (1, k), (1, s), padding=(0, (k - 1) // 2), bias=False)
            for i, o, k, s in shapes
        )
        self.attention = PlainStack(layers, heads=4, feed_forward=1024)

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        x = features
        for convolution in self.convolutions:
            x = functional.relu(convolution(x))
        x = x.transpose(1, 2).flatten(2)
        padding = torch.arange(FRAMES, device=x.device) >= frames[:, None]
        return self.attention(x, padding), padding


class PlainTextTower(nn.Module):
    """A frozen BERT over 64 tokens, then attention."""

    def __init__(self, bert: nn.Module, layers: int = 5, heads: int = 8) -> None:
        super().__init__()
        self.bert = bert.requires_grad_(False).eval()
        self.attention = PlainStack(layers, heads, feed_forward=1024)

    def forward(self, tokens: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        real = torch.arange(TOKENS, device=tokens.device) < counts[:, None]
        with torch.no_grad():
            x = self.bert(tokens, attention_mask=real.long()).last_hidden_state
        return self.attention(x, ~real), ~real


class PlainRegressor(nn.Module):
    """A tower, a two-layer GRU of 64 over every step, its last step, a linear output."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.gru = nn.GRU(WIDTH, 64, num_layers=2, batch_first=True)
        self.linear = nn.Linear(64, 1)

    def forward(self, inputs: Tensor, counts: Tensor) -> Tensor:
        x, _ = self.tower(inputs, counts)
        return self.linear(self.gru(x)[0][:, -1])[:, 0]


class PlainMerged(nn.Module):
    """Both towers, frozen but computed in every step, joint attention, an LSTM of 128."""

    def __init__(self, speech: nn.Module, text: nn.Module, layers: int = 2) -> None:
        super().__init__()
        self.speech = speech.requires_grad_(False).eval()
        self.text = text.requires_grad_(False).eval()
        self.attention = PlainStack(layers, heads=6, feed_forward=3072)
        self.lstm = nn.LSTM(WIDTH, 128, num_layers=2, batch_first=True)
        self.linear = nn.Linear(128, 5)

    def forward(self, features: Tensor, frames: Tensor, tokens: Tensor, counts: Tensor) -> Tensor:
        with torch.no_grad():
            speech, speech_padding = self.speech(features, frames)
            text, text_padding = self.text(tokens, counts)
        x = torch.cat([speech, text], dim=1)
        x = self.attention(x, torch.cat([speech_padding, text_padding], dim=1))
        return self.linear(self.lstm(x)[0][:, -1])
