"""``emoflow describe``: a corpus as one page of tables, pictures and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emoflow.commands.fit import read_corpus, take_option

USAGE = """usage: emoflow describe --config CONFIG [--out FOLDER] [--key value ...]

Reads the corpus of a config and writes FOLDER/describe.html, one page that needs nothing else, with
its tables as CSV in FOLDER/tables: emotions by split, speaker, sex, age and whatever else the
corpus tells; arousal and valence; lengths; how raters agree; loudness, silence and bandwidth; what
is absent; telling words; duplicates; examples to see and hear. Words and examples are those of the
training split. Trains nothing. FOLDER is a new one, by default runs/describe/CORPUS.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    words = list(arguments)
    if not words or "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    out, words = take_option(words, "out")
    corpus = read_corpus(words)

    from emoflow.studies.describe import describe

    page = describe(corpus, Path(out) if out else _new_folder(Path("runs/describe"), corpus.name))
    print(f"{corpus.name}: {len(corpus.table)} utterances described in {page}")
    return 0


def _new_folder(home: Path, name: str) -> Path:
    """Return ``home/name``, or with the first number that is free."""
    found, number = home / name, 2
    while found.exists():
        found, number = home / f"{name}-{number}", number + 1
    return found
