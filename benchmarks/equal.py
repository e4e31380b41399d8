"""Both sides of stages.py on equal weights and full-length utterances: their losses must agree."""

from __future__ import annotations

import torch
from plain import FRAMES, TOKENS, WIDTH, PlainStack
from sides import Sizes, emoflow_net, emoflow_side, plain_net, plain_side
from torch import Tensor, nn
from tree import HOP
from utterances import plain_batch

from emoflow.nets import SelfAttention
from emoflow.types import Batch

PLAIN_ORDER = torch.arange(WIDTH)
BY_FREQUENCY = torch.arange(WIDTH).view(24, 32).T.flatten()
"""emoflow's convolutions order a state by frequency, then channel; the plain ones otherwise."""


@torch.no_grad()
def copy_layers(plain: PlainStack, ours: SelfAttention, order: Tensor) -> None:
    """Copy attention layers; value i of our states is value ``order[i]`` of the plain ones."""
    for theirs, mine in zip(plain.layers, ours.layers, strict=True):
        mine.project_in.weight.copy_(theirs.qkv.weight[:, order])
        mine.project_in.bias.copy_(theirs.qkv.bias)
        mine.widen.weight.copy_(theirs.first.weight[:, order])
        mine.widen.bias.copy_(theirs.first.bias)
        for mine_out, out in (
            (mine.project_out, theirs.out),
            (mine.narrow, theirs.second),
            (mine.norm_attention, theirs.norm1),
            (mine.norm_feed_forward, theirs.norm2),
        ):
            mine_out.weight.copy_(out.weight[order])
            mine_out.bias.copy_(out.bias[order])


def copy_head(plain: nn.Module, linear: nn.Linear, ours: nn.Module, order: Tensor) -> None:
    """Copy the recurrent net and the outputs."""
    weights = dict(plain.state_dict())
    weights["weight_ih_l0"] = weights["weight_ih_l0"][:, order]
    ours.head.pool.net.load_state_dict(weights)
    ours.output.load_state_dict(linear.state_dict())


def compare(stage: int, sizes: Sizes, steps: int = 3) -> None:
    """Train both on equal weights and full-length utterances; print the losses."""
    plain, ours = plain_net(stage, sizes).eval(), emoflow_net(stage, sizes).eval()
    size = 2
    frames, counts = torch.full((size,), FRAMES), torch.full((size,), TOKENS)
    batch = Batch(torch.arange(size))
    features = torch.randn(size, 2, FRAMES, 128)
    if stage == 1:
        samples = torch.full((size,), (FRAMES - 1) * HOP)
        batch.waveforms, batch.samples = torch.randn(size, int(samples[0])) * 0.1, samples
        features = ours.speech.encoder.input(batch.waveforms, samples)[0]
        for mine, theirs in zip(
            ours.speech.encoder.convolutions, plain.tower.convolutions, strict=True
        ):
            mine.load_state_dict(theirs.state_dict())
        copy_layers(plain.tower.attention, ours.speech.attention, BY_FREQUENCY)
        copy_head(plain.gru, plain.linear, ours, BY_FREQUENCY)
    inputs = plain_batch(stage, features, frames, counts)
    with torch.no_grad():
        if stage == 2:
            batch.text_states = plain.tower.bert(inputs[0]).last_hidden_state
            batch.text_frames = counts
            copy_layers(plain.tower.attention, ours.text.attention, PLAIN_ORDER)
            copy_head(plain.gru, plain.linear, ours, PLAIN_ORDER)
        elif stage == 3:
            batch.speech_states, batch.speech_frames = plain.speech(*inputs[:2])[0], frames
            batch.text_states, batch.text_frames = plain.text(*inputs[2:4])[0], counts
            copy_layers(plain.attention, ours.attention, PLAIN_ORDER)
            copy_head(plain.lstm, plain.linear, ours, PLAIN_ORDER)
    batch.emotion = batch.arousal = inputs[-1]
    sides = plain_side(stage, plain), emoflow_side(stage, ours)
    print("equal weights, nothing padded, no dropout, float32:")
    for step in range(steps):
        a, b = sides[0].step(inputs), sides[1].step(batch)
        print(f"  step {step}: loss plain {a:.6f}, emoflow {b:.6f}, difference {abs(a - b):.1e}")
