"""Conversation voice of AI-Hub, Korean, with five raters per utterance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from emoflow.corpora.base import Corpus
from emoflow.data.archives import unpack_first
from emoflow.data.text_files import read_csv, records, walk
from emoflow.errors import ConfigError, CorpusError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import SEXES, Rating, Speech, Utterance, parse_emotion

__all__ = ["Aggregation", "ConversationVoice"]

Aggregation = Literal["majority", "intensity", "intensity+1", "acted"]

_TABLE = re.compile(r"(?<!\d)(\d)차(?:년도)?(?:[ _]*(\d)차)?.*\.csv", re.IGNORECASE)
_AUDIO = (".wav", ".flac")
_ID = re.compile(r"[0-9a-f]{24}")
_RATERS = range(1, 6)
_MAJORITY = 3
_COLUMNS = (
    "wav_id", "발화문", "상황", "나이", "성별",
    *(f"{n}번감정{what}" for n in _RATERS for what in ("", "세기")),
)  # fmt: skip
_INTENSITIES = {"0": 0, "1": 1, "2": 2, "0.0": 0, "1.0": 1, "2.0": 2}


class ConversationVoice(Corpus):
    """Conversation voice for emotion classification: Korean, seven emotions, five raters.

    **Source** KAIST and KETI, Korea; AI-Hub's 감정 분류를 위한 대화 음성 데이터셋 (dataSetSn 263).

    **Licence** AI-Hub's own: its terms must be accepted; the corpus may not be passed on.

    **How to get it** https://aihub.or.kr/aihubdata/data/view.do?dataSetSn=263 with an account.
    Unpack it with ``emoflow unpack`` and give the folder that holds the tables (``4차년도.csv``,
    ``5차년도.csv`` and ``5차년도_2차.csv``, or ``4차_14606.csv`` …), or the one above it, as
    ``root``. Wav files may lie anywhere below it: they are found by their names.

    **Size** 43,991 utterances, 48 kHz mono: 14,606 of the fourth year, 10,011 and 19,374 of the
    fifth (``extra["year"]``). 16 of the fourth year have no wav file and are text only, and 16
    wav files have no row. Hours are not known.

    **Speakers** Not known: there is no speaker id, only sex and age, so that a split by speakers
    cannot be made and scores may be speaker-dependent. Hold out ``sentences``.

    **Labels** Each of five raters gave one of seven emotions (happy, angry, disgust, fear,
    neutral, sad, surprise) and its intensity, 0 to 2 (``extra["intensities"]``, in the raters'
    order). Whether the first rater is the same person throughout is not known.
    ``extra["acted"]`` is the emotion that was to be acted. ``votes`` counts the raters;
    ``emotion`` comes from them as the option ``aggregation`` says. Where they do not agree on
    one it is ``None``; ``ties: drop`` leaves such utterances out, ``soft`` learns their votes.
    Three of five raters agree on 36,680 utterances. No arousal, no valence.

    **Text** What was said, of all utterances.

    **Citation** KAIST and KETI, 감정 분류를 위한 대화 음성 데이터셋, AI-Hub, https://aihub.or.kr

    Parameters
    ----------
    root
        Folder of the corpus.
    aggregation
        What ``emotion`` is. majority: what at least three of five raters say; intensity: the
        largest sum of intensities; intensity+1: the same with 1 added to each; acted: what was
        to be acted. No majority, or equal sums, is no emotion.
    options
        Those of every corpus.
    """

    name = "conversation_voice"
    scale = None
    modalities = ("speech", "text")
    labels: ClassVar[tuple[str, ...]] = (
        "neutral", "happy", "surprise", "angry", "sad", "disgust", "fear",
    )  # fmt: skip
    known: ClassVar[Mapping[str, int]] = {
        "utterances": 43_991,
        "with an emotion": 36_680,
    }

    def __init__(self, root: str, aggregation: Aggregation = "majority", **options: Any) -> None:
        super().__init__(root, **options)
        self.aggregation = aggregation

    def utterances(self) -> Iterator[Utterance]:
        """Yield every row of the tables, with its speech where there is a wav file."""
        if self.aggregation not in get_args(Aggregation):
            raise ConfigError(
                f"data.aggregation: there is no {self.aggregation!r}",
                f"use {', '.join(get_args(Aggregation))}",
            )
        tables, speech = self._found(Path(self.root).expanduser())
        without_row = set(speech)
        seen: set[str] = set()
        for path, year in tables:
            for line, row in self._rows(path):
                name = row["wav_id"].casefold()
                if name not in speech and not _ID.fullmatch(name):
                    self.note("rows whose id is not an utterance's")
                    continue
                if name in seen:
                    self.note("rows that repeat an utterance (the first one counts)")
                    continue
                seen.add(name)
                without_row.discard(name)
                yield self._utterance(name, row, speech.get(name), year, f"{path}, row {line}")
        if without_row:
            self.note("wav files without a row", len(without_row))

    def _found(self, root: Path) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """Return (path, year) of every table, and the wav file per id."""
        if not root.is_dir():
            raise CorpusError(f"{root}: no such folder", "give the corpus's folder as data.root")
        tables: list[tuple[str, str]] = []
        speech: dict[str, str] = {}
        for path, file in walk(root):
            stem, dot, ending = file.casefold().rpartition(".")
            if dot + ending in _AUDIO:
                if stem in speech:
                    self.note("wav files that repeat another (the first one counts)")
                speech.setdefault(stem, path)
            elif found := _TABLE.search(file):
                tables.append((path, f"{found[1]}차" + (f"_{found[2]}차" if found[2] else "")))
        if not tables:
            raise CorpusError(
                f"{root}: not the conversation voice corpus: no 4차년도.csv … or 4차_14606.csv … "
                "in it or below it",
                unpack_first(root, "give the folder that holds the tables as data.root"),
            )
        return tables, speech

    def _rows(self, path: str) -> Iterator[tuple[int, dict[str, str]]]:
        rows = read_csv(path)
        if rows:
            rows[0] = ["".join(cell.split()).casefold() for cell in rows[0]]
        broken = sum(any("\n" in cell or "\r" in cell for cell in row) for row in rows)
        if broken:
            self.note("rows with a cell of several lines", broken)
        for line, row in records(rows, path, _COLUMNS):
            if row is None:
                self.note("rows of a wrong width")
            else:
                yield line, row

    def _utterance(
        self, name: str, row: Mapping[str, str], speech: str | None, year: str, where: str
    ) -> Utterance:
        raters = tuple(Rating(f"rater{n}", self._label(row[f"{n}번감정"], where)) for n in _RATERS)
        intensities = [self._intensity(row[f"{n}번감정세기"]) for n in _RATERS]
        votes = Counter(r.emotion for r in raters if r.emotion is not None)
        if unrated := len(raters) - votes.total():
            self.note("ratings without an emotion", unrated)
        extra: dict[str, Any] = {"year": year, "intensities": intensities}
        if acted := self._label(row["상황"], where):
            extra["acted"] = acted
        else:
            self.note("utterances without an acted emotion")
        if speech is None:
            self.note("utterances without a wav file")
        text = row["발화문"] or None
        if text is None:
            self.note("utterances without a transcript")
        sex = SEXES.get(row["성별"].casefold())
        if sex is None:
            self.note("utterances whose sex is neither female nor male")
        emotion = acted if self.aggregation == "acted" else self._agreed(raters, intensities)
        return Utterance(
            id=name,
            corpus=self.name,
            sentence=sentence_name(text, name),
            speech=None if speech is None else Speech(speech),
            text=text,
            emotion=emotion,
            votes={label: float(count) for label, count in votes.items()} or None,
            raters=raters,
            sex=sex,
            age=row["나이"] or None,
            extra=extra,
        )

    def _agreed(self, raters: Sequence[Rating], intensities: Sequence[int | None]) -> str | None:
        """Return the emotion that the raters agree on, by the rule of ``aggregation``."""
        added = 1 if self.aggregation == "intensity+1" else 0
        sums: Counter[str] = Counter()
        for rater, intensity in zip(raters, intensities, strict=True):
            if rater.emotion is None:
                continue
            if self.aggregation == "majority":
                sums[rater.emotion] += 1
            elif intensity is not None:
                sums[rater.emotion] += intensity + added
        most = max(sums.values(), default=0)
        top = [label for label, weight in sums.items() if weight == most]
        if self.aggregation == "majority":
            if most < _MAJORITY:
                self.note("utterances on which no three raters agree (no emotion)")
            return top[0] if most >= _MAJORITY else None
        if len(top) != 1:
            self.note("utterances whose emotions tie (no emotion)")
        return top[0] if len(top) == 1 else None

    def _label(self, cell: str, where: str) -> str | None:
        return parse_emotion(cell, where=where, aliases=self.label_map) if cell else None

    def _intensity(self, cell: str) -> int | None:
        intensity = _INTENSITIES.get(cell)
        if intensity is None:
            self.note("intensities that are not 0, 1 or 2")
        return intensity
