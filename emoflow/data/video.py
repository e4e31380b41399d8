"""Speech and pictures of video files, decoded by PyAV: ``pip install "emoflow[video]"``.

Times are seconds from the first picture (in a file without pictures, from the first sound): what
annotations by picture number mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.bad_files import unreadable_file
from emoflow.data.video_tracks import Box, PictureTrack, SoundTrack, Video
from emoflow.errors import ConfigError

__all__ = ["VIDEO_SUFFIXES", "VideoInfo", "inspect_video", "is_video", "open_video", "read_frames"]

VIDEO_SUFFIXES = frozenset((".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v"))

_DEMUXERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,asf,flv"  # never playlists: they open files


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header of a video says; ``None`` for a track that it has not."""

    sound: SoundTrack | None
    picture: PictureTrack | None


def is_video(path: str | Path) -> bool:
    """Say, by its ending alone, whether a file is a video."""
    return os.path.splitext(str(path))[1].casefold() in VIDEO_SUFFIXES


def inspect_video(path: str | Path) -> VideoInfo:
    """Read the header of a video.

    Raises
    ------
    AudioError
        If the file is missing, cut short, empty, or no video.
    ConfigError
        If PyAV is not installed.
    """
    with open_video(path) as video:
        return VideoInfo(video.sound, video.picture)


def read_frames(
    path: str | Path, seconds: Sequence[float], box: Box | None = None
) -> NDArray[np.uint8]:
    """Return the pictures that are shown at some times: (frame, height, width, 3) RGB.

    Parameters
    ----------
    path
        A video with pictures.
    seconds
        Times between the video's start and its end, in any order.
    box
        Left, top, right and bottom edge in pixels of what is cut out of each picture; the part
        outside the picture is left out.

    Raises
    ------
    AudioError
        If the file is missing, cut short, empty, or no video.
    CorpusError
        If it has no pictures, none at one of the times, or none in the box.
    ConfigError
        If PyAV is not installed.
    """
    with open_video(path) as video:
        return video.pictures(seconds, box)


@contextmanager
def open_video(path: str | Path) -> Iterator[Video]:
    """Open a video for reading.

    Raises
    ------
    AudioError
        If the file is missing, cut short, empty, or no video, also when that shows in reading.
    ConfigError
        If PyAV is not installed.
    """
    av = _import_av(path)
    try:
        with (
            open(path, "rb") as file,
            av.open(
                file,
                container_options={"format_whitelist": _DEMUXERS},
                metadata_errors="replace",
            ) as container,
        ):
            yield Video(str(path), container)
    except (av.FFmpegError, OSError, MemoryError) as error:
        raise unreadable_file(
            path,
            f"not a video that PyAV reads ({getattr(error, 'strerror', None) or error})",
            "Copy the file again, or skip it with data.on_bad_utterance: skip.",
        ) from error


def _import_av(path: str | Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            f"{path}: is a video, and PyAV, which reads it, is not installed",
            'pip install "emoflow[video]"',
        ) from error
    return av
