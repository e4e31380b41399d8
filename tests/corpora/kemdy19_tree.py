"""KEMDy19 written file by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from emoflow.corpora import KEMDy19
from emoflow.corpora.kemdy19 import Role
from emoflow.types import Utterance

RATERS = [f"Eval{n:02}{sex}" for n, sex in enumerate("FMMFMFFMFM", start=1)]
HEADERS = [
    [
        *["Numb", "Wav", "", "ECG", "", "E4-EDA", "", "E4-TEMP", "", "Segment ID"],
        *(cell for name in ("Total Evaluation", *RATERS) for cell in (name, "", "")),
    ],
    ["", *["start", "end"] * 4, "", *["Emotion", "Valence", "Arousal"] * 11],
]
EDGES = ["-0.03253542", "0.05061065", "4.408951", "4.651463", "34.66", "34.59"]
F = "Sess01_script01_F001"
M = "Sess01_script01_M001"
ROLES: tuple[Role, ...] = ("speaker", "listener", "both")


def row(name: str, emotion: str = "surprise", valence: str = "1.7") -> list[str]:
    """One annotation row; raters say surprise six times, angry four times."""
    votes = [c for label in ["surprise"] * 6 + ["angry"] * 4 for c in (label, "2", "4")]
    return ["1", "7.152", "15.476", *EDGES, name, emotion, valence, "3.9", *votes]


class Tree:
    """Writes a corpus file by file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def annotation(
        self, who: str, rows: list[list[str]], headers: list[list[str]] = HEADERS
    ) -> Path:
        """``who`` is a session and a person, such as 01_F."""
        path = self.root / "annotation" / f"Session{who}_res.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(",".join(cells) + "\n" for cells in [*headers, *rows]))
        return path

    def wav(self, name: str, folder: str = "") -> Path:
        path = self.root / "wav" / f"Session{name[4:6]}" / (folder or name[:-5]) / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(sum(name.encode()))
        soundfile.write(path, generator.normal(0, 0.1, 1600), 16_000)
        return path

    def text(self, name: str, content: str | bytes) -> Path:
        path = self.root / "wav" / f"Session{name[4:6]}" / name[:-5] / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def signal(self, kind: str, whose: str, content: str) -> Path:
        folder = self.root / kind / f"Session{whose[4:6]}" / "Original"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{whose}.csv").write_text(content)
        return folder / f"{whose}.csv"


def read(root: Path | str, **options: str) -> tuple[dict[str, Utterance], KEMDy19]:
    corpus = KEMDy19(root=str(root), **options)  # type: ignore[arg-type]
    table = corpus.table
    return {table[n].id: table[n] for n in range(len(table))}, corpus


def notes(corpus: KEMDy19, word: str) -> int:
    """The sum of the counts whose kind has ``word`` in it."""
    return sum(count for kind, count in corpus.notes.items() if word in kind)


def two_utterances(root: Path) -> Tree:
    """A woman's and a man's utterance, each rated in both files."""
    tree = Tree(root)
    for name in (F, M):
        tree.wav(name)
        tree.text(name, "n/ 아 친구들도? l/")
    tree.annotation("01_F", [row(F, "happy", "4.5"), row(M, "sad", "2.5")])
    tree.annotation("01_M", [row(F, "fear", "3.5"), row(M)])
    return tree
