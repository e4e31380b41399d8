"""A small corpus in the layout of AI-Hub's multimodal video, with tones in place of speech."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emoflow.testing.folders import JUNK, check_size, is_complete, made_by, written_whole
from emoflow.testing.video import gray_pictures, write_video
from emoflow.testing.words import draw_sentence
from emoflow.types import Speech, Utterance

__all__ = ["tone_hertz", "write_multimodal_video"]

_RATE = 16_000
_SAMPLES = 47 * 1024  # a whole number of AAC frames: 3.008 s
_EMOTIONS = ("happy", "sad", "angry", "surprise", "fear", "dislike", "contempt", "neutral")
_NODES = {"multimodal": 0.1, "image": 0.5, "sound": 0.15, "text": 0.15}
"""Kind of annotation to how often it is missing in an odd corpus."""
_SITUATIONS = ("카페에서 다투는 두 사람", "면접 결과를 기다리는 중", "생일 축하")
_ODD = ("two people", "other rate", "CP949", "corrected", ".MP4", "late", "no sound", "no words")
_BOXES = 8

_Seen = tuple[int, int, int, str, dict[str, Any], list[int]]
"""Person, start, end, words, labels per kind, pictures with a box."""


@dataclass
class _Clip:
    """A clip: what is said in it, by whom, when (in pictures), and what is odd about it."""

    name: str
    fps: int
    odd: str
    situation: str
    rng: np.random.Generator
    seen: list[_Seen] = field(default_factory=list)


def tone_hertz(utterance: str) -> float:
    """Return the frequency in Hz of the tone that is heard in an utterance, by its id."""
    clip, _, start, _ = utterance.removeprefix("clip_").split("_")
    return 300.0 + 20 * int(start) + int(clip) / 300


def write_multimodal_video(
    folder: str | Path, *, count: int = 8, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of AI-Hub's multimodal video (needs PyAV).

    ``0001-0400/clip_1/{clip_1.json,clip_1.mp4}`` …: clips of 3 s and 64 x 48 pixels, each with
    two or three utterances in which one tone is heard (:func:`tone_hertz`) and everything is
    annotated in every second picture.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Clips.
    seed
        Another seed gives other words, labels and times.
    odd
        Whether the oddities of the real one are there, one per clip, from the eighth on all of
        them: two people at once, another picture rate, CP949, a corrected copy of the folder,
        ``.MP4``, utterances that end behind the video, a video without sound, people who say
        nothing; and anywhere frame numbers as text, missing labels, labels without a video and
        videos without labels, files of other programs.

    Returns
    -------
    list
        The utterances, as a corpus with ``root=folder`` has them.

    Raises
    ------
    ConfigError
        If ``count`` is below 1, or PyAV is not installed.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 1)
    root = Path(folder).absolute()
    made = made_by("write_multimodal_video", seed, count=count, odd=odd)
    rng = np.random.default_rng(seed)
    numbers = sorted((rng.permutation(5_600)[:count] + 1).tolist())
    clips = [_draw(n, _ODD[i % len(_ODD)] if odd else "", rng) for i, n in enumerate(numbers)]
    planted = [_utterance(root, c, seen) for c in clips for seen in c.seen]
    if not is_complete(root, made):
        with written_whole(root, made) as partial:
            for clip in clips:
                _write(partial, clip, odd)
            if odd:
                _write_strays(partial, clips[0])
    return planted


def _draw(number: int, odd: str, rng: np.random.Generator) -> _Clip:
    name, fps = f"clip_{number}", 25 if odd == "other rate" else 30
    situation = str(rng.choice(_SITUATIONS))
    rng = np.random.default_rng(rng.integers(1 << 31))
    clip = _Clip(name, fps, odd, situation, rng)
    spans = [(int(s + rng.integers(4)), int(s + 20 + rng.integers(4))) for s in (2, 28, 54)]
    if odd == "late":
        spans[2:] = [(70 + int(rng.integers(4)), 96), (100, 120)]
    for turn, (start, end) in enumerate(spans):
        if turn != 1 or odd or rng.random() < 0.7:
            person = 1 + turn % 2 if odd == "two people" else 1
            labels = {kind: _labels(kind, bool(odd), rng) for kind in _NODES}
            boxed = [n for n in range(start, end + 1, 2) if n < 3 * fps]
            words = draw_sentence(rng, 3.0).text
            clip.seen.append((person, start, end, words, labels, boxed or [3 * fps - 1]))
    return clip


def _labels(kind: str, odd: bool, rng: np.random.Generator) -> dict[str, Any] | None:
    missing = rng.random() < _NODES[kind]
    emotion = str(rng.choice(_EMOTIONS))
    valence, arousal = (int(n) for n in rng.integers(1, 11, 2))
    return None if odd and missing else {"emotion": emotion, "valence": valence, "arousal": arousal}


def _utterance(root: Path, clip: _Clip, seen: _Seen) -> Utterance:
    person, start, end, words, labels, boxed = seen
    name = f"{clip.name}_{person}_{start}_{end}"
    video = str(root / _home(clip) / _video(clip))
    chosen = labels["multimodal"] or {}
    last = len(boxed) - 1
    picks = sorted({round(i * last / (_BOXES - 1)) for i in range(_BOXES)})
    extra: dict[str, Any] = {
        f"{kind}_{what}": value
        for kind, values in labels.items()
        if kind != "multimodal"
        for what, value in (values or {}).items()
    }
    extra["situation"] = clip.situation
    extra["boxes"] = [[boxed[i] / clip.fps, *_box(person, boxed[i])] for i in picks]
    spoken = clip.odd != "no sound" and start / clip.fps < _SAMPLES / _RATE
    return Utterance(
        id=name,
        corpus="multimodal_video",
        speaker=f"{clip.name}-{person}",
        session=clip.name,
        sentence="".join(letter for letter in words if letter.isalnum()),
        speech=Speech(video, start / clip.fps, min(end / clip.fps, _SAMPLES / _RATE))
        if spoken
        else None,
        text=words,
        face=video,
        emotion=chosen.get("emotion"),
        arousal=chosen.get("arousal"),
        valence=chosen.get("valence"),
        extra=extra,
    )


def _home(clip: _Clip) -> Path:
    """Return the clip's folder, relative to the root."""
    first = (int(clip.name[5:]) - 1) // 400 * 400 + 1
    ending = "-수정본" if clip.odd == "corrected" else ""
    return Path(f"{first:04}-{first + 399:04}", f"{clip.name}{ending}")


def _video(clip: _Clip) -> str:
    return f"{clip.name}{'.MP4' if clip.odd == '.MP4' else '.mp4'}"


def _box(person: int, picture: int) -> tuple[float, float, float, float]:
    left = 20.0 * person + picture % 7
    return left - 18.5, 3.0, left, 45.0


def _write(root: Path, clip: _Clip, odd: bool) -> None:
    home = root / _home(clip)
    length = 3 * clip.fps
    pictures = gray_pictures(40 + np.arange(length))
    sound = None if clip.odd == "no sound" else _sound(clip)
    write_video(home / _video(clip), pictures, sound, fps=clip.fps, rate=_RATE)
    _write_labels(home / f"{clip.name}.json", clip, odd)
    if clip.odd == "corrected":
        wrong = _draw(int(clip.name[5:]), "before", clip.rng)
        home = home.with_name(clip.name)
        write_video(home / _video(clip), pictures, None, fps=clip.fps)
        _write_labels(home / f"{clip.name}.json", wrong, odd)


def _write_labels(path: Path, clip: _Clip, odd: bool) -> None:
    rng = clip.rng
    data: dict[str, dict[str, Any]] = {}
    for seen in clip.seen:
        for picture in seen[-1]:
            people = data.setdefault(str(picture), {})
            people[str(len(people) + 1)] = _annotation(seen, picture, odd, rng)
            if clip.odd == "no words":
                silent = _annotation(seen, picture, odd, rng)
                del silent["text"], silent["emotion"]
                people[str(len(people) + 1)] = silent | {"person_id": 9}
    content = {
        "clip_id": int(clip.name[5:]) if odd and rng.random() < 0.5 else clip.name,
        "nr_frame": 3 * clip.fps,
        "situation": clip.situation,
        "data": data,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = "cp949" if clip.odd == "CP949" else "utf-8"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding=encoding)


def _annotation(seen: _Seen, picture: int, odd: bool, rng: np.random.Generator) -> dict[str, Any]:
    person, start, end, words, labels, _ = seen
    edges: list[Any] = [start, end]
    if odd and rng.random() < 0.5:
        edges = [str(edge) for edge in edges]
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), _box(person, picture), strict=True))
    emotion = {
        kind: None if values is None else {**values, "emotion": _spelling(values["emotion"], odd)}
        for kind, values in labels.items()
        if values is not None or picture % 4
    }
    return {
        "person_id": str(person) if odd and rng.random() < 0.5 else person,
        **corners,
        "emotion": emotion,
        "text": {"script": words, "script_start": edges[0], "script_end": edges[1]},
    }


def _spelling(emotion: str, odd: bool) -> str:
    return f" {emotion.capitalize()}" if odd and emotion in ("sad", "dislike") else emotion


def _sound(clip: _Clip) -> npt.NDArray[np.float32]:
    seconds = np.arange(_SAMPLES) / _RATE
    wave = np.zeros(_SAMPLES)
    for person, start, end, *_ in clip.seen:
        heard = (seconds >= start / clip.fps) & (seconds < end / clip.fps)
        hertz = tone_hertz(f"{clip.name}_{person}_{start}_{end}")
        wave[heard] += 0.4 * np.sin(2 * np.pi * hertz * seconds[heard])
    return wave.astype(np.float32)


def _write_strays(root: Path, clip: _Clip) -> None:
    """Write labels without a video, a video without labels, and what other programs leave."""
    far = root / "6001-6400"
    _write_labels(far / "clip_6001" / "clip_6001.json", clip, True)
    write_video(far / "clip_6002" / "clip_6002.mp4", gray_pictures(range(9)), None)
    (far / "clip_6002" / "._clip_6002.json").write_bytes(JUNK)
    (far / "Thumbs.db").write_bytes(b"\0")
