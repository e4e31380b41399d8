"""What the loaders of the KEMDy corpora share: their folders, ratings and transcripts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoflow.corpora.base import Corpus
from emoflow.corpora.kemdy_tables import AnnotationRow, Cells, read_annotation
from emoflow.errors import CorpusError
from emoflow.frontends.transcripts import clean_transcript, decode_transcript, sentence_name
from emoflow.types import Rating, Speech, parse_emotion

__all__ = [
    "KEMDY19",
    "KEMDY20",
    "KEMDy",
    "Labels",
    "Layout",
    "annotation_names",
    "find_root",
    "number",
    "session_folders",
]

_SESSION = re.compile(r"session(\d\d)", re.IGNORECASE)
_SPELLINGS = {"disqust": "disgust"}

ParseId = Callable[[str, str], str | None]
"""From a cell or a file's stem, and the session's two digits, to an utterance's id."""


@dataclass(frozen=True)
class Layout:
    """By what one of the KEMDy corpora is known."""

    name: str
    annotation: re.Pattern[str]
    """Names of the files in its folder ``annotation``."""
    example: str
    """One of those names."""
    signals: tuple[str, ...]
    """Names of its signals' folders."""


KEMDY19 = Layout(
    "KEMDy19",
    re.compile(r"session(\d\d)_([fm])_res\.csv", re.IGNORECASE),
    "Session01_F_res.csv",
    ("ECG", "EDA", "TEMP"),
)
KEMDY20 = Layout(
    "KEMDy20",
    re.compile(r"sess(\d\d)_eval\.csv", re.IGNORECASE),
    "Sess01_eval.csv",
    ("EDA", "IBI", "TEMP"),
)


class KEMDy(Corpus):
    """What KEMDy19 and KEMDy20 share; each adds its folders and its ids."""

    scale = (1.0, 5.0)
    modalities = ("speech", "text", "signals")
    labels = ("neutral", "happy", "surprise", "angry", "sad", "disgust", "fear")

    def _cells(self) -> Labels:
        return Labels({**_SPELLINGS, **(self.label_map or {})}, (1.0, 5.0))

    def _files(
        self, folders: Iterable[tuple[str, str]], parse: ParseId
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the wav and the txt file per utterance id; folders are (session, path)."""
        speech: dict[str, str] = {}
        texts: dict[str, str] = {}
        kinds = {"wav": speech, "txt": texts}
        for session, path in folders:
            for file in sorted(os.listdir(path)):
                stem, dot, ending = file.rpartition(".")
                found = kinds.get(ending.casefold()) if dot else None
                name = parse(stem, session) if found is not None else None
                if found is None or name is None:
                    continue
                if name in found:
                    self.note("files that repeat an utterance (the first one counts)")
                found.setdefault(name, f"{path}{os.sep}{file}")
        return speech, texts

    def _rows(
        self, path: Path, session: str, parse: ParseId
    ) -> Iterator[tuple[str, AnnotationRow]]:
        """Yield the rows of an annotation table with their utterances' ids."""
        for row in read_annotation(path):
            name = parse(row.id, session)
            if name is None:
                kind = "whose id is not an utterance's" if row.id else "without an id"
                self.note(f"annotation rows {kind}")
                continue
            if name != row.id:
                self.note("ids put right (session, case or spaces)")
            if not row.whole:
                self.note("annotation rows with cells too few or too many")
            yield name, row

    def _said(self, name: str, speech: str | None, transcript: str | None) -> dict[str, Any]:
        """Return what an utterance is made of: speech, text and sentence."""
        if speech is None:
            self.note("utterances without a wav file")
        text = self._text(transcript)
        return {
            "speech": None if speech is None else Speech(speech),
            "text": text,
            "sentence": sentence_name(text, name),
        }

    def _rated(
        self, row: AnnotationRow, path: Path, labels: Labels, **extra: str | float
    ) -> dict[str, Any]:
        """Return what raters said: emotion, votes, arousal, valence, raters, extra."""
        where = f"{path}, row {row.line}"
        total = labels.emotions(row.total[0], where)
        votes: dict[str, float] = {}
        raters = []
        for cells in row.raters:
            rating, named, missing = labels.rating(cells, where)
            raters.append(rating)
            for label in named:
                votes[label] = votes.get(label, 0.0) + 1 / len(named)
            if missing:
                self.note("raters' numbers that are missing or outside 1 to 5", missing)
        valence, arousal = (
            self._total(cell, kind, where)
            for cell, kind in zip(row.total[1:], ("valence", "arousal"), strict=True)
        )
        for kind, cell in zip(("start", "end"), row.times, strict=True):
            if (seconds := number(cell)) is not None:
                extra[f"recording_{kind}"] = seconds
        if len(total) > 1:
            extra["first"] = total[0]
            self.note("emotions tied between labels")
        elif not total:
            self.note("utterances without a total emotion")
        return {
            "emotion": total[0] if len(total) == 1 else None,
            "votes": votes or dict.fromkeys(total, 1.0) or None,
            "arousal": arousal,
            "valence": valence,
            "raters": tuple(raters) or None,
            "extra": extra,
        }

    def _total(self, cell: str, kind: str, where: str) -> float | None:
        value = number(cell)
        if value is None and cell:
            raise CorpusError(
                f"{where}: {kind} is {cell!r}, not a number", "copy the annotation file again"
            )
        if value is None:
            self.note(f"utterances without {kind}")
        return value

    def _text(self, path: str | None) -> str | None:
        if path is None:
            self.note("utterances without a transcript")
            return None
        try:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        except OSError:
            self.note("transcripts that cannot be read")
            return None
        text, lossy = decode_transcript(content)
        if lossy:
            self.note("transcripts decoded with loss")
        text = clean_transcript(text)
        if not text:
            self.note("transcripts without words")
        return text


class Labels:
    """What cells mean; raters repeat themselves, so every answer is kept."""

    def __init__(self, aliases: Mapping[str, str], scale: tuple[float, float]) -> None:
        self._aliases = aliases
        self._lowest, self._highest = scale
        self._emotions: dict[str, tuple[str, ...]] = {}
        self._ratings: dict[Cells, tuple[Rating, tuple[str, ...], int]] = {}

    def emotions(self, cell: str, where: str) -> tuple[str, ...]:
        """Return a cell's emotions: several if they tie, in the order they are named."""
        if cell not in self._emotions:
            parts = [part for part in cell.split(";") if part.strip()]
            named = (parse_emotion(part, where=where, aliases=self._aliases) for part in parts)
            self._emotions[cell] = tuple(dict.fromkeys(named))
        return self._emotions[cell]

    def rating(self, cells: Cells, where: str) -> tuple[Rating, tuple[str, ...], int]:
        """Return a rater's rating, every emotion in it, and how many numbers were no use."""
        if cells not in self._ratings:
            rater, emotion, valence, arousal = cells
            named = self.emotions(emotion, where)
            numbers = [self._on_scale(arousal), self._on_scale(valence)]
            rating = Rating(rater, named[0] if len(named) == 1 else None, *numbers)
            self._ratings[cells] = rating, named, numbers.count(None)
        return self._ratings[cells]

    def _on_scale(self, cell: str) -> float | None:
        value = number(cell)
        return None if value is None or not self._lowest <= value <= self._highest else value


def find_root(root: str | Path, layout: Layout) -> Path:
    """Return the folder of a corpus: ``root``, a folder in it, or the one around it.

    It is known by the files of its ``annotation`` folder, not by its name.

    Raises
    ------
    CorpusError
        If there is none, or more than one; it says what was looked for.
    """
    root = Path(root).expanduser()
    name, example = layout.name, f"annotation/{layout.example} …"
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder", f"give the {name} folder as data.root")
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    deeper = sorted(p for b in below if _may_read(b) for p in b.iterdir() if p.is_dir())
    parts = {part.casefold() for part in ("annotation", "wav", *layout.signals)}
    around = [root.parent] if root.name.casefold() in parts else []
    for places in ([root], around, below, deeper):
        found = [place for place in places if annotation_names(place, layout)]
        if len(found) > 1:
            raise CorpusError(
                f"{root}: holds several copies of {name}: {', '.join(p.name for p in found)}",
                "give one of them as data.root",
            )
        if found:
            return found[0]
    other = KEMDY19 if layout is KEMDY20 else KEMDY20
    if any(annotation_names(place, other) for place in (root, *below)):
        raise CorpusError(
            f"{root}: this is {other.name} (annotation/{other.example} …), not {name}",
            f"give the folder that holds {example} and wav/Session01 …",
        )
    *first, last = (f"{part}/" for part in ("annotation", "wav", *layout.signals))
    raise CorpusError(
        f"{root}: not {name}: no {example} in it or in a folder below it",
        f"give the folder that holds {', '.join(first)} and {last} as data.root",
    )


def annotation_names(place: Path, layout: Layout) -> list[str]:
    """Return the names of the annotation files of a corpus in ``place``, if any."""
    folder = place / "annotation"
    if not folder.is_dir():
        return []
    return sorted(name for name in os.listdir(folder) if layout.annotation.fullmatch(name))


def session_folders(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (session, path) of the folders that are called Session01 and so on."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            found = _SESSION.fullmatch(entry.name)
            if found and entry.is_dir():
                yield found[1], entry.path


def number(cell: str) -> float | None:
    """Return what a cell counts, or ``None`` if it is not a number."""
    try:
        return float(cell)
    except ValueError:
        return None


def _may_read(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)
