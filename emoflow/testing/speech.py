"""Speech synthesised with numpy alone: a source, formants, consonants and prosody.

Nobody's recordings are in it. It is good enough to *measure* with: pitch, energy, tempo and
spectral tilt follow the manner that was asked for, on top of voices that differ, and the
vowels and consonants follow the Hangul of the text. It is not meant to be listened to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import fft

from emoflow.types import SAMPLE_RATE

__all__ = ["Manner", "Voice", "draw_voice", "syllables", "synthesise"]

Floats = npt.NDArray[np.float32]

HOP = 128
"""Samples between frames of the filter: 8 ms."""
WINDOW = 512
"""Samples per frame of the filter."""

# F1, F2, F3 in Hz for a male vocal tract; the order is that of _VOWELS.
_FORMANTS = np.array(
    [
        (750, 1250, 2600),  # ㅏ
        (600, 1000, 2550),  # ㅓ
        (430, 800, 2500),  # ㅗ
        (360, 900, 2400),  # ㅜ
        (390, 1400, 2500),  # ㅡ
        (300, 2200, 2950),  # ㅣ
        (520, 1850, 2600),  # ㅐ ㅔ
    ]
)
_BANDWIDTHS = np.array([90.0, 110.0, 170.0, 250.0])
# The 21 medial vowels of Hangul, in Unicode order, by their main vowel.
_VOWELS = (0, 6, 0, 6, 1, 6, 1, 6, 2, 0, 6, 6, 2, 3, 1, 6, 5, 3, 4, 5, 5)
# The 19 initial consonants, in Unicode order: . none, s stop, f fricative, a affricate, n nasal.
_ONSETS = "ssnssnnssff.aaasssf"
_LATIN_VOWELS = {"a": 0, "e": 6, "i": 5, "o": 2, "u": 3, "y": 5}
_DIGITS = (1, 5, 5, 0, 0, 2, 3, 5, 0, 3)

# Per kind of onset: seconds, centre of its noise in Hz, noise gain, voicing left while it lasts.
_CONSONANTS: dict[str, tuple[float, float, float, float]] = {
    ".": (0.0, 3000.0, 0.0, 1.0),
    "s": (0.030, 2500.0, 0.35, 0.05),
    "f": (0.060, 5500.0, 0.30, 0.05),
    "a": (0.050, 4000.0, 0.40, 0.05),
    "n": (0.035, 1000.0, 0.00, 0.35),
}
_KINDS = tuple(_CONSONANTS)
_HERTZ = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
_HISSES = np.stack(
    [
        np.exp(-0.5 * (np.log2(np.maximum(_HERTZ, 60.0) / centre) / 0.7) ** 2)
        for _, centre, _, _ in _CONSONANTS.values()
    ]
).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Voice:
    """What stays the same over the utterances of one speaker."""

    pitch_hz: float = 120.0
    """Pitch at middle arousal."""
    formant_scale: float = 1.0
    """1 is a male vocal tract; a shorter one scales every formant up."""
    level_db: float = 0.0
    """Loudness relative to the mean speaker."""
    tempo: float = 1.0
    """Syllable rate relative to the mean speaker."""
    tilt_db: float = 0.0
    """Extra spectral slope in dB per octave; positive is brighter."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one utterance is spoken."""

    arousal: float = 3.0
    """1 (calm) to 5 (excited): pitch, its range, energy, tempo and brightness follow."""
    surprise: float = 0.0
    """0 to 1: a leap of the pitch at the start and a long rise at the end."""
    smile: float = 0.0
    """-1 to 1: formants pulled down or up, as spread lips do."""
    tremor: float = 0.0
    """0 to 1: a 6 Hz wobble of pitch and loudness."""
    fall: float = 0.0
    """Semitones by which the pitch sinks over the utterance, beside the usual three."""
    breath: float = 0.0
    """0 to 1: breath noise in the voice."""


def draw_voice(rng: np.random.Generator, sex: Literal["female", "male"]) -> Voice:
    """Return a speaker of the given sex, unlike the others."""
    female = sex == "female"
    pitch = (205.0 if female else 118.0) * 2 ** (rng.normal(0, 1.5) / 12)
    scale = (1.16 if female else 1.0) * np.exp(rng.normal(0, 0.025))
    level, tempo, tilt = rng.normal(0, 1.5), np.exp(rng.normal(0, 0.05)), rng.normal(0, 0.6)
    return Voice(float(pitch), float(scale), float(level), float(tempo), float(tilt))


def syllables(text: str) -> list[tuple[str, int, float]]:
    """Return ``(onset, vowel, gap)`` per syllable: kind of consonant, vowel number, s before it.

    Hangul gives one syllable per character, Latin one per group of vowels, a digit one. A text
    without any gives one open vowel, so that there is always something to say.
    """
    found: list[tuple[str, int, float]] = []
    gap, onset, vowel_before = 0.0, ".", False
    for character in text.casefold():
        code = ord(character) - 0xAC00
        vowel: int | None = None
        if 0 <= code < 11172:
            onset, vowel = _ONSETS[code // 588], _VOWELS[code % 588 // 28]
        elif character.isdecimal() and character.isascii():
            onset, vowel = "s", _DIGITS[int(character)]
        elif character in _LATIN_VOWELS:
            vowel = None if vowel_before else _LATIN_VOWELS[character]
        elif "a" <= character <= "z":
            onset = "f" if character in "sfhvz" else "n" if character in "mnlr" else "s"
        elif character in ",.?!…":
            gap = max(gap, 0.10)
        elif character == " ":
            gap, onset = max(gap, 0.02), "."
        vowel_before = character in _LATIN_VOWELS
        if vowel is not None:
            found.append((onset, vowel, gap if found else 0.0))
            gap, onset = 0.0, "."
    return found or [(".", 0, 0.0)]


def synthesise(
    text: str,
    voice: Voice,
    manner: Manner,
    rng: np.random.Generator,
    *,
    noise_db: float = -60.0,
) -> Floats:
    """Return ``(sample,)`` mono speech at 16 kHz in [-1, 1].

    Parameters
    ----------
    text
        What is said; its vowels, consonants and length are heard.
    voice, manner
        Who speaks, and how.
    rng
        Everything that differs between two readings of one text.
    noise_db
        Level of the room's noise in dB relative to full scale; it does not follow the voice, so
        that loudness can be heard even after an utterance is scaled to its own maximum.
    """
    x = (manner.arousal - 3) / 2
    plan = syllables(text)
    tempo = 10.0 * voice.tempo * np.exp(0.30 * x + rng.normal(0, 0.04))
    onset_s, vowel_s, frames = _schedule(plan, float(tempo), manner, rng)
    times = np.arange(frames, dtype=np.float32) * (HOP / SAMPLE_RATE)

    weights, loud, hiss, kinds = _tracks(plan, onset_s, vowel_s, times, x, rng)
    pitch = _pitch(voice, manner, x, times, onset_s, vowel_s, rng)
    if manner.tremor:
        wobble = np.sin(2 * np.pi * 6.0 * times + rng.uniform(0, 6.3))
        pitch = pitch * 2 ** (manner.tremor * 0.9 * wobble / 12)
        loud = loud * (1 + 0.3 * manner.tremor * wobble)

    slope = -8.0 + 4.5 * x + voice.tilt_db + rng.normal(0, 0.5)
    scale = voice.formant_scale * (1 + 0.06 * manner.smile)
    voiced = np.exp(weights @ _vowel_shapes(scale, slope)) * loud[:, None]
    breath = 0.012 * (1 + 4 * manner.breath) * float(np.exp(-0.6 * x)) * loud
    rough = (hiss * np.float32(np.exp(0.35 * x)))[:, None] * _HISSES[kinds] + breath[:, None]
    rough *= np.float32(2.5 * np.sqrt(12))  # uniform noise of unit variance is this much wider

    spectrum = _frames(_source(pitch, frames)) * voiced
    grain = (rng.random((2, *rough.shape), dtype=np.float32) - np.float32(0.5)) * rough
    spectrum.real += grain[0]
    spectrum.imag += grain[1]
    wave = _overlap_add(spectrum)

    target = -27.0 + 6.5 * x + voice.level_db + rng.normal(0, 1.0)
    active = wave[np.abs(wave) > 0.05 * np.abs(wave).max()]
    wave *= 10 ** (target / 20) / max(float(np.sqrt(np.mean(active**2))), 1e-9)
    room = rng.random(wave.size, dtype=np.float32) - np.float32(0.5)
    wave += room * np.float32(np.sqrt(12) * 10 ** (noise_db / 20))
    # A soft ceiling, so that nothing clips.
    over = np.abs(wave) > 0.7
    wave[over] = np.sign(wave[over]) * (0.7 + 0.29 * np.tanh((np.abs(wave[over]) - 0.7) / 0.29))
    return wave.astype(np.float32)


def _schedule(
    plan: list[tuple[str, int, float]], tempo: float, manner: Manner, rng: np.random.Generator
) -> tuple[Floats, Floats, int]:
    """Return when each onset begins, when its vowel ends (s), and the number of frames."""
    lengths = np.exp(rng.normal(0, 0.12, len(plan))) / tempo
    lengths[-1] *= 1.4 + manner.surprise
    gaps = np.array([gap * 10.0 / tempo for _, _, gap in plan])
    ends = np.cumsum(lengths + gaps) + rng.uniform(0.06, 0.14)
    total = ends[-1] + rng.uniform(0.08, 0.16)
    frames = max(int(total * SAMPLE_RATE / HOP) + 1, 8)
    return (ends - lengths).astype(np.float32), ends.astype(np.float32), frames


def _tracks(
    plan: list[tuple[str, int, float]],
    starts: Floats,
    ends: Floats,
    times: Floats,
    x: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.intp]]:
    """Return per frame: weights of the vowels (frame, 7), loudness, hiss, kind of consonant."""
    count = len(plan)
    kinds = np.array([_KINDS.index(onset) for onset, _, _ in plan])
    spans, hisses, voicing = np.array(list(_CONSONANTS.values()), dtype=np.float32).T[[0, 2, 3]]
    at = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, count - 1)
    into = times - starts[at]
    inside = (times >= starts[0]) & (times < ends[at])
    span = np.minimum(spans[kinds], 0.4 * (ends - starts))[at]
    closed = inside & (into < span)

    stress = np.exp(rng.normal(0, 0.10 + 0.08 * max(x, 0.0), count)).astype(np.float32)
    left = np.clip(1 - (times - starts[0]) / max(float(ends[-1] - starts[0]), 0.1), 0, 1)
    swell = np.minimum(1, np.minimum(into + 0.008, ends[at] - times + 0.008) / 0.04)
    loud = inside * stress[at] * (0.6 + 0.4 * left) * np.clip(swell, 0, 1)
    loud = np.where(closed, loud * voicing[kinds[at]], loud)
    hiss = np.where(closed, hisses[kinds[at]] * stress[at], 0.0)

    weights = np.zeros((times.size, len(_FORMANTS)), dtype=np.float32)
    weights[np.arange(times.size), np.array([vowel for _, vowel, _ in plan])[at]] = 1
    window = np.hanning(7)[1:-1] / np.hanning(7).sum()
    smooth = np.stack([np.convolve(c, window, mode="same") for c in (*weights.T, loud)], axis=1)
    smooth[:, :-1] /= np.maximum(smooth[:, :-1].sum(1, keepdims=True), 1e-6)
    smooth = smooth.astype(np.float32)
    return smooth[:, :-1], smooth[:, -1], hiss.astype(np.float32), kinds[at]


def _pitch(
    voice: Voice,
    manner: Manner,
    x: float,
    times: Floats,
    starts: Floats,
    ends: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Return the pitch in Hz per frame: base, declination, accents, surprise."""
    span = max(float(ends[-1] - starts[0]), 0.1)
    along = np.clip((times - starts[0]) / span, 0, 1)
    accents = rng.normal(0, 1.1 * 2**x, starts.size)
    semitones = 5.5 * x + rng.normal(0, 0.6) - (3.0 + manner.fall) * (along - 0.5)
    semitones = semitones + np.interp(times, (starts + ends) / 2, accents)
    if manner.surprise:
        last = np.clip((times - starts[-1]) / max(float(ends[-1] - starts[-1]), 0.05), 0, 1)
        leap = np.exp(-(((times - starts[0] - 0.10) / 0.10) ** 2))
        semitones = semitones + manner.surprise * (10.0 * last + 6.0 * leap)
    hertz = voice.pitch_hz * 2 ** (semitones / 12)
    return np.asarray(np.clip(hertz, 55.0, 620.0), dtype=np.float32)


def _vowel_shapes(scale: float, slope: float) -> Floats:
    """Return the log magnitude of each vowel's filter, (vowel, bin)."""
    hertz = _HERTZ
    fourth = np.full((len(_FORMANTS), 1), 3500.0)
    centres = np.concatenate([_FORMANTS, fourth], axis=1)[:, :, None] * scale
    ratio = hertz[None, None, :] / centres
    width = (_BANDWIDTHS[None, :, None] / centres) * ratio
    log = -0.5 * np.log((1 - ratio**2) ** 2 + width**2).sum(1)
    # Each resonator falls by 12 dB per octave above its centre; a real tract has more of them.
    log += 0.5 * np.log(1 + (hertz / (1800.0 * scale)) ** 2) * 3.2
    octaves = np.log2(np.maximum(hertz, 100.0) / 500.0)
    log += np.clip(octaves, -1, None) * slope * (np.log(10) / 20)
    log[:, hertz < 60.0] -= 6.0
    # Equal power for every vowel and slope: loudness is set by the manner alone.
    log -= 0.5 * np.log(np.mean(np.exp(2 * log), axis=1, keepdims=True))
    return np.asarray(log, dtype=np.float32)


def _source(pitch: Floats, frames: int) -> Floats:
    """Return a band-limited pulse train of equal harmonics, one period per pitch period."""
    size = 2048
    harmonics = int(0.95 * SAMPLE_RATE / 2 / float(pitch.max()))
    number = np.arange(1, harmonics + 1)
    table = np.zeros(size // 2 + 1, dtype=np.complex64)
    # Schroeder's phases keep the crest low; the pulse stays one period long.
    table[1 : harmonics + 1] = np.exp(-1j * np.pi * number**2 / harmonics * 0.5)
    period = fft.irfft(table, size) * size / np.sqrt(2 * harmonics)
    period = np.append(period, period[0]).astype(np.float32)
    ramp = np.arange(HOP, dtype=np.float32) / HOP
    after = np.append(pitch[1:], pitch[-1])
    hertz = (pitch[:, None] * (1 - ramp) + after[:, None] * ramp).reshape(-1)
    phase = np.cumsum(hertz * (size / SAMPLE_RATE), dtype=np.float64)
    low = phase.astype(np.int64)
    part = (phase - low).astype(np.float32)
    low &= size - 1
    return np.asarray(period[low] * (1 - part) + period[low + 1] * part, dtype=np.float32)


_TAPER = np.sqrt(np.hanning(WINDOW + 1)[:-1]).astype(np.float32)


def _frames(wave: Floats) -> npt.NDArray[np.complex64]:
    """Return the spectra of overlapping frames, (frame, bin)."""
    padded = np.pad(wave, (WINDOW // 2, WINDOW // 2))
    view = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:-1:HOP]
    return np.asarray(fft.rfft(view * _TAPER, axis=1), dtype=np.complex64)


def _overlap_add(spectrum: npt.NDArray[np.complex64]) -> Floats:
    """Return the wave of (frame, bin) spectra, HOP samples per frame."""
    pieces = fft.irfft(spectrum, WINDOW, axis=1) * (_TAPER * np.float32(0.5))
    frames, parts = len(pieces), WINDOW // HOP
    wave = np.zeros((frames + parts, HOP), dtype=np.float32)
    for part in range(parts):
        wave[part : part + frames] += pieces[:, part * HOP : (part + 1) * HOP]
    return wave.reshape(-1)[WINDOW // 2 : WINDOW // 2 + frames * HOP]
