"""Two small corpora side by side, to be mixed."""

from __future__ import annotations

from pathlib import Path

from emoflow.testing.small import write_emotiontts, write_ravdess

__all__ = ["write_mixed"]


def write_mixed(folder: str | Path, *, shortcut: bool = False, seed: int = 0) -> tuple[Path, Path]:
    """Write a small RAVDESS and a small emotiontts_open_db below ``folder``; return both.

    With ``shortcut`` the first keeps only angry and the second only neutral speech, so that the
    corpus, its sampling rate and its bandwidth give the emotion away.
    """
    root = Path(folder)
    first = write_ravdess(root / "ravdess", actors=(1, 2, 3, 4), seed=seed)
    second = write_emotiontts(root / "emotiontts", utterances_per_emotion=6, seed=seed)
    if shortcut:
        for path in first.glob("Actor_*/*.wav"):
            if path.name.split("-")[2] != "05":
                path.unlink()
        for path in second.glob("*/*/wav/*.flac"):
            if int(path.stem[3:]) > 100:
                path.unlink()
    return first, second
