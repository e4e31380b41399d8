"""Random changes to speech while a net trains: on waveforms, and on log-mel features.

Every module here does nothing in eval mode, draws one set of random numbers per utterance
from torch's generator of the data's device, and touches real samples or frames only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.logmel import LogMelConfig

__all__ = [
    "AddNoise",
    "Augmentation",
    "FrequencyMask",
    "Gain",
    "SpeechAugment",
    "SpeechAugmentation",
    "SpeedPerturbation",
    "TimeMask",
    "Warp",
]


@dataclass(frozen=True)
class SpeechAugmentation:
    """Which random changes speech undergoes while training; all are off by default."""

    speed: float = 0.0
    """Largest relative change of speed (pitch moves along), such as 0.1."""
    gain_db: float = 0.0
    """Largest change of loudness in dB, up or down. A front end that is relative to the
    utterance's maximum does not see it."""
    noise_db: tuple[float, float] | None = None
    """Range of the signal-to-noise ratio of added noise in dB, such as [10, 30]."""
    noise_share: float = 0.5
    """Share of the utterances that noise is added to, in [0, 1]."""
    tempo: float = 0.0
    """Largest relative change of tempo, pitch unchanged, such as 0.15 (log-mel only)."""
    vocal_tract: float = 0.0
    """Largest relative stretch of the frequency axis, such as 0.1 (log-mel only)."""
    mask_mels: tuple[int, int] | None = None
    """Narrowest and widest band of mels that is replaced; the published range is [8, 27]."""
    mask_fill: str = "noise"
    """What replaces it: ``noise`` (uniform within the utterance's range), ``floor`` (the
    utterance's lowest value) or ``middle`` (the middle of the front end's range); masked
    frames become ``middle`` then too, else the lowest value."""
    mask_frames: int = 0
    """Longest run of frames that is masked."""
    mask_frames_share: float = 0.2
    """Longest run of frames that is masked, as a share of the utterance."""
    masks: int = 1
    """Masks of each kind per utterance."""

    def __post_init__(self) -> None:
        for name in ("speed", "tempo", "vocal_tract"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"speech augmentation: {name} is {getattr(self, name)}", "set it in [0, 1)"
                )
        if self.mask_mels and not 0 <= self.mask_mels[0] <= self.mask_mels[1]:
            raise ConfigError(
                f"speech augmentation: mask_mels is {self.mask_mels}",
                "give the narrowest and the widest band, such as [8, 27]",
            )
        if self.mask_fill not in ("noise", "floor", "middle"):
            raise ConfigError(
                f"speech augmentation: mask_fill is {self.mask_fill!r}",
                "set noise, floor or middle",
            )


class Augmentation(nn.Module):
    """Base of all random changes: whoever evaluates a frozen net can tell them apart."""


class SpeechAugment(Augmentation):
    """All changes of a :class:`SpeechAugmentation`, in their order.

    ``augment.on_waveforms(waveforms, samples)`` comes before the log-mel front end,
    ``augment.on_features(features, frames)`` behind it; each returns new values and counts.
    """

    def __init__(self, config: SpeechAugmentation, logmel: LogMelConfig | None = None) -> None:
        super().__init__()
        c = config
        waves: list[nn.Module] = []
        if c.speed:
            waves.append(SpeedPerturbation(c.speed))
        if c.noise_db is not None:
            waves.append(AddNoise(c.noise_db[0], c.noise_db[1], c.noise_share))
        if c.gain_db:
            waves.append(Gain(c.gain_db))
        features: list[nn.Module] = []
        if logmel is not None:
            middle = -logmel.top_db / 2
            if c.tempo or c.vocal_tract:
                features.append(Warp(logmel, c.vocal_tract, c.tempo))
            for _ in range(c.masks):
                if c.mask_mels is not None:
                    features.append(FrequencyMask(*c.mask_mels, fill=c.mask_fill, middle=middle))
                if c.mask_frames:
                    fixed = middle if c.mask_fill == "middle" else None
                    features.append(TimeMask(c.mask_frames, c.mask_frames_share, fixed))
        self.waveform_steps = nn.ModuleList(waves)
        self.feature_steps = nn.ModuleList(features)

    @property
    def active(self) -> bool:
        """Whether any change is switched on by the config."""
        return len(self.waveform_steps) + len(self.feature_steps) > 0

    def on_waveforms(self, waveforms: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, sample), (batch,) → the same, changed when training."""
        for step in self.waveform_steps:
            waveforms, samples = step(waveforms, samples)
        return waveforms, samples

    def on_features(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame, mel), (batch,) → the same, changed when training."""
        for step in self.feature_steps:
            features, frames = step(features, frames)
        return features, frames


class Gain(Augmentation):
    """Change each utterance's loudness by up to ``db`` dB, up or down."""

    def __init__(self, db: float) -> None:
        super().__init__()
        self.db = db

    def forward(self, waveforms: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, sample), (batch,) → the same."""
        if not self.training:
            return waveforms, samples
        db = _uniform(waveforms, -self.db, self.db)
        return waveforms * torch.pow(10.0, db / 20.0)[:, None], samples


class AddNoise(Augmentation):
    """Add white or pink noise at a signal-to-noise ratio drawn from [low_db, high_db].

    The ratio is that of the mean powers over the utterance's real samples. Noise is white
    to pink in a proportion drawn per utterance; silence stays silent.
    """

    def __init__(self, low_db: float, high_db: float, share: float = 1.0) -> None:
        super().__init__()
        self.low_db, self.high_db, self.share = low_db, high_db, share

    def forward(self, waveforms: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, sample), (batch,) → the same."""
        if not self.training:
            return waveforms, samples
        length = waveforms.shape[1]
        real = torch.arange(length, device=waveforms.device) < samples[:, None]
        speech = waveforms.masked_fill(~real, 0.0)
        spectrum = torch.fft.rfft(torch.randn_like(speech, dtype=torch.float32))
        tilt = torch.arange(1, spectrum.shape[1] + 1, device=waveforms.device)
        slope = _uniform(waveforms, 0.0, 0.5)[:, None]
        noise = torch.fft.irfft(spectrum * tilt.pow(-slope), n=length).masked_fill(~real, 0.0)
        ratio_db = _uniform(waveforms, self.low_db, self.high_db)
        power = speech.square().sum(1) / noise.square().sum(1).clamp(min=1e-12)
        scale = (power * torch.pow(10.0, -ratio_db / 10.0)).sqrt()
        scale = scale * (_uniform(waveforms, 0.0, 1.0) < self.share)
        return speech + scale[:, None] * noise, samples


class SpeedPerturbation(Augmentation):
    """Play each utterance faster or slower by a factor in [1 - spread, 1 + spread].

    Pitch moves along. Cubic interpolation between samples, all utterances at once.
    """

    def __init__(self, spread: float) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, waveforms: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, sample), (batch,) → the same, with other lengths."""
        if not self.training or waveforms.shape[1] == 0:
            return waveforms, samples
        real = torch.arange(waveforms.shape[1], device=waveforms.device) < samples[:, None]
        waveforms = waveforms.masked_fill(~real, 0.0)
        factor = _uniform(waveforms, 1 - self.spread, 1 + self.spread)
        changed = torch.where(samples > 0, (samples / factor).long().clamp(min=1), 0)
        length = math.ceil(waveforms.shape[1] / (1 - self.spread))
        if not torch.compiler.is_compiling() and waveforms.device.type == "cpu":
            length = max(int(changed.max()), 1)
        steps = torch.arange(length, device=waveforms.device)
        where = steps * factor[:, None].double()
        left = where.long()
        t = (where - left).to(waveforms.dtype)
        last = waveforms.shape[1] - 1

        def at(k: int) -> Tensor:
            return waveforms.gather(1, (left + k).clamp(0, last))

        a, b, c, d = at(-1), at(0), at(1), at(2)
        cubic = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        return cubic.masked_fill(steps >= changed[:, None], 0.0), changed


class FrequencyMask(Augmentation):
    """Replace a band of ``low`` to ``high`` mels on the real frames.

    With ``fill="noise"`` by uniform noise between each channel's lowest and highest real
    value in the utterance (the published choice), with ``fill="floor"`` by the lowest, with
    ``fill="middle"`` by ``middle`` dB (differences: zero).
    """

    def __init__(
        self, low: int = 8, high: int = 27, *, fill: str = "noise", middle: float = -40.0
    ) -> None:
        super().__init__()
        self.low, self.high, self.fill, self.middle = low, high, fill, middle

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame, mel), (batch,) → the same."""
        if not self.training:
            return features, frames
        count, mels = features.shape[0], features.shape[3]
        width = torch.randint(self.low, self.high + 1, (count,), device=features.device)
        width = width.clamp(max=mels)
        start = (_uniform(features, 0.0, 1.0) * (mels - width + 1)).long()
        mel = torch.arange(mels, device=features.device)
        band = (mel >= start[:, None]) & (mel < (start + width)[:, None])
        padding = _frames_beyond(features, frames)[:, None, :, None]
        where = band[:, None, None, :] & ~padding
        if self.fill == "middle":
            return torch.where(where, _level(features, self.middle), features), frames
        low = features.masked_fill(padding, torch.inf).amin((2, 3), keepdim=True)
        if self.fill == "floor":
            return torch.where(where, low, features), frames
        high = features.masked_fill(padding, -torch.inf).amax((2, 3), keepdim=True)
        noise = low + (high - low) * torch.rand_like(features)
        return torch.where(where, noise, features), frames


class TimeMask(Augmentation):
    """Silence a run of up to ``longest`` frames, and at most ``share`` of the utterance.

    The frames take the lowest real value in the utterance, or ``level`` dB if it is given;
    differences become zero.
    """

    def __init__(self, longest: int, share: float = 0.2, level: float | None = None) -> None:
        super().__init__()
        self.longest, self.share, self.level = longest, share, level

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame, mel), (batch,) → the same."""
        if not self.training:
            return features, frames
        longest = (frames * self.share).clamp(max=self.longest)
        width = (_uniform(features, 0.0, 1.0) * (longest + 1)).long().minimum(frames)
        start = (_uniform(features, 0.0, 1.0) * (frames - width + 1)).long()
        step = torch.arange(features.shape[2], device=features.device)
        run = (step >= start[:, None]) & (step < (start + width)[:, None])
        padding = _frames_beyond(features, frames)[:, None, :, None]
        where = run[:, None, :, None] & ~padding
        if self.level is not None:
            return torch.where(where, _level(features, self.level), features), frames
        low = features.masked_fill(padding, torch.inf).amin((2, 3), keepdim=True)
        is_level = torch.arange(features.shape[1], device=features.device) == 0
        low = torch.where(is_level[:, None, None], low, 0.0)
        return torch.where(where, low, features), frames


class Warp(Augmentation):
    """Stretch an utterance's log-mel picture in frequency and in time.

    The frequency axis is stretched by up to ``vocal_tract`` (another speaker's vocal tract),
    time by up to ``tempo``, both log-uniform, both per utterance, bilinear. Differences
    along time (the second channel) are scaled with the tempo.
    """

    def __init__(self, logmel: LogMelConfig, vocal_tract: float, tempo: float) -> None:
        super().__init__()
        self.vocal_tract, self.tempo = vocal_tract, tempo
        low, high = (float(_to_mel(torch.tensor(hz))) for hz in (logmel.low_hz, logmel.high_hz))
        self.low, self.step = low, (high - low) / (logmel.mels + 1)

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame, mel), (batch,) → the same, with other lengths."""
        if not self.training:
            return features, frames
        _, _, total, mels = features.shape
        stretch = _uniform(features, -1.0, 1.0).mul(self.vocal_tract).exp()
        pace = _uniform(features, -1.0, 1.0).mul(self.tempo).exp()
        changed = torch.where(frames > 0, (frames / pace).long().clamp(min=1), 0)
        length = math.ceil(total * math.exp(self.tempo))
        if not torch.compiler.is_compiling() and features.device.type == "cpu":
            length = max(int(changed.max()), 1)
        step = torch.arange(length, device=features.device)
        hz = _to_hz(self.low + self.step * torch.arange(1, mels + 1, device=features.device))
        mel = (_to_mel(hz * stretch[:, None]) - self.low) / self.step - 1
        mel = mel.clamp(0, mels - 1) / max(mels - 1, 1) * 2 - 1
        last = (frames - 1).clamp(min=0)[:, None]
        time = torch.minimum(step * pace[:, None], last) / max(total - 1, 1) * 2 - 1
        grid = torch.stack(
            (mel[:, None, :].expand(-1, length, -1), time[:, :, None].expand(-1, -1, mels)), -1
        )
        warped = F.grid_sample(features, grid, align_corners=True, padding_mode="border")
        if warped.shape[1] > 1:
            level, slope = warped[:, :1], warped[:, 1:] * pace[:, None, None, None]
            warped = torch.cat((level, slope), 1)
        beyond = _frames_beyond(warped, changed)
        return warped.masked_fill(beyond[:, None, :, None], 0.0), changed


def _level(features: Tensor, db: float) -> Tensor:
    """(channel, 1, 1): ``db`` in the first channel, zero in that of differences."""
    return features.new_tensor([db, 0.0])[: features.shape[1], None, None]


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    """Return one number per utterance in [low, high)."""
    return torch.rand(like.shape[0], device=like.device).mul_(high - low).add_(low)


def _frames_beyond(features: Tensor, frames: Tensor) -> Tensor:
    """(batch, frame): True behind the real frames."""
    return torch.arange(features.shape[2], device=features.device) >= frames[:, None]


_MEL_KNEE_HZ, _MEL_KNEE, _MEL_LOG = 1000.0, 15.0, math.log(6.4) / 27.0


def _to_mel(hz: Tensor) -> Tensor:
    """Return Slaney's mel: linear below 1 kHz, logarithmic above."""
    above = _MEL_KNEE + torch.log(hz.clamp(min=_MEL_KNEE_HZ) / _MEL_KNEE_HZ) / _MEL_LOG
    return torch.where(hz < _MEL_KNEE_HZ, hz * (_MEL_KNEE / _MEL_KNEE_HZ), above)


def _to_hz(mel: Tensor) -> Tensor:
    """Return the frequency in Hz of Slaney's mel."""
    above = _MEL_KNEE_HZ * torch.exp((mel - _MEL_KNEE) * _MEL_LOG)
    return torch.where(mel < _MEL_KNEE, mel * (_MEL_KNEE_HZ / _MEL_KNEE), above)
