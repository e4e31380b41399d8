"""Cutting the quiet ends of an utterance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from emoflow.types import SAMPLE_RATE

__all__ = ["trim"]

_BLOCK = 512


def trim(
    waveforms: Tensor, samples: Tensor, below_db: float, margin_seconds: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Cut what is quiet at either end of each utterance, by its own loudest block of 32 ms.

    Parameters
    ----------
    waveforms
        (batch, sample) at 16 kHz; what lies behind the real samples is ignored.
    samples
        (batch,) int64, real samples per utterance.
    below_db
        A block this far below the loudest one is quiet, in dB.
    margin_seconds
        Kept on either side of the first and last block that is not.

    Returns
    -------
    tuple
        (batch, sample) zero behind the real samples, and the (batch,) samples left: never
        0 where there were some.
    """
    position = torch.arange(waveforms.shape[1], device=waveforms.device)
    waveforms = waveforms.masked_fill(position >= samples[:, None], 0.0)
    padded = F.pad(waveforms, (0, -waveforms.shape[1] % _BLOCK))
    blocks = padded.reshape(len(padded), -1, _BLOCK)
    power = blocks.square().mean(2)
    loud = (power >= power.amax(1, keepdim=True) * 10 ** (-below_db / 10)).long()
    margin = round(margin_seconds * SAMPLE_RATE)
    first = (loud.argmax(1) * _BLOCK - margin).clamp(min=0)
    last = (loud.shape[1] - loud.flip(1).argmax(1)) * _BLOCK + margin
    kept = torch.minimum(last, samples) - first
    kept = torch.where(samples > 0, kept.clamp(min=1), 0)
    size = max(int(kept.max()), 1)
    index = first[:, None] + torch.arange(size, device=kept.device)
    cut = waveforms.gather(1, index.clamp(max=waveforms.shape[1] - 1))
    return cut.masked_fill(index - first[:, None] >= kept[:, None], 0.0), kept
