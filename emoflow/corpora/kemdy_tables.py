"""What the KEMDy corpora have in common: annotation tables and ids with their noise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emoflow.data.text_files import read_csv
from emoflow.errors import CorpusError

__all__ = ["AnnotationRow", "Cells", "Columns", "find_columns", "read_annotation"]

_RATER = re.compile(r"eval\d\d[fm]")
_RATERS = 10
_HEADERS = 2
_BY_COUNT = {37: (3, 4), 43: (9, 10)}
"""Number of columns to the places of the segment id and of the total evaluation."""

Triple = tuple[int, int, int]
Cells = tuple[str, str, str, str]
"""Name of the rater, emotion, valence, arousal."""


@dataclass(frozen=True)
class Columns:
    """Places of an annotation table's columns, counted from 0."""

    id: int
    total: Triple
    """Emotion, valence, arousal."""
    raters: dict[str, Triple]
    """Rater's name to emotion, valence, arousal."""


def find_columns(header: Sequence[Sequence[str]], where: str | Path) -> Columns:
    """Find the columns by the two header rows, else by the number of columns.

    Raises
    ------
    CorpusError
        If neither tells; it names the columns that are missing.
    """
    width = max(map(len, header), default=0)
    blank: list[str] = [""] * width
    upper, lower = (
        [_plain(cell) for cell in [*row, *blank][:width]] for row in [*header, blank, blank][:2]
    )
    kinds = [n for n in range(width) if "segment id" in (upper[n], lower[n])]
    triples = _triples(upper, lower)
    total = next((places for name, places in triples.items() if name.startswith("total")), None)
    raters = {
        name.capitalize()[:-1] + name[-1].upper(): places
        for name, places in triples.items()
        if _RATER.fullmatch(name)
    }
    if not kinds or total is None:
        if width not in _BY_COUNT:
            found = (("Segment ID", kinds), ("Total Evaluation", total))
            lacking = " and ".join(name for name, places in found if not places)
            raise CorpusError(
                f"{where}: no column {lacking} in its two header rows, and its {width} columns "
                "are neither KEMDy20's 37 nor KEMDy19's 43",
                "copy the annotation file again from the corpus",
            )
        place, first = _BY_COUNT[width]
        kinds, total = [place], (first, first + 1, first + 2)
    start = width - 3 * _RATERS
    starts = range(start, width, 3)
    names = {places[0]: name for name, places in raters.items()}
    if len(raters) < _RATERS and start > max(total) and names.keys() <= set(starts):
        raters = {
            names.get(s, f"Eval{n:02}"): (s, s + 1, s + 2) for n, s in enumerate(starts, start=1)
        }
    return Columns(kinds[0], total, raters)


def _triples(upper: Sequence[str], lower: Sequence[str]) -> dict[str, Triple]:
    """Group name to the places of emotion, valence and arousal below it."""
    groups: dict[str, dict[str, int]] = {}
    group = ""
    for place, (above, kind) in enumerate(zip(upper, lower, strict=True)):
        group = above or group  # a group's name stands over its first column only
        groups.setdefault(group, {}).setdefault(kind, place)
    kinds = ("emotion", "valence", "arousal")
    return {
        name: (found["emotion"], found["valence"], found["arousal"])
        for name, found in groups.items()
        if all(kind in found for kind in kinds)
    }


def _plain(cell: str) -> str:
    return " ".join(cell.replace("\ufeff", "").split()).casefold()


@dataclass(frozen=True)
class AnnotationRow:
    """One row below the header: cells as text, stripped."""

    line: int
    """Number of the row in the file, counted from 1."""
    id: str
    """As it stands; may be empty."""
    times: tuple[str, str]
    """Columns 1 and 2: where the utterance stands in the recording, in seconds."""
    total: tuple[str, str, str]
    """Emotion, valence, arousal."""
    raters: tuple[Cells, ...]
    whole: bool
    """Whether it has a cell for every column, and nothing beyond."""


def read_annotation(path: str | Path) -> Iterator[AnnotationRow]:
    """Yield the rows of an annotation table that hold anything, header rows excepted.

    Raises
    ------
    CorpusError
        If the file cannot be read, or its columns cannot be found.
    """
    rows = read_csv(path)
    columns = find_columns(rows[:2], path)
    (e, v, a), raters = columns.total, columns.raters.items()
    width = 1 + max(columns.id, 2, e, v, a, *(place for _, places in raters for place in places))
    most = max(width, *map(len, rows[:2]))
    for line, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        whole = len(cells) >= width and not any(cells[most:])
        cells += [""] * (width - len(cells))
        identity = cells[columns.id]
        header = _plain(identity) == "segment id" or (line <= _HEADERS and not identity)
        if any(cells) and not header:
            yield AnnotationRow(
                line,
                identity,
                (cells[1], cells[2]),
                (cells[e], cells[v], cells[a]),
                tuple([(name, cells[x], cells[y], cells[z]) for name, (x, y, z) in raters]),
                whole,
            )
