"""Statistics of an utterance's loudness, spectrum, voice and rhythm: one vector per utterance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.masked import (
    masked_mean,
    masked_quantiles,
    masked_slope,
    moments,
    run_sizes,
)
from emoflow.frontends.pitch import autocorrelation, track_pitch, window_correlation
from emoflow.types import SAMPLE_RATE

__all__ = ["FunctionalsConfig", "SpeechFunctionals"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_STATISTICS = (
    "mean", "log_deviation", "skewness", "log_kurtosis", "q05", "q25", "q50", "q75", "q95",
    "log_iqr", "log_range",
)  # fmt: skip
_SPECTRAL = (
    "level", "log_centroid", "log_spread", "skewness", "log_kurtosis", "log_rolloff25",
    "log_rolloff50", "log_rolloff75", "log_rolloff90", "log_flux", "entropy", "flatness",
    "slope", "slope50", "slope500", "slope1500", "alpha", "hammarberg", "share250",
    "share1000", "share4000", "log_crossings", "voicing",
)  # fmt: skip
_VOICE = (
    "semitone", "harmonicity", "h1_h2", "h1_h4", "h1_peak400", "h1_peak1000", "h1_peak2500",
)  # fmt: skip
_RUNS = ("rate", "log_mean", "log_deviation", "log_longest")
_RHYTHM = (
    "log_seconds", "voiced_share", "peak_rate", "gap_share",
    *(f"{kind}_{name}" for kind in ("voiced", "unvoiced", "gap") for name in _RUNS),
)  # fmt: skip
_TINY = 1e-8


@dataclass(frozen=True)
class FunctionalsConfig:
    """Which frames are taken of speech, and how its pitch is found."""

    window: int = 1024
    """Samples of a frame's wide window, for pitch (64 ms)."""
    spectral_window: int = 400
    """Samples in the frame's middle that its spectrum is taken of (25 ms)."""
    hop: int = 160
    """Samples between frames (10 ms)."""
    n_fft: int = 512
    """Points of the spectrum's Fourier transform."""
    mels: int = 26
    """Mel bands."""
    cepstrum: int = 14
    """Cepstral coefficients of the mel bands, from the first; the zeroth is the level."""
    lowest_pitch: float = 62.5
    """Lowest fundamental frequency that is searched, in Hz."""
    highest_pitch: float = 550.0
    """Highest fundamental frequency that is searched, in Hz."""
    voicing: float = 0.5
    """Least normalised autocorrelation of a voiced frame, in [0, 1]."""
    octave_cost: float = 0.03
    """Autocorrelation that a candidate pays per octave below ``highest_pitch``."""
    floor_db: float = 40.0
    """Frames this far below the utterance's loud ones (95 % quantile) are silent, in dB."""

    def __post_init__(self) -> None:
        if min(self.spectral_window, self.hop, self.mels, self.cepstrum) < 1:
            raise ConfigError(
                f"functionals: spectral_window {self.spectral_window}, hop {self.hop}, mels "
                f"{self.mels}, cepstrum {self.cepstrum} are not usable",
                "all four must be positive",
            )
        if not self.spectral_window <= min(self.window, self.n_fft) or self.n_fft % 2:
            raise ConfigError(
                f"functionals: a spectral window of {self.spectral_window} samples does not fit "
                f"a window of {self.window} and n_fft {self.n_fft}",
                "set spectral_window to at most both; n_fft must be even",
            )
        if self.cepstrum >= self.mels:
            raise ConfigError(
                f"functionals: {self.cepstrum} cepstral coefficients of {self.mels} mel bands",
                "set cepstrum below mels",
            )
        least = 2 * SAMPLE_RATE / self.window
        if not least <= self.lowest_pitch < self.highest_pitch <= SAMPLE_RATE / 8:
            raise ConfigError(
                f"functionals: pitch from {self.lowest_pitch:g} to {self.highest_pitch:g} Hz does "
                f"not lie between {least:g} Hz (two periods in the window) and "
                f"{SAMPLE_RATE / 8:g} Hz",
                "set lowest_pitch and highest_pitch inside it, or a longer window",
            )


class _Tracks(NamedTuple):
    """Descriptors of every frame."""

    sound: Tensor
    """(batch, frame, track): spectrum, mel bands, cepstrum."""
    voice: Tensor
    """(batch, frame, track): pitch and voice quality, of use in voiced frames only."""
    speech: Tensor
    """(batch, frame): from the first loud frame to the last."""
    voiced: Tensor
    """(batch, frame): where there is a voice."""


class SpeechFunctionals(nn.Module):
    """Waveforms to statistics of frame-wise descriptors, after openSMILE's feature sets.

    63 descriptors of every 10 ms (spectrum and level, mel bands relative to their mean,
    cepstrum) over the speech, their slopes, and the same descriptors over the voiced frames
    only; 7 descriptors of pitch and voice quality and their slopes; durations and rates.
    Of each track mean, deviation, skewness, kurtosis, quantiles and their distances.

    No parameters and nothing in the ``state_dict``; always computed in float32.
    """

    names: tuple[str, ...]
    """Of every statistic, such as ``voice.semitone.q50`` (semitones above 55 Hz) or
    ``spectral.level.voiced.mean`` (dB)."""
    window: Tensor
    window_correlation: Tensor
    spectral_window: Tensor
    mel: Tensor
    dct: Tensor
    cumulate: Tensor
    hz: Tensor

    def __init__(self, config: FunctionalsConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FunctionalsConfig()
        self.first_lag = math.floor(SAMPLE_RATE / config.highest_pitch)
        self.last_lag = math.ceil(SAMPLE_RATE / config.lowest_pitch)
        for name, value in self._constants().items():
            self.register_buffer(name, value, persistent=False)
        self.names = _names(config)
        self.width = len(self.names)

    def _constants(self) -> dict[str, Tensor]:
        c = self.config
        with torch.device("cpu"):
            window = torch.hann_window(c.window, dtype=torch.float32)
            hz = torch.linspace(0, SAMPLE_RATE / 2, c.n_fft // 2 + 1, dtype=torch.float32)
            band = torch.arange(c.mels, dtype=torch.float32)[:, None] + 0.5
            order = torch.arange(1, c.cepstrum + 1, dtype=torch.float32)
            return {
                "window": window,
                "window_correlation": window_correlation(window, self.last_lag + 1),
                "spectral_window": torch.hann_window(c.spectral_window, dtype=torch.float32),
                "mel": _mel_bank(c.mels, hz),
                "dct": torch.cos(math.pi / c.mels * band * order) * math.sqrt(2 / c.mels),
                "cumulate": torch.ones(len(hz), len(hz), dtype=torch.float32).triu(),
                "hz": hz,
            }

    def forward(self, waveforms: Tensor, samples: Tensor) -> Tensor:
        """Compute the statistics.

        Parameters
        ----------
        waveforms
            (batch, sample) in [-1, 1] at 16 kHz; what lies behind an utterance's real samples
            is ignored.
        samples
            (batch,) int64, real samples per utterance.

        Returns
        -------
        (batch, statistic) float32, always finite; an utterance without samples, or of silence,
        has the statistics of one silent frame.
        """
        with torch.autocast(waveforms.device.type, enabled=False):
            tracks = self._tracks(waveforms.detach().float(), samples)
            sound, voice, speech, voiced = tracks
            slope, whole = masked_slope(sound, speech)
            voice_slope, voice_whole = masked_slope(voice, voiced)
            parts = [
                _statistics(sound, speech),
                _statistics(slope, whole),
                masked_mean(slope.abs(), whole),
                _statistics(sound, voiced),
                _statistics(voice, voiced),
                _statistics(voice_slope, voice_whole),
                masked_mean(voice_slope.abs(), voice_whole),
                self._rhythm(speech, voiced, sound[..., 0]),
            ]
            return torch.cat(parts, dim=1)

    # ---- descriptors per frame ------------------------------------------------------

    def _tracks(self, waveforms: Tensor, samples: Tensor) -> _Tracks:
        c = self.config
        position = torch.arange(waveforms.shape[1], device=waveforms.device)
        waveforms = waveforms.masked_fill(position >= samples[:, None], 0.0)
        waveforms = F.pad(waveforms, (0, max(0, c.window - waveforms.shape[1])))
        frames = waveforms.unfold(1, c.window, c.hop)
        count = (samples - c.window).clamp(min=0) // c.hop + 1
        real = torch.arange(frames.shape[1], device=frames.device) < count[:, None]
        start = (c.window - c.spectral_window) // 2
        short = frames[..., start : start + c.spectral_window]
        level = 10 * torch.log10(short.square().mean(-1) + _TINY)
        usual = masked_quantiles(level[..., None], real, (0.95,))[..., 0]
        loud = real & (level > usual - c.floor_db)
        speech = (loud.cumsum(1) > 0) & (loud.flip(1).cumsum(1).flip(1) > 0)

        pitch = track_pitch(
            autocorrelation(frames, self.window, self.window_correlation),
            loud,
            first_lag=self.first_lag,
            voicing=c.voicing,
            octave_cost=c.octave_cost,
        )
        power = torch.fft.rfft(short * self.spectral_window, c.n_fft).abs().square() + _TINY
        crossings = (short[..., 1:] * short[..., :-1] < 0).float().mean(-1)
        spectral = [level, *self._spectrum(power), torch.log(crossings + 0.005), pitch.strength]
        mel = torch.log(power @ self.mel)
        sound = [torch.stack(spectral, -1), mel - mel.mean(-1, keepdim=True), mel @ self.dct]
        voice = self._voice(power.log(), pitch.hz, pitch.strength)
        return _Tracks(torch.cat(sound, -1), voice, speech, pitch.voiced & speech)

    def _spectrum(self, power: Tensor) -> list[Tensor]:
        """(batch, frame, bin) power → spectral descriptors, each (batch, frame)."""
        hz, log_power = self.hz, power.log()
        total = power.sum(-1).log()
        share = power / power.sum(-1, keepdim=True)
        centroid = share @ hz
        distance = hz - centroid[..., None]
        spread = (distance.square() * share).sum(-1).sqrt()
        scaled = distance / spread[..., None]
        below = share @ self.cumulate
        rolloff = [(below < s).sum(-1) * hz[1] for s in (0.25, 0.5, 0.75, 0.9)]
        amplitude = power.sqrt()
        amplitude = amplitude / amplitude.sum(-1, keepdim=True)
        flux = F.pad((amplitude[:, 1:] - amplitude[:, :-1]).square().sum(-1).sqrt(), (1, 0))

        def band(low: float, high: float) -> Tensor:
            return power[..., (hz >= low) & (hz < high)].sum(-1).log()

        def peak(low: float, high: float) -> Tensor:
            return log_power[..., (hz >= low) & (hz < high)].amax(-1)

        def slope(low: float, high: float) -> Tensor:
            inside = (hz >= low) & (hz < high)
            khz = hz[inside] / 1000.0
            khz = khz - khz.mean()
            return log_power[..., inside] @ khz / khz.square().sum()

        return [
            centroid.log(),
            spread.log(),
            (scaled.pow(3) * share).sum(-1).clamp(-10, 50),
            (scaled.pow(4) * share).sum(-1).log(),
            *(torch.log(edge + 50.0) for edge in rolloff),
            torch.log(flux + 1e-3),
            -(share * share.log()).sum(-1),
            log_power.mean(-1) - power.mean(-1).log(),
            slope(50, 7500),
            slope(50, 500),
            slope(500, 1500),
            slope(1500, 5000),
            band(50, 1000) - band(1000, 5000),
            peak(0, 2000) - peak(2000, 5000),
            band(250, 650) - total,
            band(1000, 4000) - total,
            band(4000, SAMPLE_RATE / 2 + 1) - total,
        ]

    def _voice(self, log_power: Tensor, f0: Tensor, strength: Tensor) -> Tensor:
        """Pitch, harmonics-to-noise ratio in dB, and the first harmonic against other peaks."""
        hz = self.hz

        def harmonic(number: int) -> Tensor:
            middle = (number * f0 / hz[1]).round().long()[..., None]
            near = middle + torch.arange(-1, 2, device=hz.device)
            return log_power.gather(-1, near.clamp(0, len(hz) - 1)).amax(-1)

        def peak(low: float, high: float) -> Tensor:
            return log_power[..., (hz >= low) & (hz < high)].amax(-1)

        first = harmonic(1)
        tracks = [
            12 * torch.log2(f0 / 55.0),
            10 * torch.log10(strength.clamp(min=1e-2) / (1 - strength)),
            first - harmonic(2),
            first - harmonic(4),
            first - peak(400, 1000),
            first - peak(1000, 2500),
            first - peak(2500, 4000),
        ]
        return torch.stack(tracks, -1)

    # ---- durations ------------------------------------------------------------------

    def _rhythm(self, speech: Tensor, voiced: Tensor, level: Tensor) -> Tensor:
        """Durations in seconds and rates per second of voice, gaps and peaks of the level."""
        hop_seconds = self.config.hop / SAMPLE_RATE
        frames = speech.sum(1).clamp(min=1)
        seconds = frames * hop_seconds

        def runs(on: Tensor) -> list[Tensor]:
            sizes, count = run_sizes(on)
            number = count.clamp(min=1)
            lengths = sizes * hop_seconds
            mean = lengths.sum(1) / number
            square = (lengths - mean[:, None]).square().masked_fill(sizes == 0, 0.0)
            values = (mean, (square.sum(1) / number).sqrt(), lengths.amax(1))
            return [number / seconds, *(torch.log(value + 0.01) for value in values)]

        inside = speech.to(level.dtype)[:, None]
        smooth = F.avg_pool1d(level[:, None] * inside, 5, 1, 2)
        smooth = smooth / F.avg_pool1d(inside, 5, 1, 2).clamp(min=0.1)
        smooth = smooth.masked_fill(~speech[:, None], -math.inf)
        peaks = voiced & (smooth >= F.max_pool1d(smooth, 11, 1, 5))[:, 0]
        gap = speech & (level <= masked_mean(level[..., None], speech) - 10.0)
        out = [
            seconds.log(),
            voiced.sum(1) / frames,
            peaks.sum(1) / seconds,
            gap.sum(1) / frames,
            *runs(voiced),
            *runs(speech & ~voiced),
            *runs(gap),
        ]
        return torch.stack(out, -1)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> SpeechFunctionals:
        """Move with the module, but stay in float32."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.window.dtype != torch.float32:
            for name, value in self._constants().items():
                setattr(self, name, value.to(self.window.device))
        return self


def _statistics(tracks: Tensor, mask: Tensor) -> Tensor:
    """(batch, frame, track) → (batch, statistic · track), in the order of ``_STATISTICS``."""
    quantiles = masked_quantiles(tracks, mask, _QUANTILES)
    middle = torch.log(quantiles[:, 3] - quantiles[:, 1] + 1e-3)
    range_ = torch.log(quantiles[:, 4] - quantiles[:, 0] + 1e-3)
    return torch.cat([*moments(tracks, mask), *quantiles.unbind(1), middle, range_], dim=1)


def _names(config: FunctionalsConfig) -> tuple[str, ...]:
    sound = [f"spectral.{name}" for name in _SPECTRAL]
    sound += [f"mel.{number}" for number in range(config.mels)]
    sound += [f"cepstrum.{number}" for number in range(1, config.cepstrum + 1)]
    voice = [f"voice.{name}" for name in _VOICE]

    def each(tracks: list[str], kind: str, statistics: tuple[str, ...] = _STATISTICS) -> list[str]:
        return [f"{track}{kind}.{statistic}" for statistic in statistics for track in tracks]

    names = each(sound, "") + each(sound, ".slope") + each(sound, ".slope", ("mean_size",))
    names += each(sound, ".voiced")
    names += each(voice, "") + each(voice, ".slope") + each(voice, ".slope", ("mean_size",))
    return (*names, *(f"rhythm.{name}" for name in _RHYTHM))


def _mel_bank(bands: int, hz: Tensor, low: float = 20.0) -> Tensor:
    """Triangular filters on the mel scale of O'Shaughnessy, (bin, band), each of unit sum."""
    ends = [2595.0 * math.log10(1.0 + edge / 700.0) for edge in (low, float(hz[-1]))]
    mels = torch.linspace(ends[0], ends[1], bands + 2, dtype=hz.dtype)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    up = (hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz[:, None]) / (edges[2:] - edges[1:-1])
    bank = torch.minimum(up, down).clamp(min=0.0)
    return bank / bank.sum(0, keepdim=True).clamp(min=1e-6)
