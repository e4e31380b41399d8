"""emotiontts_open_db, acted Korean speech."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from emoflow.corpora.base import Corpus
from emoflow.errors import CorpusError
from emoflow.frontends.transcripts import decode_transcript
from emoflow.types import Speech, Utterance, parse_emotion

__all__ = ["EmotionTTS"]

_NAME = re.compile(r"((?:em|ne)([a-z]))(\d{5})\.(wav|flac|ogg|mp3|aiff?)", re.IGNORECASE)
_EMOTIONS = ("neutral", "happy", "sad", "angry")
_PER_EMOTION = 100
_LAST_WOMAN = "e"


class EmotionTTS(Corpus):
    """The emotional part of emotiontts_open_db: Korean sentences acted in four emotions.

    **Source** KAIST and Selvas AI, Korea, 2017 and 2018, funded by the Ministry of Trade, Industry
    and Energy (10080667); ``Dataset/SpeechCorpus/Emotional``.

    **Licence** CC BY-NC-SA 4.0, research only.

    **How to get it** https://github.com/emotiontts/emotiontts_open_db holds 5 % of it; the page
    says how to ask for the rest. Give the folder that holds ``emotional-to-emotional`` and
    ``plain-to-emotional`` (or the one above it) as ``root``; wav or flac.

    **Size** 300 utterances, 0.46 h, 22.05 kHz mono in the open part: 20 per speaker.

    **Speakers** 15: ten ``ne`` (``emotional-to-emotional``) and five ``em``
    (``plain-to-emotional``); letters a to e are women, the others men.

    **Labels** By file number: 1-100 neutral, 101-200 happy, 201-300 sad, 301-400 angry. The
    corpus's own README names angry before sad; the sentences say otherwise. No arousal, no
    valence, no raters.

    **Text** What was said (``transcript``), else what was to be said (``script``). The ``ne``
    speakers share their sentences, each of which belongs to one emotion, so that words alone give
    the emotion away unless sentences are held out too; the ``em`` speakers read the same neutral
    sentences in all four emotions. ``sentence`` goes by the number, since speakers vary a word.

    **Citation** KAIST and Selvas AI, *emotiontts_open_db*, 2018,
    https://github.com/emotiontts/emotiontts_open_db
    """

    name = "emotiontts"
    scale = None
    modalities = ("speech", "text")
    labels = _EMOTIONS
    known: ClassVar[Mapping[str, int]] = {"utterances": 300, "speakers": 15}

    def utterances(self) -> Iterator[Utterance]:
        """Yield every utterance whose file is named like the corpus's."""
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give emotiontts's folder as data.root")
        files = sorted(_audio_files(root))
        if not files:
            raise CorpusError(
                f"{root}: not emotiontts_open_db: no emotional-to-emotional/nea/wav/nea00001.wav … "
                "in it or below it",
                "give the folder that holds emotional-to-emotional and plain-to-emotional as "
                "data.root",
            )
        seen: set[str] = set()
        for name, path in files:
            speaker, number = name[:3], int(name[3:])
            if name in seen:
                self.note("files that repeat an utterance (the first one counts)")
                continue
            seen.add(name)
            if not 1 <= number <= len(_EMOTIONS) * _PER_EMOTION:
                self.skip(name, path, f"its number {number} is not one of 1 to 400")
                continue
            label = _EMOTIONS[(number - 1) // _PER_EMOTION]
            sentence = f"e2e-{number:05}"
            if name.startswith("em"):
                sentence = f"p2e-{(number - 1) % _PER_EMOTION + 1:05}"
            sex: Literal["female", "male"] = "female" if speaker[2] <= _LAST_WOMAN else "male"
            yield Utterance(
                id=name,
                corpus=self.name,
                speaker=speaker,
                sentence=sentence,
                speech=Speech(path),
                text=self._text(Path(path), name),
                emotion=parse_emotion(label, where=path, aliases=self.label_map),
                sex=sex,
            )

    def _text(self, audio: Path, name: str) -> str | None:
        for folder in ("transcript", "script"):
            try:
                content = (audio.parent.parent / folder / f"{audio.stem}.txt").read_bytes()
            except OSError:
                continue
            text, lossy = decode_transcript(content)
            if lossy:
                self.note("transcripts decoded with loss")
            if words := " ".join(text.split()):
                return words
            self.note("transcripts without words")
        self.note("utterances without a transcript")
        return None


def _audio_files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, path), such as ``nea00001``, of every file named like the corpus's."""
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            if found := _NAME.fullmatch(file):
                yield f"{found[1].casefold()}{found[3]}", f"{folder}{os.sep}{file}"
