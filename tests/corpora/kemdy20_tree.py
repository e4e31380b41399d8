"""A hand-made KEMDy20, small enough to see what every test relies on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATERS = [f"Eval{n:02}{sex}" for n, sex in enumerate("FMMFMFFMFM", start=1)]
HEADERS = [
    ["Numb", "WAV", " ", "Segment ID", "Total Evaluation", " ", " "]
    + [cell for rater in RATERS for cell in (rater, " ", " ")],
    [" ", "start", "end", " ", *["Emotion", "Valence", "Arousal"] * 11],
]


def row(
    name: str,
    emotion: str = "neutral",
    valence: str = "3.8",
    arousal: str = "2.8",
    rated: Sequence[str] = ("neutral",) * 6 + ("happy",) * 4,
    numbers: tuple[str, str] = ("4", "2"),
) -> list[str]:
    """One annotation row; ``numbers`` are every rater's valence and arousal."""
    votes = [cell for label in rated for cell in (label, *numbers)]
    return ["5", "42.77729", "44.86329", name, emotion, valence, arousal, *votes]


class Tree:
    """Writes a corpus file by file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def annotation(
        self,
        session: str,
        rows: Sequence[Sequence[str]],
        headers: Sequence[Sequence[str]] = HEADERS,
        encoding: str = "utf-8",
        newline: str = "\n",
    ) -> Path:
        path = self.root / "annotation" / f"Sess{session}_eval.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(",".join(cells) + newline for cells in [*headers, *rows])
        path.write_bytes(text.encode(encoding))
        return path

    def wav(self, name: str, folder: str = "", seconds: float = 0.1) -> Path:
        path = self.root / "wav" / (folder or f"Session{name[4:6]}") / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(sum(name.encode()))
        soundfile.write(path, generator.normal(0, 0.1, int(seconds * 16_000)), 16_000)
        return path

    def text(self, name: str, content: bytes, folder: str = "") -> Path:
        path = self.root / "wav" / (folder or f"Session{name[4:6]}") / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def signal(self, kind: str, recording: str, content: str, folder: str = "") -> Path:
        path = self.root / kind / (folder or f"Session{recording[4:6]}") / f"{recording}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path
