"""Sequences of states, their counts, and the masks that keep padding out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["States", "join", "key_mask", "real_steps", "without_padding"]


class States(NamedTuple):
    """What an encoder gives: a sequence per utterance, padded behind its real steps."""

    values: Tensor
    """(batch, step, width); what lies behind the real steps means nothing."""
    counts: Tensor
    """(batch,) int64, real steps per utterance; 0 where the modality is absent."""


def _looks(tensor: Tensor) -> bool:
    """Whether reading a number out of ``tensor`` is free: eager, on the CPU."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def key_mask(states: States) -> Tensor | None:
    """Return (batch, step) True on real steps, or ``None`` if there is no padding.

    On a GPU, or while compiling, the mask is always returned: looking would wait for the
    device.
    """
    values, counts = states
    steps = values.shape[1]
    if _looks(counts) and bool((counts == steps).all()):
        return None
    return real_steps(values, counts)


def real_steps(values: Tensor, counts: Tensor) -> Tensor:
    """(batch, step, …), (batch,) → (batch, step) True on real steps."""
    return torch.arange(values.shape[1], device=values.device) < counts[:, None]


def without_padding(states: States) -> States:
    """Return the states with zeros behind the real steps, whatever stood there."""
    real = key_mask(states)
    if real is None:
        return states
    return States(states.values.masked_fill(~real[..., None], 0.0), states.counts)


def join(first: States, second: States) -> States:
    """Concatenate two sequences per utterance, without a gap between their real steps."""
    a, b = first.values.shape[1], second.values.shape[1]
    counts = first.counts + second.counts
    both = torch.cat((first.values, second.values), dim=1)
    longest = int(counts.max()) if _looks(counts) else a + b
    step = torch.arange(max(longest, 1), device=both.device)
    shift = (a - first.counts)[:, None]
    source = torch.where(step < first.counts[:, None], step, step + shift).clamp(max=a + b - 1)
    offset = torch.arange(both.shape[0], device=both.device)[:, None] * (a + b)
    values = both.flatten(0, 1).index_select(0, (source + offset).flatten())
    values = values.view(*source.shape, both.shape[2])
    return without_padding(States(values, counts))
