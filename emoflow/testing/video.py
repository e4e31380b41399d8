"""Writing small videos, through PyAV: ``pip install "emoflow[video]"``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoflow.errors import ConfigError

__all__ = ["gray_pictures", "write_video"]

_MUXERS = {".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mov": "mov"}
_CODECS = {"webm": ("libvpx", "libopus"), "avi": ("mpeg4", "pcm_s16le")}


def gray_pictures(
    brightness: npt.ArrayLike, *, width: int = 64, height: int = 48
) -> npt.NDArray[np.uint8]:
    """Return one plain gray picture per value (0 to 255): (frame, height, width, 3)."""
    values = np.asarray(brightness, np.uint8)
    return np.broadcast_to(values[:, None, None, None], (len(values), height, width, 3)).copy()


def write_video(
    path: str | Path,
    pictures: npt.NDArray[np.uint8] | None,
    sound: npt.NDArray[np.float32] | None,
    *,
    fps: int = 30,
    rate: int = 16_000,
    keys: int = 12,
    sound_start: float = 0.0,
    codec: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video; its ending names the format, which names the codecs.

    Parameters
    ----------
    path
        It ends in mp4, m4v, mov, mkv, webm or avi; missing folders are made.
    pictures
        (frame, height, width, 3) RGB with even sides, or ``None`` for a video without.
    sound
        (sample,) in [-1, 1], or ``None`` for a video without.
    fps
        Pictures per second.
    rate
        Sampling rate in Hz.
    keys
        Every so many pictures one decodes by itself.
    sound_start
        When the sound begins, in seconds from the first picture.
    codec
        Of the pictures, such as libx264, which PyAV's wheels have; by default one that every
        FFmpeg has.
    options
        Of the format, such as {"movflags": "faststart"}.

    Raises
    ------
    ConfigError
        If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"{path}: PyAV, which writes videos, is not installed", 'pip install "emoflow[video]"'
        ) from error
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    muxer = _MUXERS.get(path.suffix.casefold(), "mp4")
    picture_codec, sound_codec = _CODECS.get(muxer, ("mpeg4", "aac"))
    with (
        open(path, "wb") as file,
        av.open(file, "w", format=muxer, container_options=options or {}) as container,
    ):
        tracks: list[tuple[Any, list[Any]]] = []
        if pictures is not None:
            stream: Any = container.add_stream(codec or picture_codec, rate=fps)
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt, stream.gop_size = "yuv420p", keys
            stream.bit_rate = 400_000
            tracks.append((stream, _picture_frames(av, pictures, fps)))
        if sound is not None:
            quick = {"aac_coder": "fast"} if sound_codec == "aac" else {}
            stream = container.add_stream(sound_codec, rate=rate, options=quick, layout="mono")
            stream.bit_rate = 64_000
            tracks.append((stream, _sound_frames(av, sound, rate, round(sound_start * rate))))
        packets = [(p, s) for s, frames in tracks for f in (*frames, None) for p in s.encode(f)]
        for packet, _ in sorted(packets, key=_place):
            container.mux(packet)
    return path


def _picture_frames(av: Any, pictures: npt.NDArray[np.uint8], fps: int) -> list[Any]:
    frames = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, fps)
        frames.append(frame)
    return frames


def _sound_frames(av: Any, sound: npt.NDArray[np.float32], rate: int, begin: int) -> list[Any]:
    frames = []
    for start in range(0, len(sound), 1024):
        part = np.ascontiguousarray(sound[None, start : start + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin + start, Fraction(1, rate)
        frames.append(frame)
    return frames


def _place(packet: tuple[Any, Any]) -> Fraction:
    base = packet[0].time_base or packet[1].time_base
    return int(packet[0].dts or 0) * Fraction(base.numerator, base.denominator)
