"""Utterances and recordings that tests plant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from emoflow.types import Utterance


def by_id(utterances: Sequence[Utterance]) -> dict[str, Utterance]:
    found = {u.id: u for u in utterances}
    assert len(found) == len(utterances)
    return found


def hear(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 1600), 16_000)
    return root
