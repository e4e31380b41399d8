"""From a batch to one tower's states."""

from __future__ import annotations

import torch
from torch import Tensor

from emoflow.nets.states import States
from emoflow.nets.towers import Tower
from emoflow.types import Batch

__all__ = ["read"]


def read(tower: Tower, batch: Batch, modality: str, *, skip_absent: bool = False) -> States | None:
    """Run one tower on its part of a batch.

    Utterances without the modality get 0 real steps, so that nothing behind the tower sees
    what stands in their place.

    Returns
    -------
    The tower's states; ``None`` if the batch has no such field, or, with ``skip_absent`` on a
    CPU, if no utterance has the modality.
    """
    present: Tensor | None = getattr(batch, f"{modality}_present")
    looks = skip_absent and not torch.compiler.is_compiling()
    if looks and present is not None and present.device.type == "cpu" and not present.any():
        return None
    stored: Tensor | None = getattr(batch, f"{modality}_states", None)
    states: States
    if stored is not None:
        counts = _real(stored, getattr(batch, f"{modality}_frames"), present)
        weight = next(tower.parameters(), None)
        dtype = torch.float32 if weight is None else weight.dtype
        states = tower(states=States(stored.to(dtype), counts))
        return states
    inputs, given = _inputs(batch, modality)
    if inputs is None:
        return None
    states = tower(inputs, _real(inputs, given, present))
    return states


def _inputs(batch: Batch, modality: str) -> tuple[Tensor | None, Tensor | None]:
    """Return what a tower reads, and its real steps."""
    if modality == "speech":
        return batch.waveforms, batch.samples
    if modality == "text":
        return batch.tokens, batch.token_counts
    if batch.signals is None or batch.signals_known is None:
        return None, None
    known = batch.signals_known.to(batch.signals.dtype)
    return torch.cat((batch.signals, known), dim=-1), batch.signal_steps


def _real(values: Tensor, counts: Tensor | None, present: Tensor | None) -> Tensor:
    """(batch,) real steps: all where no counts are given, 0 where absent."""
    if counts is None:
        counts = torch.full((values.shape[0],), values.shape[1], device=values.device)
    return counts if present is None else counts * present
