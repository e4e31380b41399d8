"""Speech from files: whatever libsndfile or, for video, PyAV reads, as float32 mono at 16 kHz."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from emoflow.data.bad_files import empty_file, unreadable_file
from emoflow.data.video import is_video, open_video
from emoflow.data.video_tracks import Video
from emoflow.errors import AudioError
from emoflow.types import SAMPLE_RATE, Speech

__all__ = [
    "LOWEST_RATE",
    "AudioInfo",
    "decode_speech",
    "hash_samples",
    "hash_speech",
    "inspect_audio",
    "non_finite_error",
    "read_speech",
    "span_error",
    "span_fits",
]

LOWEST_RATE = 8_000
"""Lowest sampling rate in Hz that is read: below it the speech band is missing."""

_SLACK_SECONDS = 0.1  # annotations are rounded: so much may an end lie behind the file's


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of an audio file says."""

    seconds: float
    rate: int
    """Sampling rate in Hz."""
    channels: int
    frames: int
    """Samples per channel."""
    native: bool
    """Already 16 kHz, mono, uncompressed 16-bit: decoding it again costs next to nothing."""


def inspect_audio(path: str | Path) -> AudioInfo:
    """Read the header of an audio file, or that of a video's audio track.

    Raises
    ------
    AudioError
        If the file is missing, unreadable or empty, or sampled below 8 kHz.
    ConfigError
        If it is a video and PyAV is not installed.
    """
    if is_video(path):
        with open_video(path) as video:
            return _track(video)
    with _open(path) as file:
        return AudioInfo(
            seconds=file.frames / file.samplerate,
            rate=file.samplerate,
            channels=file.channels,
            frames=file.frames,
            native=(file.format, file.subtype, file.samplerate, file.channels)
            == ("WAV", "PCM_16", SAMPLE_RATE, 1),
        )


def decode_speech(speech: Speech) -> tuple[NDArray[np.float32], int]:
    """Decode an utterance's speech as it is stored.

    Returns
    -------
    samples
        (frame, channel) float32, full scale is 1.
    rate
        Sampling rate in Hz.

    Raises
    ------
    AudioError
        If the file is missing, unreadable, empty, cut short, or sampled below 8 kHz, or the
        utterance's span holds no sample.
    ConfigError
        If it is a video and PyAV is not installed.
    """
    if is_video(speech.path):
        with open_video(speech.path) as video:
            track = _track(video)
            return video.samples(*_span(speech, track.frames, track.rate)), track.rate
    with _open(speech.path) as file:
        total, rate = file.frames, file.samplerate
        first, last = _span(speech, total, rate)
        try:
            if first:
                file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _unreadable(speech.path, error) from error
    if len(samples) == 0:
        raise AudioError(
            f"{speech.path}: its header promises {total} samples, but none can be decoded",
            "Copy the file again, or skip it with data.on_bad_utterance: skip.",
        )
    return samples, rate


def read_speech(speech: Speech) -> NDArray[np.float32]:
    """Read an utterance's speech: (sample,) float32, mono, 16 kHz.

    Channels are averaged; other rates are resampled by soxr at its high quality.

    Raises
    ------
    AudioError
        As :func:`decode_speech`, and if a sample is NaN or infinite.
    """
    samples, rate = decode_speech(speech)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise non_finite_error(speech.path)
    if rate == SAMPLE_RATE:
        return np.ascontiguousarray(mono)
    import soxr

    resampled = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(resampled) == 0:  # a handful of samples at a high rate
        raise span_error(speech, len(samples) / rate)
    return np.ascontiguousarray(resampled, dtype=np.float32)


def hash_speech(speech: Speech) -> str:
    """Return 32 hexadecimal digits that name what is heard: samples, channels and rate.

    The same samples in WAV and FLAC, or cut out of a longer file, have the same name.

    Raises
    ------
    AudioError
        As :func:`decode_speech`.
    """
    return hash_samples(*decode_speech(speech))


def hash_samples(samples: NDArray[np.float32], rate: int) -> str:
    """Return the BLAKE2b-128 of (frame, channel) float32 samples and their rate in Hz."""
    digest = hashlib.blake2b(f"{rate} {samples.shape[1]} ".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(samples).view(np.uint8).data)
    return digest.hexdigest()


def span_error(speech: Speech, seconds: float) -> AudioError:
    """Return the error of a span that holds no sample of a file of ``seconds``."""
    end = "its end" if speech.end is None else f"{speech.end:g} s"
    return AudioError(
        f"{speech.path}: no sample between {speech.start:g} s and {end}; "
        f"the file lasts {seconds:g} s",
        "Correct start and end (both in seconds), or skip the utterance with "
        "data.on_bad_utterance: skip.",
    )


def span_fits(speech: Speech, seconds: float) -> bool:
    """Return whether a span lies in a file of ``seconds``, give or take rounding."""
    end = seconds if speech.end is None else speech.end
    return 0 <= speech.start < min(end, seconds) and end <= seconds + _SLACK_SECONDS


def non_finite_error(path: str) -> AudioError:
    """Return the error of speech with NaN or infinite samples."""
    return AudioError(
        f"{path}: holds samples that are NaN or infinite",
        "Make the file again from its source, or skip it with data.on_bad_utterance: skip.",
    )


def _open(path: str | Path) -> Any:
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise _unreadable(path, error) from error
    problem = _problem(path, file.frames, file.samplerate)
    if problem is not None:
        file.close()
        raise problem
    return file


def _track(video: Video) -> AudioInfo:
    """Return what the header of a video says of its audio track."""
    sound = video.sound
    if sound is None:
        raise AudioError(
            f"{video.path}: a video without an audio track",
            "Use its text only, or skip it with data.on_bad_utterance: skip.",
        )
    if problem := _problem(video.path, sound.frames, sound.rate):
        raise problem
    seconds = sound.frames / sound.rate
    return AudioInfo(seconds, sound.rate, sound.channels, sound.frames, native=False)


def _span(speech: Speech, total: int, rate: int) -> tuple[int, int]:
    """Return the first sample of an utterance and the one behind its last."""
    first = round(speech.start * rate)
    last = total if speech.end is None else min(round(speech.end * rate), total)
    if not 0 <= first < last:
        raise span_error(speech, total / rate)
    return first, last


def _problem(path: str | Path, frames: int, rate: int) -> AudioError | None:
    if frames <= 0:
        return empty_file(path)
    if rate >= LOWEST_RATE:
        return None
    return AudioError(
        f"{path}: sampled at {rate} Hz, below {LOWEST_RATE} Hz",
        "Speech needs at least 8 kHz: use the original recording, or skip it with "
        "data.on_bad_utterance: skip.",
    )


def _unreadable(path: str | Path, error: Exception) -> AudioError:
    return unreadable_file(
        path,
        f"not audio that libsndfile reads ({error})",
        "Convert it to WAV or FLAC, or skip it with data.on_bad_utterance: skip.",
    )
