"""Damage to label files: every loader must refuse it by name or count what it lost."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emoflow.corpora import Corpus
from emoflow.errors import EmoflowError


def survives_damage(
    make: Callable[[], Corpus], file: Path, *, count: int = 1000, seed: int = 0
) -> None:
    """Damage ``file`` ``count`` times; each time the corpus says so, or has lost nothing.

    Either an error of emoflow's names the file, or as many utterances come as from the whole
    file, or something is skipped or noted that was not before. Anything else raised is a bug.
    """
    content, name = file.read_bytes(), unicodedata.normalize("NFC", file.name)
    whole, problems = _read(make())
    rng = np.random.default_rng(seed)
    try:
        for number in range(count):
            overwrite(file, damaged(content, rng))
            refusal = ""
            try:
                found, counted = _read(make())
            except EmoflowError as error:
                refusal = unicodedata.normalize("NFC", str(error))
            except Exception as error:
                raise AssertionError(f"damage {number}: {type(error).__name__}") from error
            if refusal:
                assert name in refusal, f"damage {number}: {refusal}"
            else:
                grown = any(counted[kind] > problems[kind] for kind in counted)
                assert found >= whole or grown, f"damage {number}: a silent loss"
    finally:
        file.write_bytes(content)


def overwrite(file: Path, content: bytes) -> None:
    """Write in place: a file that is emptied first is flushed to disk by some file systems."""
    with file.open("r+b") as stream:
        stream.write(content)
        stream.truncate()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return ``content`` cut off, with bytes changed, taken out, put in, or said twice."""
    start = int(rng.integers(1, len(content)))
    end = min(len(content), start + int(rng.integers(1, 40)))
    kind = rng.integers(5)
    if kind == 0:  # cut off inside a row: nobody can tell that a whole one is missing
        while start < len(content) and content[start - 1] in b"\r\n\t,":
            start += 1
        return content[:start]
    if kind == 1:
        noise = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 8)):
            noise[place] = int(rng.integers(256))
        return bytes(noise)
    if kind == 2:
        return content[:start] + content[end:]
    if kind == 3:
        return content[:start] + rng.bytes(end - start) + content[start:]
    return content[:end] + content[start:]


def _read(corpus: Corpus) -> tuple[int, Counter[str]]:
    """Return how many utterances come, and what is counted: skips, and oddities by kind."""
    counted: Counter[str] = Counter()

    def note(kind: str, count: int = 1) -> None:
        counted[kind] += count

    def skip(id: str, file: str | Path, reason: str | EmoflowError) -> None:
        counted["skipped"] += 1

    corpus.note, corpus.skip = note, skip  # type: ignore[method-assign]
    return sum(1 for _ in corpus.utterances()), counted
