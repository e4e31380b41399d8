"""RAVDESS, acted English speech."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from emoflow.corpora.base import Corpus
from emoflow.errors import CorpusError
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["RAVDESS"]

_NAME = re.compile(
    r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)\.(wav|flac|ogg|mp3|aiff?)", re.I
)
_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")
_INTENSITIES = ("normal", "strong")


class RAVDESS(Corpus):
    """RAVDESS, its speech part: two sentences acted in eight emotions.

    **Source** S. R. Livingstone and F. A. Russo, Ryerson University, Toronto.

    **Licence** CC BY-NC-SA 4.0.

    **How to get it** https://zenodo.org/records/1188976, ``Audio_Speech_Actors_01-24.zip``. Unpack
    it anywhere and give the folder that holds ``Actor_01`` … (or the one above it) as ``root``;
    any sampling rate and any format that libsndfile reads will do.

    **Size** 1,440 utterances of 3 to 5 s, 1.5 h: 60 per actor.

    **Speakers** 24 professional actors, 12 women (even numbers) and 12 men (odd numbers).

    **Labels** Neutral, calm, happy, sad, angry, fear, disgust, surprise, as acted; all but neutral
    in two intensities (``extra["intensity"]``), all twice (``extra["repetition"]``). 96 utterances
    are neutral, 192 each of the others. No arousal, no valence, no raters.

    **Text** Two statements; ``sentence`` is which of them.

    **Citation** S. R. Livingstone and F. A. Russo, "The Ryerson Audio-Visual Database of Emotional
    Speech and Song (RAVDESS)", *PLoS ONE* 13(5), e0196391, 2018.
    """

    name = "ravdess"
    scale = None
    modalities = ("speech", "text")
    labels = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 1_440,
        "speakers": 24,
        "neutral": 96,
        **dict.fromkeys(labels[1:], 192),
    }

    def utterances(self) -> Iterator[Utterance]:
        """Yield the spoken utterances; song is left out and counted."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the RAVDESS folder as data.root")
        seen: set[str] = set()
        found = False
        for folder, file in _audio_files(root):
            found = True
            code = file.partition(".")[0]
            _, channel, emotion, intensity, statement, repetition, actor = code.split("-")
            path = f"{folder}{os.sep}{file}"
            if channel != "01":
                self.note("sung utterances left out")
            elif code[3:] in seen:
                self.note("files that repeat an utterance (the first one counts)")
            else:
                seen.add(code[3:])
                try:
                    label = _pick(_EMOTIONS, emotion, "emotion", path)
                    yield Utterance(
                        id=code,
                        corpus=self.name,
                        speaker=f"Actor_{actor}",
                        sentence=f"statement {statement}",
                        speech=Speech(path),
                        text=_pick(_STATEMENTS, statement, "statement", path),
                        emotion=parse_emotion(label, where=path, aliases=self.label_map),
                        sex="male" if int(actor) % 2 else "female",
                        extra={
                            "intensity": _pick(_INTENSITIES, intensity, "intensity", path),
                            "repetition": int(repetition),
                        },
                    )
                except CorpusError as error:
                    self.skip(code, path, error)
        if not found:
            raise CorpusError(
                f"{root}: not RAVDESS: no Actor_01/03-01-01-01-01-01-01.wav … in it or below it",
                "give the folder that holds Actor_01 … Actor_24 as data.root",
            )


def _audio_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (folder, file) of every file named like RAVDESS's, audio alone before video."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [(folder, file) for file in files if _NAME.fullmatch(file)]
    yield from sorted(found, key=lambda f: (f[1][:2] != "03", f[1][:20], f[0], f[1]))


def _pick(values: tuple[str, ...], code: str, what: str, path: str) -> str:
    if not 1 <= int(code) <= len(values):
        raise CorpusError(
            f"{path}: {what} {code} is not one of 01 to {len(values):02}",
            "rename or remove the file, or leave it out with data.on_bad_utterance: skip",
        )
    return values[int(code) - 1]
