"""Clips of AI-Hub's multimodal video: their files, their annotations, which belong together."""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emoflow.data.folds import natural_key
from emoflow.data.text_files import read_csv, read_json, records, walk
from emoflow.data.video import is_video
from emoflow.errors import CorpusError

__all__ = ["KINDS", "Annotated", "Clip", "Groups", "find_clips", "read_groups", "read_labels"]

KINDS = ("multimodal", "image", "sound", "text")
"""What annotators judged: everything together, or one modality alone."""

_CORRECTED = "-수정본"
_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_AGAIN = "copy the file again from the corpus"
_MEND = "mend the row: columns clip_id, source, and perhaps person_id and person"

Note = Callable[[str, int], None]


@dataclass(frozen=True)
class Clip:
    """A clip's files."""

    name: str
    labels: str
    video: str


@dataclass
class Annotated:
    """An utterance, gathered from all pictures in which it is annotated."""

    person: str
    start: int
    """Number of a picture, like the end."""
    end: int
    words: str
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Kind to ``emotion`` (text), ``valence`` and ``arousal`` (numbers), where they are known."""
    boxes: list[tuple[int, list[float]]] = field(default_factory=list)
    """Number of a picture, and left, top, right and bottom edge in pixels."""
    contradictions: set[str] = field(default_factory=set)
    """What another picture says differently."""


@dataclass(frozen=True)
class Groups:
    """Which clips and people belong together."""

    sessions: Mapping[str, str]
    """Folded name of a clip to the first clip of all that share a source or a person with it."""
    people: Mapping[tuple[str, str], str]
    """Folded name of a clip, and person_id, to a person."""


def find_clips(root: Path, note: Note) -> list[Clip]:
    """Return the clips below ``root`` that have labels and a video, in natural order.

    Files in a folder whose name ends in -수정본 (corrected) go before others of the clip.
    """
    labels: dict[str, list[str]] = {}
    videos: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for path, file in walk(root):
        stem, ending = os.path.splitext(file)
        stem = stem.removesuffix(_CORRECTED)
        found = labels if ending.casefold() == ".json" else videos if is_video(file) else None
        if found is not None:
            names.setdefault(stem.casefold(), stem)
            found.setdefault(stem.casefold(), []).append(path)
    if absent := len(labels.keys() - videos.keys()):
        note("label files without a video (left out)", absent)
    if absent := len(videos.keys() - labels.keys()):
        note("videos without a label file (left out)", absent)
    clips = []
    for key in sorted(labels.keys() & videos.keys(), key=natural_key):
        written = sorted(labels[key], key=lambda path: not _corrected(path, root))
        home = os.path.dirname(written[0])
        seen = sorted(
            videos[key], key=lambda p: (os.path.dirname(p) != home, not _corrected(p, root))
        )
        if rest := len(written) - 1:
            better = _corrected(written[0], root) and not _corrected(written[1], root)
            copies = "clips that are corrected (-수정본)" if better else "clips that repeat another"
            note(f"label files of {copies} (the first one counts)", rest)
        clips.append(Clip(names[key], written[0], seen[0]))
    return clips


def read_labels(path: str) -> tuple[list[Annotated], str | None, Counter[str]]:
    """Return the utterances of a label file, its situation, and oddities by kind.

    Raises
    ------
    CorpusError
        If the file is not such a file.
    """
    content = read_json(path)
    pictures = content.get("data") if isinstance(content, dict) else None
    if not isinstance(pictures, dict):
        raise CorpusError(f"{path}: holds no data of pictures", _AGAIN)
    notes: Counter[str] = Counter()
    utterances: dict[tuple[str, int, int], Annotated] = {}
    numbered = [(_whole(number), people) for number, people in pictures.items()]
    for number, people in sorted(numbered, key=lambda p: -1 if p[0] is None else p[0]):
        if number is None or not isinstance(people, dict):
            notes["pictures without a number or people (left out)"] += 1
            continue
        for fields in people.values():
            _add(utterances, number, fields if isinstance(fields, dict) else {}, notes)
    for one in utterances.values():
        for what in one.contradictions:
            notes[f"utterances whose {what} differ between pictures (the first counts)"] += 1
    return list(utterances.values()), _words(content.get("situation")), notes


def _add(
    utterances: dict[tuple[str, int, int], Annotated],
    picture: int,
    fields: Mapping[str, Any],
    notes: Counter[str],
) -> None:
    """Add what one picture says of one person."""
    said = _part(fields, "text")
    person, script = _words(fields.get("person_id")), _words(said.get("script")) or ""
    start, end = _whole(said.get("script_start")), _whole(said.get("script_end"))
    if not script and start is None and end is None:
        notes["boxes of people who say nothing"] += 1
        return
    if person is None or start is None or end is None:
        notes["annotations without a person_id or a span of pictures (left out)"] += 1
        return
    one = utterances.setdefault((person, start, end), Annotated(person, start, end, script))
    if script != one.words:
        one.contradictions.add("words")
        one.words = one.words or script
    for kind in KINDS:
        labels = _labels(_part(_part(fields, "emotion"), kind), notes)
        if labels and one.labels.setdefault(kind, labels) != labels:
            one.contradictions.add(f"{kind} labels")
    corners = [_number(fields.get(corner)) for corner in _CORNERS]
    box = [corner for corner in corners if corner is not None]
    if len(box) == len(corners):
        one.boxes.append((picture, box))
    else:
        notes["annotations without a box"] += 1


def _labels(node: Mapping[str, Any], notes: Counter[str]) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    if emotion := _words(node.get("emotion")):
        labels["emotion"] = emotion.casefold()
    for rating in ("valence", "arousal"):
        value = _number(node.get(rating))
        if value is not None:
            labels[rating] = value
        elif node.get(rating) not in (None, ""):
            notes["ratings that are not numbers"] += 1
    return labels


def read_groups(path: Path) -> Groups:
    """Read a table of which clips share a source or a person.

    Raises
    ------
    CorpusError
        If the file or a row of it is not such a table.
    """
    above: dict[str, str] = {}
    people: dict[tuple[str, str], str] = {}

    def top(name: str) -> str:
        while (up := above.setdefault(name, name)) != name:
            above[name] = above[up]
            name = up
        return name

    clips: dict[str, str] = {}
    for row_number, row in records(read_csv(path), path, ("clip_id", "source")):
        if row is None or not row["clip_id"]:
            raise CorpusError(f"{path}, row {row_number}: no clip_id, or cells too many", _MEND)
        name = f"clip_{int(row['clip_id'])}" if row["clip_id"].isdecimal() else row["clip_id"]
        clips.setdefault(key := name.casefold(), name)
        person_id, person = row.get("person_id", ""), row.get("person", "")
        if person and not person_id:
            raise CorpusError(f"{path}, row {row_number}: a person without a person_id", _MEND)
        if person and people.setdefault((key, person_id), person) != person:
            raise CorpusError(
                f"{path}, row {row_number}: {name}'s person {person_id} is {person} here, "
                f"{people[key, person_id]} above",
                _MEND,
            )
        for kind, value in (("source", row["source"]), ("person", person)):
            if value:
                above[top(f"clip {key}")] = top(f"{kind} {value}")
    first: dict[str, str] = {}
    for key in sorted(clips, key=natural_key):
        first.setdefault(top(f"clip {key}"), clips[key])
    return Groups({key: first[top(f"clip {key}")] for key in clips}, people)


def _words(value: Any) -> str | None:
    """Return a value's text, NFC, with single spaces; nothing if there is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        return None
    return " ".join(unicodedata.normalize("NFC", str(value)).split()) or None


def _number(value: Any) -> float | None:
    """Return a finite number that is written as one or as text."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (OverflowError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _whole(value: Any) -> int | None:
    """Return a number without what stands behind its point."""
    found = _number(value)
    return None if found is None else int(found)


def _part(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = node.get(name)
    return part if isinstance(part, dict) else {}


def _corrected(path: str, root: Path) -> bool:
    parts = Path(path).relative_to(root).parts
    names = [unicodedata.normalize("NFC", os.path.splitext(part)[0]) for part in parts]
    return any(name.endswith(_CORRECTED) for name in names)
