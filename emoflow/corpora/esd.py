"""ESD, acted English and Chinese speech."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from emoflow.corpora.base import Corpus
from emoflow.data.text_files import decode, walk
from emoflow.errors import ConfigError, CorpusError
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["ESD"]

Language = Literal["english", "chinese", "both"]

_NAME = re.compile(r"([0-9]{4})_([0-9]{6})\.(wav|flac|ogg|mp3|aiff?)", re.I)
_TRANSCRIPT = re.compile(r"([0-9]{4})\.txt", re.I)
_ID = "[0-9]{4}_[0-9]{6}"
_LINE = re.compile(rf"({_ID})(?:\s+((?:(?!{_ID}).)*))?", re.S)  # one id, at the start
_EMOTIONS = ("neutral", "angry", "happy", "sad", "surprise")
_CHINESE = {"中立": "neutral", "生气": "angry", "快乐": "happy", "伤心": "sad", "惊喜": "surprise"}
_SPLITS = {"train": "train", "test": "test", "evaluation": "validation"}
_PER_EMOTION = 350
_EVALUATION, _TEST = 20, 50
_LAST_CHINESE, _LAST = 10, 20
_MALE = frozenset({4, 5, 6, 8, 10, 11, 12, 13, 14, 20})
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class ESD(Corpus):
    """ESD: the same sentences in five emotions, by ten English and ten Chinese speakers.

    **Source** K. Zhou, B. Sisman, R. Liu and H. Li, National University of Singapore and
    Singapore University of Technology and Design: *Emotional Speech Database*,
    https://github.com/HLTSingapore/Emotional-Speech-Data

    **Licence** Its own, for research only.

    **How to get it** Ask for it as the page above says, unpack it anywhere and give the folder that
    holds ``0001`` … ``0020`` (or the one above it) as ``root``: ``0011/Angry/0011_000351.wav``,
    with or without the folders ``train``, ``test`` and ``evaluation``, beside ``0011/0011.txt``.

    **Size** 17,500 utterances per language, 29 h of both together, 16 kHz mono; 350 sentences per
    speaker and emotion. ``language`` says which part is read.

    **Speakers** 20: 0001 to 0010 speak Chinese, 0011 to 0020 English. Men are 0004, 0005, 0006,
    0008, 0010 to 0014 and 0020.

    **Labels** Neutral, angry, happy, sad, surprise, as acted: 3,500 of each per language. The
    folder says which. No arousal, no valence, no raters.

    **Text** The transcript; its files are in four encodings, and some of their lines are broken.
    Every speaker says the same 350 sentences of a language in all five emotions, so that words
    tell nothing of the emotion; ``sentence`` is the language and the number.

    **Split** Comes with one: sentences 1 to 20 are validation (``evaluation``), 21 to 50 test, the
    others training. It shares all speakers between its parts, and no sentence.

    **Citation** K. Zhou, B. Sisman, R. Liu and H. Li, "Seen and unseen emotional style transfer
    for voice conversion with a new emotional speech dataset", *ICASSP*, 920-924, 2021; K. Zhou,
    B. Sisman, R. Liu and H. Li, "Emotional voice conversion: theory, databases and ESD", *Speech
    Communication* 137, 1-18, 2022.

    Parameters
    ----------
    root
        Folder of the corpus.
    language
        Whose speech is read: english, chinese or both.
    options
        Those of every corpus.
    """

    name = "esd"
    scale = None
    modalities = ("speech", "text")
    labels = _EMOTIONS
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 17_500,
        "speakers": 10,
        **dict.fromkeys(_EMOTIONS, 3_500),
    }

    def __init__(self, root: str, language: Language = "english", **options: Any) -> None:
        super().__init__(root, **options)
        self.language = language
        if language == "both":
            twice = {what: 2 * count for what, count in type(self).known.items()}
            self.known = twice  # type: ignore[misc]

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance of the chosen language."""
        files, transcripts = _find(self.root, self.language)
        texts = self._texts(transcripts)
        seen: set[str] = set()
        for file in files:
            if file.id in seen:
                self.note("files that repeat an utterance (the first one counts)")
                continue
            seen.add(file.id)
            if problem := file.problem:
                self.skip(file.id, file.path, problem)
                continue
            assert file.emotion is not None
            if file.emotion != file.block:
                self.note("utterances in another emotion's folder than their number's")
            if file.folder_split not in (None, file.number_split):
                self.note("utterances in another split's folder than their number's")
            text, said = texts.get(file.id, ("", None))
            if not text:
                self.note("utterances without a transcript")
            if said not in (None, file.emotion):
                self.note("transcripts that name another emotion than the folder (it counts)")
            language = "english" if file.speaker > _LAST_CHINESE else "chinese"
            yield Utterance(
                id=file.id,
                corpus=self.name,
                speaker=file.id[:4],
                sentence=f"{language} {(file.number - 1) % _PER_EMOTION}",
                speech=Speech(file.path),
                text=text or None,
                emotion=parse_emotion(file.emotion, where=file.path, aliases=self.label_map),
                sex="male" if file.speaker in _MALE else "female",
                extra={"language": language},
            )
        if strangers := texts.keys() - seen:
            self.note("transcript lines without an audio file", len(strangers))

    def official_split(self) -> dict[str, str]:
        """Return the split that the folders tell, or else the numbers."""
        split: dict[str, str] = {}
        for file in _find(self.root, self.language)[0]:
            part = file.folder_split or file.number_split
            split.setdefault(f"{self.name}/{file.id}", part)
        return split

    def _texts(self, paths: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return text, and emotion if it is named, per utterance."""
        texts: dict[str, tuple[str, str | None]] = {}
        for path in paths:
            for line in self._lines(path):
                found = _LINE.fullmatch(line)
                if found is None:
                    self.note("broken transcript lines (no id at the start, or two ids)")
                    continue
                text, emotion = _split_line(found[2] or "")
                if not text:
                    self.note("transcript lines without a text")
                elif emotion is None:
                    self.note("transcript lines without a known emotion")
                if texts.get(found[1], ("", None))[0]:
                    self.note("transcript lines that repeat an utterance (the first one counts)")
                else:
                    texts[found[1]] = text, emotion
        return texts

    def _lines(self, path: str) -> list[str]:
        """Return what is not blank, NFC and stripped."""
        try:
            content = Path(path).read_bytes()
        except OSError:
            self.note("transcript files that cannot be read")
            return []
        text, lossy = _decode(content, path)
        if lossy:
            self.note("transcript files decoded with loss")
        lines = re.split(r"[\r\n]+", unicodedata.normalize("NFC", text).replace("\ufeff", ""))
        return [line.strip() for line in lines if line.strip()]


class _File(NamedTuple):
    """An audio file, and what its name and its folders say."""

    id: str
    path: str
    emotion: str | None
    folder_split: str | None

    @property
    def speaker(self) -> int:
        return int(self.id[:4])

    @property
    def number(self) -> int:
        return int(self.id[5:])

    @property
    def block(self) -> str:
        """The emotion that the number belongs to."""
        return _EMOTIONS[(self.number - 1) // _PER_EMOTION % len(_EMOTIONS)]

    @property
    def number_split(self) -> str:
        place = (self.number - 1) % _PER_EMOTION + 1
        return "validation" if place <= _EVALUATION else "test" if place <= _TEST else "train"

    @property
    def problem(self) -> str:
        """Why it cannot be used, or nothing."""
        last = _PER_EMOTION * len(_EMOTIONS)
        if not 1 <= self.speaker <= _LAST:
            return f"its speaker is not one of 0001 to {_LAST:04}"
        if not 1 <= self.number <= last:
            return f"its number {self.number} is not one of 1 to {last}"
        if self.emotion is None:
            return "it lies in no folder called Neutral, Angry, Happy, Sad or Surprise"
        return ""


def _find(root: str, language: Language) -> tuple[list[_File], list[str]]:
    """Return a language's audio, each id's likeliest file first, and its transcript files."""
    speakers = {
        "english": range(_LAST_CHINESE + 1, _LAST + 1),
        "chinese": range(1, _LAST_CHINESE + 1),
        "both": range(1, _LAST + 1),
    }.get(language)
    if speakers is None:
        raise ConfigError(
            f"data.language: there is no {language!r}", "give english, chinese or both"
        )
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder", "give the ESD folder as data.root")
    files, transcripts, others = [], [], 0
    for path, name in walk(folder):
        if found := _NAME.fullmatch(name):
            speaker = int(found[1])
            if speaker in speakers or not 1 <= speaker <= _LAST:
                files.append(_file(f"{found[1]}_{found[2]}", path, folder))
            else:
                others += 1
        elif (found := _TRANSCRIPT.fullmatch(name)) and int(found[1]) in speakers:
            transcripts.append(path)
    if not files and others:
        raise CorpusError(
            f"{folder}: none of its {others} utterances is by speakers "
            f"{speakers[0]:04} to {speakers[-1]:04}",
            f"choose another part with data.language; it is {language}",
        )
    if not any(file.emotion for file in files):
        raise CorpusError(
            f"{folder}: not ESD: no 0011/Angry/0011_000351.wav … in it or below it",
            "give the folder that holds 0001 … 0020 as data.root",
        )
    files.sort(key=lambda f: (f.id, bool(f.problem), f.emotion != f.block, f.path))
    return files, sorted(transcripts)


def _file(id: str, path: str, root: Path) -> _File:
    parts = [part.casefold() for part in os.path.relpath(path, root).split(os.sep)[-2::-1]]
    emotion = next((part for part in parts if part in _EMOTIONS), None)
    split = next((_SPLITS[part] for part in parts if part in _SPLITS), None)
    return _File(id, path, emotion, split)


def _decode(content: bytes, path: str) -> tuple[str, bool]:
    """Return a transcript file's text, and whether characters were lost."""
    encodings: tuple[str, ...] = ("utf-8-sig", "cp1252", "latin-1")
    if content.startswith(_BOMS):
        encodings = ("utf-16",)
    elif int(Path(path).name[:4]) <= _LAST_CHINESE:
        encodings = ("utf-8-sig", "gb18030")
    try:
        return decode(content, path, encodings), False
    except CorpusError:
        readings = [content.decode(encoding, "replace") for encoding in encodings]
        return min(readings, key=lambda text: text.count("\ufffd")), True


def _split_line(rest: str) -> tuple[str, str | None]:
    """Return text and emotion of what follows an id: between tabs, or between spaces."""
    cells = [" ".join(cell.split()) for cell in rest.split("\t") if cell.strip()]
    if len(cells) > 1 and " " not in cells[-1]:
        return " ".join(cells[:-1]), _emotion(cells[-1].casefold())
    text = " ".join(cells)
    before, _, last = text.rpartition(" ")
    named = last != last.casefold() or last in _CHINESE  # "sad" may end a sentence
    emotion = _emotion(last.casefold()) if named else None
    return (text, None) if emotion is None else (before, emotion)


def _emotion(word: str) -> str | None:
    return _CHINESE.get(word) or (word if word in _EMOTIONS else None)
