"""Fundamental frequency by autocorrelation, for a whole batch at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from emoflow.frontends.masked import masked_quantiles
from emoflow.types import SAMPLE_RATE

__all__ = ["Pitch", "autocorrelation", "track_pitch", "window_correlation"]

_FRAMES = 4096  # transformed at once
_BELOW, _ABOVE = 0.7, 1.8


class Pitch(NamedTuple):
    """What is known of every frame's voice, each (batch, frame)."""

    hz: Tensor
    """Fundamental frequency; means nothing where not voiced."""
    strength: Tensor
    """Normalised autocorrelation at its period, in [0, 0.999]."""
    voiced: Tensor
    """Whether there is a voice."""


def window_correlation(window: Tensor, lags: int) -> Tensor:
    """Return the normalised autocorrelation of a window at lags 0 to ``lags``, (lags + 1,)."""
    power = torch.fft.rfft(window, 2 * len(window)).abs().square()
    correlation: Tensor = torch.fft.irfft(power)[: lags + 1]
    correlation = correlation / correlation[0]
    return correlation


def autocorrelation(frames: Tensor, window: Tensor, correction: Tensor) -> Tensor:
    """Normalised autocorrelation of frames, freed of the window's own.

    Parameters
    ----------
    frames
        (batch, frame, sample); may be a view that overlaps itself.
    window
        (sample,) taper.
    correction
        (lag,) what :func:`window_correlation` gives; says how many lags.

    Returns
    -------
    (batch, frame, lag)
    """
    parts = []
    size = max(1, _FRAMES // max(1, frames.shape[0]))
    for start in range(0, frames.shape[1], size):
        part = frames[:, start : start + size]
        tapered = (part - part.mean(-1, keepdim=True)) * window
        power = torch.fft.rfft(tapered, 2 * len(window)).abs().square()
        parts.append(torch.fft.irfft(power)[..., : len(correction)])
    correlation = torch.cat(parts, dim=1)
    return correlation / correlation[..., :1].clamp(min=1e-9) / correction


def track_pitch(
    correlation: Tensor,
    loud: Tensor,
    *,
    first_lag: int,
    voicing: float,
    octave_cost: float,
) -> Pitch:
    """Take the best peak of each frame's autocorrelation.

    A second pass looks only between 0.7 times the first quartile and 1.8 times the third of
    the first pass, against jumps by an octave. After Boersma 1993.

    Parameters
    ----------
    correlation
        (batch, frame, lag) from lag 0 to one beyond the longest period.
    loud
        (batch, frame): frames that may be voiced.
    first_lag
        Shortest period, in samples.
    voicing
        Least autocorrelation of a voiced frame.
    octave_cost
        What a peak pays per octave below the highest frequency.
    """
    lags = torch.arange(first_lag, correlation.shape[-1] - 1, device=correlation.device)
    inner = correlation[..., lags]
    peak = (inner >= correlation[..., lags - 1]) & (inner > correlation[..., lags + 1])
    score = (inner - octave_cost * torch.log2(lags / first_lag)).masked_fill(~peak, -1.0)

    def best(score: Tensor) -> Pitch:
        top, place = score.max(-1, keepdim=True)
        lag = lags[place]
        left, middle, right = (correlation.gather(-1, lag + k) for k in (-1, 0, 1))
        bend = (left - 2 * middle + right).clamp(max=-1e-6)
        shift = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
        strength = middle.clamp(0.0, 0.999)
        voiced = loud[..., None] & (strength > voicing) & (top > 0.0)
        found = SAMPLE_RATE / (lag + shift)
        return Pitch(found.squeeze(-1), strength.squeeze(-1), voiced.squeeze(-1))

    rough = best(score)
    quartiles = masked_quantiles(rough.hz[..., None], rough.voiced, (0.25, 0.75))
    some = rough.voiced.any(1)[:, None, None]
    low, high = _BELOW * quartiles[:, :1], _ABOVE * quartiles[:, 1:]
    hz = SAMPLE_RATE / lags
    return best(score.masked_fill(some & ((hz < low) | (hz > high)), -1.0))
