"""Clips of the multimodal video corpus, written one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoflow.corpora.multimodal_video import MultimodalVideo
from emoflow.testing.video import gray_pictures, write_video
from emoflow.types import Utterance

BOX = {"xtl": 2, "ytl": 4.5, "xbr": "30", "ybr": 40}

NO_SOUND = "utterances of videos without usable sound (no speech)"


def node(emotion: Any = "happy", valence: Any = 7, arousal: Any = 3) -> dict[str, Any]:
    return {"emotion": emotion, "valence": valence, "arousal": arousal}


def person(person_id: Any = 1, start: Any = 6, end: Any = 36, **changes: Any) -> dict[str, Any]:
    """Return what one picture says of a person; ... leaves a field out."""
    content = {
        "person_id": person_id,
        **BOX,
        "emotion": {kind: node() for kind in ("image", "sound", "text", "multimodal")},
        "text": {"script": "오늘은  정말 좋네요", "script_start": start, "script_end": end},
        **changes,
    }
    return {name: value for name, value in content.items() if value is not ...}


def place(
    root: Path,
    data: Any = None,
    clip: str = "clip_1",
    *,
    folder: str = "",
    encoding: str = "utf-8",
    video: str | None = None,
    **content: Any,
) -> Path:
    """Write a clip's labels and its video of 2 s (or none, with an empty name)."""
    home = root / "0001-0400" / (folder or clip)
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{clip}.json"
    whole = {
        "clip_id": clip,
        "nr_frame": 60,
        "situation": "카페",
        "data": {"31": {"1": person()}} if data is None else data,
        **content,
    }
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding=encoding)
    if video != "":
        film(home / (video or f"{clip}.mp4"))
    return path


def film(path: Path, *, fps: int = 30, seconds: float = 2.0, sound: bool = True) -> Path:
    """Write a video; without pictures, where ``fps`` is 0."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(16_000 * seconds)) / 16_000)
    pictures = gray_pictures(40 + np.arange(round(fps * seconds))) if fps else None
    return write_video(path, pictures, wave.astype(np.float32) if sound else None, fps=fps)


def read(root: Path, **options: Any) -> list[Utterance]:
    return list(MultimodalVideo(root=str(root), **options).utterances())


def notes(root: Path, **options: Any) -> Mapping[str, int]:
    return MultimodalVideo(root=str(root), **options).notes
