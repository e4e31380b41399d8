"""A small corpus in the layout of AI-Hub's conversation voice, with noise for speech."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emoflow.testing.folders import check_size, is_complete, made_by, write_audio, written_whole
from emoflow.testing.words import draw_sentence
from emoflow.types import Rating, Speech, Utterance

__all__ = ["write_conversation_voice"]

_RATE = 48_000
_HEADER = (
    "wav_id", "발화문", "상황", "1번 감정", "1번 감정세기", "2번 감정", "2번 감정세기", "3번 감정",
    "3번 감정세기", "4번 감정", "4번감정세기", "5번 감정", "5번 감정세기", "나이", "성별",
)  # fmt: skip
_YEARS = ("4차", "5차", "5차_2차")
_TABLES = (
    ("4차년도.csv", "5차년도.csv", "5차년도_2차.csv"),
    ("4차_14606.csv", "5차_10011.csv", "5차년도_2차_19374.csv"),
)
_FOLDERS = ("4차_wav", "5차년도/5차_wav", "5차년도_2차/5차_2차_wav")
_VALENCE = {
    "happy": 4.6, "angry": 1.4, "disgust": 1.6, "fear": 2.0, "neutral": 3.0, "sad": 1.5,
    "surprise": 3.4,
}  # fmt: skip
_EMOTIONS = tuple(_VALENCE)
_SPELLINGS = {
    "happy": ("Happiness", "happiness", "happy"),
    "angry": ("Angry", "angry", "anger"),
    "disgust": ("Disgust", "disgust"),
    "fear": ("Fear", "fear"),
    "neutral": ("Neutral", "neutral", "NEUTRAL"),
    "sad": ("Sadness", "sadness", "sad"),
    "surprise": ("Surprise", "surprise"),
}
_ACTED = {"happy": "happiness", "angry": "angry", "sad": "sadness"}
_ACTED_IN_4 = {"happy": "happiness", "angry": "anger", "sad": "sad"}


def write_conversation_voice(
    folder: str | Path, *, count: int = 40, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of AI-Hub's conversation voice.

    Three tables in CP949, one per year, and 48 kHz wav files in folders that differ per year.
    All seven emotions are acted in turn; five raters mostly hear what was acted. Speech is noise.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances, at least 3.
    seed
        Another seed gives other utterances.
    odd
        Whether the oddities of the real one are there: either naming of the tables, UTF-8 with a
        byte order mark, tabs in cells, labels in any case and their aliases, folder names in NFD,
        a row without a wav file and a wav file without a row, a repeated row, a row of a wrong
        width, an empty one, ids in capitals, files of other programs.

    Returns
    -------
    list
        The utterances, as a corpus with ``root=folder`` and ``aggregation="majority"`` has them.

    Raises
    ------
    ConfigError
        If ``count`` is below 3.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 3)
    root = Path(folder).absolute()
    made = made_by("write_conversation_voice", seed, count=count, odd=odd)
    rng = np.random.default_rng(seed)
    folders = [
        unicodedata.normalize("NFD", name) if odd and rng.random() < 0.5 else name
        for name in _FOLDERS
    ]
    tables: list[list[Sequence[str]]] = [[_HEADER] for _ in _YEARS]
    planted: list[Utterance] = []
    audio: list[str] = []
    years = [number % len(_YEARS) for number in range(count)]
    silent = int(rng.integers(count)) if odd else -1
    for number, year in enumerate(years):
        name = rng.bytes(12).hex()
        file = None
        if number != silent:
            file = f"{folders[year]}/{name.upper() if odd and rng.random() < 0.1 else name}.wav"
            audio.append(file)
        utterance = _draw(name, _YEARS[year], _EMOTIONS[number % len(_EMOTIONS)], rng)
        utterance = utterance.with_(speech=None if file is None else Speech(str(root / file)))
        planted.append(utterance)
        tables[year].append(_row(utterance, odd, rng))
    if odd:
        for rows in tables:
            rows.insert(int(rng.integers(1, len(rows) + 1)), [])
        year = int(rng.integers(len(_YEARS)))
        stranger = _draw(rng.bytes(12).hex(), _YEARS[year], "sad", rng)
        tables[year].append(_row(stranger, odd, rng)[:-2])
        again = _draw(planted[-1].id, _YEARS[years[-1]], "sad", rng)
        tables[years[-1]].append(_row(again, odd, rng))
        audio.append(f"{folders[year]}/{rng.bytes(12).hex()}.wav")
    names = _TABLES[int(rng.integers(len(_TABLES)))] if odd else _TABLES[0]
    if not is_complete(root, made):
        with written_whole(root, made) as partial:
            for name, rows in zip(names, tables, strict=True):
                encoding = "utf-8-sig" if odd and rng.random() < 0.3 else "cp949"
                (partial / name).write_bytes(_csv(rows).encode(encoding))
            for file in audio:
                wave = 0.1 * rng.standard_normal(round(0.3 * _RATE), dtype=np.float32)
                write_audio(partial / file, wave, _RATE)
            if odd:
                (partial / "설명.csv").write_text("파일,내용\n4차,음성\n", encoding="utf-8")
                (partial / "._0123456789abcdef01234567.wav").write_bytes(b"\0\5\26")
    return planted


def _draw(name: str, year: str, acted: str, rng: np.random.Generator) -> Utterance:
    """Return an utterance without its speech."""
    agreement = 0.2 if rng.random() < 0.3 else 0.85
    heard = [
        acted if rng.random() < agreement else _EMOTIONS[int(rng.integers(len(_EMOTIONS)))]
        for _ in range(5)
    ]
    text = draw_sentence(rng, _VALENCE[acted]).text
    if rng.random() < 0.2:
        text = f'"{text}", 라고 했어요.'
    commonest = max(_EMOTIONS, key=heard.count)
    sexes: tuple[Literal["female", "male"], ...] = ("female", "male")
    return Utterance(
        id=name,
        corpus="conversation_voice",
        sentence="".join(letter for letter in text if letter.isalnum()),
        text=text,
        emotion=commonest if heard.count(commonest) >= 3 else None,
        votes={label: float(heard.count(label)) for label in set(heard)},
        raters=tuple(Rating(f"rater{n}", label) for n, label in enumerate(heard, start=1)),
        sex=sexes[int(rng.integers(2))],
        age=str(rng.integers(19, 60)),
        extra={
            "year": year,
            "acted": acted,
            "intensities": [int(intensity) for intensity in rng.integers(0, 3, 5)],
        },
    )


def _row(utterance: Utterance, odd: bool, rng: np.random.Generator) -> list[str]:
    assert utterance.text is not None
    extra: Mapping[str, Any] = utterance.extra
    acted = _ACTED_IN_4 if extra["year"] == "4차" else _ACTED
    row = [utterance.id, utterance.text, acted.get(extra["acted"], extra["acted"])]
    for rater, intensity in zip(utterance.raters or (), extra["intensities"], strict=True):
        spellings = _SPELLINGS[rater.emotion or ""]
        row += [spellings[int(rng.integers(len(spellings))) if odd else 0], str(intensity)]
    row += [utterance.age or "", utterance.sex or ""]
    if odd:
        row[0] = row[0].upper() if rng.random() < 0.1 else row[0]
        row[1] = row[1].replace(" ", "\t", 1) if rng.random() < 0.2 else row[1]
        tabbed = int(rng.integers(len(row)))
        row[tabbed] += "\t"
    return row


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
