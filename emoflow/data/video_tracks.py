"""The tracks of an open video: what its header says of them, and decoding parts of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoflow.errors import AudioError, CorpusError

__all__ = ["Box", "PictureTrack", "SoundTrack", "Video"]

_PREROLL = Fraction(1, 4)  # seconds in which a codec starts up
_SLACK_SECONDS = 0.1  # so much less than its header says may a file hold
_LAST_SECONDS = 5
_BACK_SECONDS = (0, 1, 4, 16, 1 << 20)  # as far back as a picture may be that decodes by itself
_LARGEST_ROUNDING = Fraction(1, 2000)  # seconds by which a container rounds times
_READ, _PASS_OVER = 0, 48  # AVDISCARD_DEFAULT, AVDISCARD_ALL
_AGAIN = "Copy the file again, or skip it with data.on_bad_utterance: skip."

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in pixels."""


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """What the header of a video says of its sound."""

    seconds: float
    """When it ends."""
    rate: int
    """Sampling rate in Hz."""
    channels: int
    frames: int
    """Samples per channel up to its end."""


@dataclass(frozen=True, slots=True)
class PictureTrack:
    """What the header of a video says of its pictures."""

    seconds: float
    """When the last one ends."""
    fps: float | None
    """Pictures per second on average."""
    frames: int
    """Number of pictures."""
    width: int
    """In pixels, like the height."""
    height: int


class Video:
    """An open video; make one with :func:`emoflow.data.video.open_video`."""

    def __init__(self, path: str, container: Any) -> None:
        self.path = path
        self._container = container
        self._sounds = _best(container, "audio")
        self._pictures = _best(container, "video")
        first = self._pictures or self._sounds
        self._zero = Fraction(0) if first is None else _start(first)

    @cached_property
    def sound(self) -> SoundTrack | None:
        """What the header says of the sound."""
        if (stream := self._sounds) is None:
            return None
        rate, seconds = int(stream.codec_context.sample_rate), self._end(stream) - self._zero
        channels = int(stream.codec_context.channels)
        return SoundTrack(float(seconds), rate, channels, round(seconds * rate))

    @cached_property
    def picture(self) -> PictureTrack | None:
        """What the header says of the pictures."""
        if (stream := self._pictures) is None:
            return None
        fps = None if not stream.average_rate else float(stream.average_rate)
        seconds = float(self._end(stream) - self._zero)
        frames = int(stream.frames) or round(seconds * (fps or 0))
        return PictureTrack(seconds, fps, frames, int(stream.width), int(stream.height))

    def samples(self, first: int, last: int) -> NDArray[np.float32]:
        """Decode samples ``first`` to ``last`` (that one not included).

        Returns
        -------
        samples
            (sample, channel) float32, full scale is 1; zeros where the track has a gap.

        Raises
        ------
        AudioError
            If the file holds less than its header says, or changes its rate or channels.
        """
        track, stream = self.sound, self._sounds
        assert track is not None
        samples = np.zeros((last - first, track.channels), np.float32)
        tick, end = math.ceil(_base(stream) * track.rate), None
        self._seek(stream, Fraction(first, track.rate) - _PREROLL)
        for frame in self._decoded(stream):
            place = round((_time(frame) - self._zero) * track.rate)
            if end is not None and abs(place - end) <= tick:
                place = end  # times are rounded to ticks, but sound goes on without a gap
            values = _full_scale(frame)
            if (frame.sample_rate, values.shape[1]) != (track.rate, track.channels):
                raise self._broken("changes its sampling rate or its channels")
            start, end = max(place, first), place + len(values)
            if start < min(end, last):
                samples[start - first : end - first] = values[start - place : last - place]
            if end >= last:
                break
        if end is None or end < last - _SLACK_SECONDS * track.rate:
            raise self._broken(
                f"its header promises {track.seconds:g} s of sound, but what lies before "
                f"{last / track.rate:g} s cannot be decoded"
            )
        return samples

    def pictures(self, seconds: Sequence[float], box: Box | None = None) -> NDArray[np.uint8]:
        """Return what :func:`emoflow.data.video.read_frames` returns of an open video."""
        track = self.picture
        if track is None:
            raise CorpusError(f"{self.path}: a video without pictures", "Use its sound only.")
        for time in seconds:
            if not 0 <= time <= track.seconds + _SLACK_SECONDS:
                raise CorpusError(
                    f"{self.path}: shows nothing at {time:g} s; it lasts {track.seconds:g} s",
                    "Give times (in seconds) between the video's start and its end.",
                )
        area = self._area(box, track)
        shown = {}
        for time, frame in self._shown(sorted(set(seconds)), track):
            picture = frame.reformat(width=track.width, height=track.height, format="rgb24")
            shown[time] = picture.to_ndarray()[area].copy()
        if not shown:
            return np.zeros((0, track.height, track.width, 3), np.uint8)[:, *area]
        return np.stack([shown[time] for time in seconds])

    def _shown(self, times: Sequence[float], track: PictureTrack) -> Iterator[tuple[float, Any]]:
        """Yield (time, frame shown then) for ascending times."""
        now = following = None
        frames: Iterator[Any] = iter(())
        rounding = min(_base(self._pictures) / 2, _LARGEST_ROUNDING)
        for time in times:
            wanted = self._zero + Fraction(time) + rounding
            if now is None or self._key_before(wanted) > _time(now):
                frames = self._frames_from(wanted)
                now, following = next(frames), next(frames, None)
            while following is not None and _time(following) <= wanted:
                now, following = following, next(frames, None)
            if following is None and wanted > _time(now) + _lasts(now, track) + _SLACK_SECONDS:
                raise self._broken(
                    f"its header promises {track.seconds:g} s of pictures, but that of {time:g} s "
                    "cannot be decoded"
                )
            yield time, now

    def _key_before(self, wanted: Fraction) -> Fraction:
        """Return when the last picture before ``wanted`` starts that decodes by itself."""
        entries, base = self._pictures.index_entries, _base(self._pictures)
        place = entries.search_timestamp(math.floor(wanted / base))
        return int(entries[place].timestamp) * base if place >= 0 else self._zero

    def _frames_from(self, wanted: Fraction) -> Iterator[Any]:
        """Yield frames from one that is shown at ``wanted`` or before, if there is one."""
        for back in _BACK_SECONDS:
            since = wanted - self._zero - back
            self._seek(self._pictures, since)
            frames = self._decoded(self._pictures)
            frame = next(frames, None)
            if frame is not None and (_time(frame) <= wanted or since <= 0):
                yield frame
                yield from frames
                return
            if since <= 0:
                break
        raise self._broken("none of its pictures can be decoded")

    def _decoded(self, stream: Any) -> Iterator[Any]:
        return (f for f in self._container.decode(stream) if f.pts is not None)

    def _seek(self, stream: Any, since: Fraction) -> None:
        """Go to the last place at or before a time from which ``stream`` can be decoded."""
        for other in self._container.streams:
            other.discard = _READ if other is stream else _PASS_OVER
        try:
            self._container.seek(math.floor((self._zero + since) / _base(stream)), stream=stream)
        except PermissionError:  # what some containers say of times before their first
            self._container.seek(math.floor(_start(stream) / _base(stream)), stream=stream)

    def _end(self, stream: Any) -> Fraction:
        """Return when a stream ends: from its header, else from its last packets."""
        if stream.duration:
            return _start(stream) + int(stream.duration) * _base(stream)
        whole = Fraction(self._container.duration or 0, 1_000_000)
        for since in (whole - _LAST_SECONDS, Fraction(-1)):
            self._seek(stream, since)
            ends = [
                int(packet.pts + (packet.duration or 0)) * _base(stream)
                for packet in self._container.demux(stream)
                if packet.pts is not None
            ]
            if ends:
                return max(ends)
        return _start(stream)

    def _area(self, box: Box | None, track: PictureTrack) -> tuple[slice, slice]:
        if box is None:
            return slice(None), slice(None)
        left, top, right, bottom = box if all(map(math.isfinite, box)) else (0, 0, 0, 0)
        columns = slice(max(0, math.floor(left)), min(track.width, math.ceil(right)))
        rows = slice(max(0, math.floor(top)), min(track.height, math.ceil(bottom)))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            raise CorpusError(
                f"{self.path}: the box {box} holds no part of a picture of "
                f"{track.width} x {track.height}",
                "Give left, top, right and bottom edge in pixels.",
            )
        return rows, columns

    def _broken(self, what: str) -> AudioError:
        return AudioError(f"{self.path}: {what}", _AGAIN)


def _best(container: Any, kind: str) -> Any:
    """Return the track that a player would choose; ``None`` if there is none that decodes."""
    stream = container.streams.best(kind)
    return None if stream is None or stream.codec_context is None else stream


def _base(timed: Any) -> Fraction:
    """Return the unit, in seconds, in which a stream or a frame counts time."""
    return Fraction(timed.time_base.numerator, timed.time_base.denominator)


def _start(stream: Any) -> Fraction:
    return int(stream.start_time or 0) * _base(stream)


def _time(frame: Any) -> Fraction:
    return int(frame.pts) * _base(frame)


def _lasts(frame: Any, track: PictureTrack) -> Fraction:
    """Return how long a picture is shown."""
    if frame.duration:
        return int(frame.duration) * _base(frame)
    return 1 / Fraction(track.fps) if track.fps else Fraction(0)


def _full_scale(frame: Any) -> NDArray[np.float32]:
    """Return a frame's sound: (sample, channel), full scale is 1."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, len(frame.layout.channels))
    kind = values.dtype
    if kind.kind == "f":
        return np.asarray(values, np.float32)
    middle, full = (128, 128) if kind == np.uint8 else (0, 2 ** (8 * kind.itemsize - 1))
    return np.asarray((values.astype(np.float64) - middle) / full, np.float32)
