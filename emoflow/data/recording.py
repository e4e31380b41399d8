"""What gives a recording's origin away, whatever is said in it: level, pauses, bandwidth, rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recording", "describe_recording"]

_QUIETEST_DB = -120.0
_FRAME_SECONDS = 0.025
_SILENT_DB = -40.0  # below the loudest frame
_INAUDIBLE_DB = -60.0  # below full scale
_SPECTRUM = 1024
_SPECTRA = 24
_WINDOW = np.hanning(_SPECTRUM).astype(np.float32)
_EMPTY_DB = -55.0  # below the strongest band


class Recording(NamedTuple):
    """Facts of one utterance's recording."""

    rate: float
    """Sampling rate of the file, in Hz."""
    loudness: float
    """Root mean square in dB, full scale is 0, at least -120."""
    silence: float
    """Share of 25 ms frames 40 dB below the loudest one, or 60 dB below full scale."""
    bandwidth: float
    """Highest frequency in Hz that is less than 55 dB weaker than the strongest one."""


def describe_recording(samples: NDArray[np.float32], rate: int) -> Recording:
    """Describe (frame, channel) float32 samples in [-1, 1]; channels are averaged."""
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    power = float(np.dot(mono, mono)) / max(1, len(mono))
    return Recording(float(rate), _decibel(power), _silence(mono, rate), _bandwidth(mono, rate))


def _decibel(power: float) -> float:
    return max(_QUIETEST_DB, 10 * float(np.log10(max(power, 1e-30))))


def _silence(mono: NDArray[np.float32], rate: int) -> float:
    size = max(1, min(len(mono), round(_FRAME_SECONDS * rate)))
    frames = mono[: len(mono) // size * size].reshape(-1, size)
    power = np.einsum("fs,fs->f", frames, frames) / size
    limit = max(power.max(initial=0.0) * 10 ** (_SILENT_DB / 10), 10 ** (_INAUDIBLE_DB / 10))
    return float((power < limit).mean()) if len(power) else 1.0


def _bandwidth(mono: NDArray[np.float32], rate: int) -> float:
    size = _SPECTRUM
    if len(mono) < size:
        mono = np.pad(mono, (0, size - len(mono)))
    starts = np.linspace(0, len(mono) - size, min(_SPECTRA, 1 + len(mono) // size)).astype(int)
    frames = mono[starts[:, None] + np.arange(size)] * _WINDOW
    spectrum = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)
    bands = np.convolve(spectrum, np.ones(8) / 8, mode="same")
    strong = np.flatnonzero(bands > bands.max() * 10 ** (_EMPTY_DB / 10))
    return float(strong[-1] * rate / size) if len(strong) and bands.max() > 0 else 0.0
