"""EmoDB, acted German speech."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from emoflow.corpora.base import Corpus
from emoflow.data.text_files import walk
from emoflow.errors import CorpusError
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["EmoDB"]

_AUDIO = re.compile(r"(.+)\.(wav|flac|ogg|mp3|aiff?)", re.I | re.S)
_NAME = re.compile(r"([0-9]{2})([a-z][0-9]{2})([a-z])([a-z]?)", re.I)
_EMOTIONS = {
    "W": "angry",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
_MEN = {"03": "31", "10": "32", "11": "26", "12": "30", "15": "25"}
_WOMEN = {"08": "34", "09": "21", "13": "32", "14": "35", "16": "31"}
_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


class EmoDB(Corpus):
    """EmoDB, the Berlin Database of Emotional Speech: ten German sentences in seven emotions.

    **Source** F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier and B. Weiss, Technical
    University of Berlin; recorded in 1997 and 1999.

    **Licence** Unknown; the authors ask for the citation below.

    **How to get it** http://emodb.bilderbar.info, ``download.zip``. Unpack it anywhere and give the
    folder that holds ``wav/03a01Fa.wav`` … (or ``wav`` itself) as ``root``. What lies in a folder
    with ``laryng`` in its name is left out: it holds what a laryngograph recorded.

    **Size** 535 utterances, 16 kHz mono.

    **Speakers** Ten actors: 03, 10, 11, 12 and 15 are men, 08, 09, 13, 14 and 16 women, of 21 to
    35 years.

    **Labels** The letter in a file's name: 127 angry (W), 81 boredom (L), 46 disgust (E), 69 fear
    (A), 71 happy (F), 62 sad (T), 79 neutral (N), as acted; what listeners did not recognise is
    not in the corpus. No arousal, no valence, no raters.

    **Text** Ten sentences, spoken by everyone in all emotions; ``sentence`` is the code of which,
    a01 to b10.

    **Citation** F. Burkhardt, A. Paeschke, M. Rolfes, W. F. Sendlmeier and B. Weiss, "A database of
    German emotional speech", *Interspeech*, 1517-1520, 2005.
    """

    name = "emodb"
    scale = None
    modalities = ("speech", "text")
    labels = tuple(_EMOTIONS.values())
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 535,
        "speakers": 10,
        "angry": 127,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happy": 71,
        "sad": 62,
        "neutral": 79,
    }

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance whose file is named like the corpus's."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the EmoDB folder as data.root")
        seen: set[str] = set()
        for path, stem in self._audio(root):
            found = _NAME.fullmatch(stem)
            if found is None:
                self.note("audio files that are not named like EmoDB's")
                continue
            speaker, code, letter, version = found.groups()
            code, letter = code.casefold(), letter.upper()
            id = f"{speaker}{code}{letter}{version.casefold()}"
            if id in seen:
                self.note("files that repeat an utterance (the first one counts)")
                continue
            seen.add(id)
            if code not in _TEXTS:
                self.note("utterances of a sentence that is not one of the ten")
            sex: Literal["female", "male"] | None = None
            if speaker in _MEN:
                sex = "male"
            elif speaker in _WOMEN:
                sex = "female"
            else:
                self.note("utterances of a speaker who is not one of the ten")
            emotion = _EMOTIONS.get(letter, letter)
            yield Utterance(
                id=id,
                corpus=self.name,
                speaker=speaker,
                sentence=code,
                speech=Speech(path),
                text=_TEXTS.get(code),
                emotion=parse_emotion(emotion, where=path, aliases=self.label_map),
                sex=sex,
                age={**_MEN, **_WOMEN}.get(speaker),
            )
        if not seen:
            raise CorpusError(
                f"{root}: not EmoDB: no wav/03a01Fa.wav … in it or below it",
                "give the folder that holds wav/03a01Fa.wav … as data.root",
            )

    def _audio(self, root: Path) -> list[tuple[str, str]]:
        """Return (path, stem) of every recording of speech."""
        found = []
        for path, file in walk(root):
            if audio := _AUDIO.fullmatch(file):
                if "laryng" in os.path.relpath(path, root).casefold():
                    self.note("recordings of the larynx (left out)")
                else:
                    found.append((path, audio[1]))
        return sorted(found)
