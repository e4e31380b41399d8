"""CREMA-D, acted English speech."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from emoflow.corpora.base import Corpus
from emoflow.data.text_files import read_csv, records, walk
from emoflow.errors import CorpusError
from emoflow.types import SEXES, Sex, Speech, Utterance, parse_emotion

__all__ = ["CREMAD"]

_AUDIO = re.compile(r"(.+)\.(wav|flac|ogg|mp3|aiff?)", re.I | re.S)
_NAME = re.compile(r"([0-9]{4})_([a-z]{3})_([a-z]{3})_([a-z]{1,2})", re.I)
_DEMOGRAPHICS = "videodemographics.csv"
_LFS = b"version https://git-lfs"
_LFS_BYTES = 1024  # a pointer is smaller
_LFS_FIX = "run `git lfs pull` in the corpus's repository"
_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_LEVELS = {
    "LO": "low",
    "MD": "medium",
    "HI": "high",
    "XX": "unspecified",
    "X": "unspecified",  # 1040_ITH_SAD_X
}
_TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}


class CREMAD(Corpus):
    """CREMA-D: twelve English sentences, acted in six emotions by 91 people.

    **Source** H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma:
    *Crowd-sourced Emotional Multimodal Actors Dataset*.

    **Licence** Open Database License; its contents under the Database Contents License.

    **How to get it** ``git lfs clone https://github.com/CheyneyComputerScience/CREMA-D``. A clone
    made without git-lfs holds small text files, pointers, instead of audio: ``git lfs pull`` puts
    it right. Give the folder that holds ``AudioWAV`` (or ``AudioWAV`` itself, without its actors'
    ages and sexes) as ``root``. Only the audio is read, WAV rather than its copy in MP3.

    **Size** 7,442 utterances, WAV of 16 kHz mono.

    **Speakers** 91 actors, 1001 to 1091, 43 women and 48 men of 20 to 74 years; their sexes and
    ages are in ``VideoDemographics.csv``.

    **Labels** The emotion that was acted: 1,271 utterances each are angry, disgust, fear, happy
    and sad, 1,087 neutral; ``extra["level"]`` is low, medium, high or, for most, unspecified.
    What 2,443 raters saw and heard is not read: voices alone were recognised in 40.9 % of cases.
    No arousal, no valence.

    **Text** Twelve sentences; ``sentence`` is the code of which, such as DFA.

    **Oddities** 1076_MTI_SAD_XX is silent; 1040_ITH_SAD_X lacks a letter.

    **Citation** H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma,
    "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", *IEEE Transactions on Affective
    Computing* 5(4), 377-390, 2014.
    """

    name = "cremad"
    scale = None
    modalities = ("speech", "text")
    labels = tuple(_EMOTIONS.values())
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 7_442,
        "speakers": 91,
        "angry": 1_271,
        "disgust": 1_271,
        "fear": 1_271,
        "happy": 1_271,
        "neutral": 1_087,
        "sad": 1_271,
    }

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance that has audio."""
        files, tables, strangers = _find(Path(self.root).expanduser())
        if strangers:
            self.note("audio files that are not named like CREMA-D's", strangers)
        actors = self._actors(tables)
        endings: dict[str, str] = {}
        speakers: set[str] = set()
        for file in files:
            speaker, code, emotion, level = file.id.split("_")
            if file.id in endings:
                if file.ending == endings[file.id]:
                    self.note("files that repeat an utterance (the first one counts)")
                else:
                    self.note("copies of utterances in another format (left out)")
                continue
            endings[file.id] = file.ending
            speakers.add(speaker)
            if file.pointer:
                what = f"{file.path}: is a git-lfs pointer, not audio"
                self.skip(file.id, file.path, CorpusError(what, _LFS_FIX))
                continue
            if level not in _LEVELS:
                self.note("utterances whose level is not one of LO, MD, HI and XX")
            if code not in _TEXTS:
                self.note("utterances of a sentence that is not one of the twelve")
            actor = actors.get(speaker, _Actor())
            if actor.sex is None:
                self.note("utterances whose actor's sex is unknown")
            if actor.age is None:
                self.note("utterances whose actor's age is unknown")
            label = _EMOTIONS.get(emotion, emotion)
            yield Utterance(
                id=file.id,
                corpus=self.name,
                speaker=speaker,
                sentence=code,
                speech=Speech(file.path),
                text=_TEXTS.get(code),
                emotion=parse_emotion(label, where=file.path, aliases=self.label_map),
                sex=actor.sex,
                age=actor.age,
                extra={"level": _LEVELS.get(level, level)},
            )
        if silent := actors.keys() - speakers:
            self.note("actors without an audio file", len(silent))

    def _actors(self, tables: Sequence[str]) -> dict[str, _Actor]:
        """Return who is who; nobody if there is no table."""
        actors: dict[str, _Actor] = {}
        for path in tables:
            rows = read_csv(path, encodings=("utf-8-sig", "latin-1"))
            rows[:1] = [[cell.casefold() for cell in row] for row in rows[:1]]
            for _, row in records(rows, path, ("actorid", "age", "sex")):
                if row is None:
                    self.note("demographics rows with too many or too few cells")
                elif row["actorid"] in actors:
                    self.note("demographics rows that repeat an actor (the first one counts)")
                else:
                    sex, age = SEXES.get(row["sex"].casefold()), row["age"]
                    if sex is None:
                        self.note("demographics rows whose sex is neither male nor female")
                    if not re.fullmatch("[0-9]{1,3}", age):
                        self.note("demographics rows whose age is not a number")
                        age = ""
                    actors[row["actorid"]] = _Actor(sex, age or None)
        return actors


class _Actor(NamedTuple):
    sex: Sex | None = None
    age: str | None = None


class _File(NamedTuple):
    id: str
    pointer: bool
    """Whether it only stands for audio that git-lfs did not fetch."""
    ending: str
    path: str


def _find(root: Path) -> tuple[list[_File], list[str], int]:
    """Return the audio, each id's best file first, the demographics, and a count of the rest."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder", "give the CREMA-D folder as data.root")
    files, tables, strangers = [], [], 0
    for path, name in walk(root):
        if name.casefold() == _DEMOGRAPHICS:
            tables.append(path)
        elif audio := _AUDIO.fullmatch(name):
            if _NAME.fullmatch(audio[1]):
                ending = audio[2].casefold()
                files.append(_File(audio[1].upper(), _is_pointer(path), ending, path))
            else:
                strangers += 1
    if not files:
        raise CorpusError(
            f"{root}: not CREMA-D: no AudioWAV/1001_DFA_ANG_XX.wav … in it or below it",
            "give the folder that holds AudioWAV as data.root",
        )
    if all(file.pointer for file in files):
        raise CorpusError(
            f"{root}: all of its {len(files)} audio files are git-lfs pointers, not audio", _LFS_FIX
        )
    files.sort(key=lambda f: (f.id, f.pointer, f.ending != "wav", f.path))
    return files, sorted(tables), strangers


def _is_pointer(path: str) -> bool:
    try:
        if os.stat(path).st_size > _LFS_BYTES:
            return False
        with open(path, "rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False  # whoever reads it will say so
