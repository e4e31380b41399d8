"""MELD, English dialogues from a television series."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from emoflow.corpora.base import Corpus
from emoflow.data.audio import inspect_audio
from emoflow.data.index import list_files
from emoflow.data.progress import in_threads
from emoflow.data.text_files import read_csv, records, walk
from emoflow.data.video import is_video
from emoflow.errors import AudioError, CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["MELD"]

_TABLE = re.compile(r"(train|dev|test)_sent_emo\.csv", re.IGNORECASE)
_CLIP = re.compile(
    r"dia(\d{1,6})_utt(\d{1,6})\.(wav|flac|ogg|mp3|aiff?|mp4|mkv|avi|mov|webm|m4v)", re.IGNORECASE
)
_NUMBER = re.compile(r"[0-9]{1,6}")
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_ENCODINGS = ("utf-8-sig", "cp1252")
_COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
_EXTRA = {
    "Sentiment": "sentiment",
    "Season": "season",
    "Episode": "episode",
    "StartTime": "start_time",
    "EndTime": "end_time",
}
_OWN = {"anger": "angry", "joy": "happy", "sadness": "sad"}
_HEADER_BYTES = 128
"""A wav file that is no longer than this is a header without sound."""

# Windows' punctuation, as it stands in older copies: as control characters, or as UTF-8 that
# was taken for CP1252 or Latin-1 and encoded once more.
_PUNCTUATION = "\u2026\u2018\u2019\u201c\u201d\u2013\u2014\u00a0"
_CONTROLS = {ord(c.encode("cp1252").decode("latin-1")): c for c in _PUNCTUATION[:-1]}
_GARBLED = {
    garbled: c
    for c in _PUNCTUATION
    for garbled in (
        c.encode().decode("latin-1"),
        "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in c.encode()),
    )
}
_ODD = re.compile("|".join([*map(re.escape, _GARBLED), *map(chr, _CONTROLS)]))

_Clip = tuple[str, int, int]
"""Split (train, dev or test), dialogue, utterance."""


class MELD(Corpus):
    """MELD: dialogues of the series *Friends*, cut into utterances, in seven emotions.

    **Source** S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria and R. Mihalcea,
    https://affective-meld.github.io

    **Licence** GPL-3.0 for what the authors made; the series itself is not theirs to license.

    **How to get it** https://github.com/declare-lab/MELD: ``train_sent_emo.csv``,
    ``dev_sent_emo.csv`` and ``test_sent_emo.csv``, below the folder that is given as ``root``.
    Speech lies in the video clips of ``MELD.Raw.tar.gz``, ``dia0_utt0.mp4`` …, in folders below
    ``root``, or beside it, whose names contain train, dev or test, such as ``train_splits``,
    ``dev_splits_complete`` and ``output_repeated_splits_test``. Clips are read by PyAV: ``pip
    install "emoflow[video]"``; or extract their sound as ``dia0_utt0.wav`` (or flac) into such
    folders, which is read faster and goes before the clip. An utterance without either, and one
    whose clip cannot be read, is text only.

    **Size** 13,708 utterances of 1,432 dialogues: 9,989 train, 1,109 dev (``validation``), 2,610
    test. The clip of train's ``dia125_utt3`` is broken, that of dev's ``dia110_utt7`` is absent.

    **Speakers** Six main characters and many others, by name; every split has the main ones, so
    the official split is not independent of speakers. ``session`` is the dialogue; its number
    recurs in the other splits.

    **Labels** Neutral 6,436, happy (joy) 2,308, surprise 1,636, angry (anger) 1,607, sad
    (sadness) 1,002, disgust 361, fear 358, from three raters who are not told apart. No arousal;
    ``extra["sentiment"]`` is negative, neutral or positive.

    **Text** The transcript, with Windows' curly quotes put right where a copy has garbled them.
    ``extra`` holds ``season``, ``episode``, ``start_time`` and ``end_time``.

    **Citation** S. Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition
    in Conversations", *ACL*, 2019.
    """

    name = "meld"
    scale = None
    modalities = ("speech", "text")
    labels = ("neutral", "happy", "surprise", "angry", "sad", "disgust", "fear")
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 13_708,
        "sessions": 1_432,
        "neutral": 6_436,
        "happy": 2_308,
        "surprise": 1_636,
        "angry": 1_607,
        "sad": 1_002,
        "disgust": 361,
        "fear": 358,
    }

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield the files below the root, and extracted speech beside it."""
        root = Path(self.root).expanduser()
        yield from list_files(root)
        for _, path in _beside(root):
            facts = os.stat(path)
            yield path, facts.st_size, facts.st_mtime_ns

    def utterances(self) -> Iterator[Utterance]:
        """Yield one utterance per row of the three tables."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the MELD folder as data.root")
        tables, speech = self._find(root)
        if not tables:
            raise CorpusError(
                f"{root}: not MELD: no train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv "
                "in it or below it",
                "give the folder that holds them as data.root",
            )
        seen: set[_Clip] = set()
        for split, path in sorted(tables.items()):
            yield from self._read_table(split, path, speech, seen)
        if unlisted := len(speech.keys() - seen):
            self.note("audio files without a row", unlisted)

    def official_split(self) -> dict[str, str]:
        """Return the split of the table that each utterance stands in."""
        keys = self.table.column("key")
        return {key: _SPLITS[key.split("/")[1].split("_")[0]] for key in keys}

    def _find(self, root: Path) -> tuple[dict[str, str], dict[_Clip, str]]:
        tables: dict[str, str] = {}
        clips: list[tuple[str | None, str]] = []
        for path, file in walk(root):
            if found := _TABLE.fullmatch(file):
                if tables.setdefault(found[1].casefold(), path) != path:
                    self.note("copies of a split's table (the first one counts)")
            elif _CLIP.fullmatch(file):
                parts = Path(path).relative_to(root).parts[-2::-1]
                clips.append((next((s for p in parts if (s := _split_in(p))), None), path))
        if absent := len(_SPLITS.keys() - tables) if tables else 0:
            self.note("splits whose table is absent", absent)
        return tables, self._pick([*clips, *_beside(root)])

    def _pick(self, files: Iterable[tuple[str | None, str]]) -> dict[_Clip, str]:
        """Return the file to read per clip: extracted speech, else a video that can be read."""
        speech: dict[_Clip, str] = {}
        for split, path in sorted(files, key=lambda file: is_video(file[1])):
            if split is None:
                self.note("audio files that lie in no split's folder")
            elif os.stat(path).st_size <= (_HEADER_BYTES if path[-4:].casefold() == ".wav" else 0):
                self.note("files of extracted speech without any sound")
            else:
                first = speech.setdefault(_clip(split, os.path.basename(path)), path)
                if first != path and is_video(first) == is_video(path):
                    self.note("audio files that repeat an utterance (the first one counts)")
        videos = [clip for clip, path in speech.items() if is_video(path)]
        readable = dict(in_threads(lambda clip: _readable(speech[clip]), videos))
        if broken := sum(not fine for fine in readable.values()):
            self.note("clips that cannot be read", broken)
        return {clip: path for clip, path in speech.items() if readable.get(clip, True)}

    def _read_table(
        self, split: str, path: str, speech: Mapping[_Clip, str], seen: set[_Clip]
    ) -> Iterator[Utterance]:
        if not Path(path).read_bytes().endswith(b"\n"):
            self.note("tables whose last row does not end (is the file cut off?)")
        rows = [[self._put_right(cell) for cell in row] for row in read_csv(path, ",", _ENCODINGS)]
        for number, row in records(rows, path, _COLUMNS):
            where = f"{path}, row {number}"
            try:
                dialogue, utterance = _numbers(row, rows[number - 1], where)
                clip = (split, dialogue, utterance)
                if clip in seen:
                    self.note("rows that repeat an utterance (the first one counts)")
                    continue
                seen.add(clip)
                assert row is not None
                yield self._utterance(clip, row, speech.get(clip), where)
            except LabelError:
                raise  # a label that no map covers concerns the whole corpus
            except CorpusError as error:
                self.skip(f"{split} row {number}", path, error)

    def _utterance(
        self, clip: _Clip, row: Mapping[str, str], speech: str | None, where: str
    ) -> Utterance:
        split, dialogue, utterance = clip
        name = f"{split}_dia{dialogue}_utt{utterance}"
        given = self.label_map or {}
        aliases = {label: given.get(shared, shared) for label, shared in _OWN.items()}
        if not row["Emotion"]:
            self.note("utterances without an emotion")
        if not row["Utterance"]:
            self.note("utterances without words")
        if speech is None:
            self.note("utterances whose speech is not extracted from their clip (text only)")
        emotion = row["Emotion"] or None
        return Utterance(
            id=name,
            corpus=self.name,
            speaker=row["Speaker"] or None,
            session=f"{split}_dia{dialogue}",
            sentence=sentence_name(row["Utterance"], name),
            speech=None if speech is None else Speech(speech),
            text=row["Utterance"],
            emotion=emotion and parse_emotion(emotion, where=where, aliases=aliases | given),
            extra={name: row[column] for column, name in _EXTRA.items() if row.get(column)},
        )

    def _put_right(self, cell: str) -> str:
        if not _ODD.search(cell):
            return cell
        self.note("cells whose punctuation was garbled and is put right")
        return _ODD.sub(_punctuation, cell)


def _punctuation(odd: re.Match[str]) -> str:
    return _GARBLED.get(odd[0]) or _CONTROLS[ord(odd[0])]


def _numbers(row: Mapping[str, str] | None, cells: Iterable[str], where: str) -> tuple[int, int]:
    """Return the numbers of the dialogue and the utterance, of a row that is whole."""
    fix = "mend the row, or copy the table again"
    if row is None:
        raise CorpusError(f"{where}: it has more or fewer cells than there are columns", fix)
    if any("\n" in cell or "\r" in cell for cell in cells):
        raise CorpusError(
            f"{where}: a cell runs over several lines: a quotation mark is missing or too many", fix
        )
    for column in ("Dialogue_ID", "Utterance_ID"):
        if not _NUMBER.fullmatch(row[column]):
            raise CorpusError(f"{where}: {column} is {row[column]!r}, not a number", fix)
    return int(row["Dialogue_ID"]), int(row["Utterance_ID"])


def _split_in(folder: str) -> str | None:
    """Return the one split whose name a folder's name contains."""
    found = [split for split in _SPLITS if split in folder.casefold()]
    return found[0] if len(found) == 1 else None


def _readable(video: str) -> bool:
    try:
        inspect_audio(video)
    except AudioError:
        return False
    return True


def _clip(split: str, file: str) -> _Clip:
    found = _CLIP.fullmatch(file)
    assert found is not None
    return split, int(found[1]), int(found[2])


def _beside(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (split, path) of extracted speech in the splits' folders beside ``root``."""
    home = Path(os.path.abspath(root))
    with suppress(OSError):  # what lies around the corpus is not ours to read
        for folder in sorted(home.parent.iterdir()):
            split = _split_in(folder.name)
            if split and folder != home and not folder.name.startswith(".") and folder.is_dir():
                for file in sorted(os.listdir(folder)):
                    if _CLIP.fullmatch(file):
                        yield split, str(folder / file)
