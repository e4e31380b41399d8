"""Statistics over the real steps of padded tracks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["masked_mean", "masked_quantiles", "masked_slope", "moments", "run_sizes"]


def masked_mean(tracks: Tensor, mask: Tensor) -> Tensor:
    """Mean of (batch, step, track) where (batch, step) holds; 0 where it holds nowhere."""
    weight = mask[..., None].to(tracks.dtype)
    total = tracks.masked_fill(~mask[..., None], 0.0).sum(1)
    return total / weight.sum(1).clamp(min=1.0)


def masked_quantiles(tracks: Tensor, mask: Tensor, shares: Sequence[float]) -> Tensor:
    """Quantiles of (batch, step, track) where (batch, step) holds.

    Linear between order statistics, as ``numpy.quantile``; 0 where the mask holds nowhere.

    Returns
    -------
    (batch, share, track)
    """
    ordered = tracks.masked_fill(~mask[..., None], math.inf).sort(dim=1).values
    last = (mask.sum(1) - 1).clamp(min=0)[:, None]
    place = last * tracks.new_tensor(shares)
    low = place.floor().long()
    high = torch.minimum(low + 1, last)

    def order_statistic(index: Tensor) -> Tensor:
        return ordered.gather(1, index[..., None].expand(-1, -1, tracks.shape[2]))

    between = (place - low)[..., None].to(tracks.dtype)
    values = torch.lerp(order_statistic(low), order_statistic(high), between)
    return values.masked_fill(~mask.any(1)[:, None, None], 0.0)


def masked_slope(tracks: Tensor, mask: Tensor, reach: int = 2) -> tuple[Tensor, Tensor]:
    """Slope per step of the line fitted to ``2 * reach + 1`` steps.

    Returns
    -------
    slope
        (batch, step, track)
    mask
        (batch, step): where the mask held at all those steps.
    """
    steps = tracks.shape[1]
    padded = F.pad(tracks.masked_fill(~mask[..., None], 0.0), (0, 0, reach, reach))
    held = F.pad(mask, (reach, reach))
    slope = torch.zeros_like(tracks)
    whole = mask
    for k in range(1, reach + 1):
        right, left = slice(reach + k, reach + k + steps), slice(reach - k, reach - k + steps)
        slope = slope + k * (padded[:, right] - padded[:, left])
        whole = whole & held[:, right] & held[:, left]
    return slope / (2 * sum(k * k for k in range(1, reach + 1))), whole


def moments(tracks: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, log deviation, skewness and log (kurtosis + 1), each (batch, track)."""
    mean = masked_mean(tracks, mask)
    centred = tracks - mean[:, None]
    deviation = masked_mean(centred.square(), mask).clamp(min=1e-8).sqrt()
    scaled = centred / deviation[:, None]
    skewness = masked_mean(scaled.pow(3), mask)
    kurtosis = masked_mean(scaled.pow(4), mask)
    return mean, deviation.log(), skewness, (kurtosis + 1.0).log()


def run_sizes(on: Tensor) -> tuple[Tensor, Tensor]:
    """Sizes of the stretches of consecutive true steps of (batch, step).

    Returns
    -------
    sizes
        (batch, step) int64: at the last step of a stretch its size, elsewhere 0.
    count
        (batch,) int64: stretches.
    """
    step = torch.arange(on.shape[1], device=on.device).expand_as(on)
    begin = on & ~F.pad(on, (1, 0))[:, :-1]
    end = on & ~F.pad(on, (0, 1))[:, 1:]
    first = torch.where(begin, step, -1).cummax(1).values
    return torch.where(end, step - first + 1, 0), end.sum(1)
