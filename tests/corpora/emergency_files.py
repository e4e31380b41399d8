"""Labels and audio of the emergency corpus, written one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoflow.corpora.emergency_sound import EmergencySound
from emoflow.testing.folders import write_audio
from emoflow.types import Utterance

STEM = "8.전기사고_236859"


def annotation(**changes: Any) -> dict[str, Any]:
    content = {
        "audio_id": 1,
        "audioType": "voice",
        "area": {"start": 0.05, "end": 0.25},
        "categories": {
            "category_01": "위급",
            "category_02": "전기사고",
            "category_03": "전기사고_전선_붕괴소리",
        },
        "note": "불이  났어요\n",
        "gender": "여",
        "generation": "20대",
        "dialect": "서울/경기",
    }
    return {name: value for name, value in (content | changes).items() if value is not ...}


def of_class(name: Any) -> dict[str, Any]:
    return annotation(categories={"category_02": name})


def place(
    root: Path,
    *annotations: Any,
    stem: str = STEM,
    split: str = "Training",
    content: Any = None,
    wav: str | None = None,
) -> Path:
    """Write a label file and its audio (or none, with an empty name)."""
    home = stem.partition("_")[0]
    path = root / split / f"[라벨]{home}" / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        audio = {"fileName": f"{stem}_label.wav", "duration": 0.3}
        content = {"audio": audio, "annotations": list(annotations)}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    if wav != "":
        noise(root / split / f"[원천]{home}_1" / (wav or f"{stem}_label.wav"))
    return path


def noise(path: Path) -> Path:
    rng = np.random.default_rng(len(str(path)))
    write_audio(path, rng.standard_normal(13_230).astype(np.float32) / 10, 44_100)
    return path


def read(root: Path, **options: Any) -> list[Utterance]:
    return list(EmergencySound(root=str(root), **options).utterances())


def notes(root: Path) -> Mapping[str, int]:
    return EmergencySound(root=str(root)).notes
