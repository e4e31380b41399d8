"""Small corpora in the layouts of corpora that are text first: MELD and KOTE."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from emoflow.testing.folders import made_by, write_audio, written_whole
from emoflow.testing.words import draw_sentence
from emoflow.types import SAMPLE_RATE, Speech, Utterance

__all__ = ["write_kote", "write_meld"]

_MELD_HEADER = (
    "Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID",
    "Season", "Episode", "StartTime", "EndTime",
)  # fmt: skip
_MELD_FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
_MELD_EMOTIONS = {
    "neutral": ("neutral", "neutral"),
    "joy": ("happy", "positive"),
    "surprise": ("surprise", "negative"),
    "anger": ("angry", "negative"),
    "sadness": ("sad", "negative"),
    "disgust": ("disgust", "negative"),
    "fear": ("fear", "negative"),
}
_STARTS = ("Oh my God", "Okay", "Hey", "Wait", "Y\u2019know", "All right", "Look")
_SAID = (
    "he\u2019s lost it", "that\u2019s not what I said", "you were here first", "I do not know why",
    "we could go to the caf\u00e9", "nobody told me \u201cno\u201d", "they took both keys",
)  # fmt: skip
_SPEAKERS = ("Rachel", "Joey", "Monica", "Ross", "The Waiter")
_KOTE_SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}
_KOTE_NAMES = {
    0: "불평/불만", 1: "환영/호의", 5: "슬픔", 6: "화남/분노", 8: "기대감", 10: "안타까움/실망",
    12: "의심/불신", 16: "아껴주는", 24: "없음", 32: "흐뭇함(귀여움/예쁨)", 35: "부담/안_내킴",
    40: "행복", 42: "기쁨", 43: "안심/신뢰",
}  # fmt: skip


def write_meld(
    folder: str | Path, *, count: int = 42, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of MELD and return the utterances in it.

    ``{train,dev,test}_sent_emo.csv`` beside ``train_splits``, ``dev_splits_complete`` and
    ``output_repeated_splits_test`` with ``dia0_utt0.wav`` …, noise in place of speech.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Utterances, 3 or more: a third in each split.
    seed
        Another seed gives other texts, speakers, emotions and places of oddities.
    odd
        Whether the oddities of real copies are there: tables in CP1252, with control characters
        or with garbled quotes, clips that are not extracted or have no sound, audio without a
        row, repeated and blank rows, labels in capitals.

    Raises
    ------
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    root = Path(folder)
    rng = np.random.default_rng(seed)
    planted: list[Utterance] = []
    made = made_by("write_meld", seed, count=count, odd=odd)
    with written_whole(root, made) as partial:
        for split, clips in _MELD_FOLDERS.items():
            rows, utterances = _meld_rows(split, count // 3, rng)
            for number, utterance in enumerate(utterances):
                name = utterance.id.partition("_")[2]
                file = Path(clips, f"{name}.wav")
                if odd and (number == 0 or rng.random() < 0.2):
                    (partial / clips).mkdir(exist_ok=True)
                    (partial / file.with_suffix(".mp4")).write_bytes(b"video")
                    if number == 0:  # what a broken clip leaves behind
                        write_audio(partial / file, np.zeros(0, np.float32), SAMPLE_RATE)
                else:
                    write_audio(partial / file, _noise(rng), SAMPLE_RATE)
                    utterance = utterance.with_(speech=Speech(str(root / file)))
                planted.append(utterance)
            encoding = "utf-8"
            if odd:
                encoding = _spoil_meld(split, rows, rng)
                write_audio(partial / clips / "dia9_utt99.wav", _noise(rng), SAMPLE_RATE)
                for stray in ("._dia0_utt0.wav", "final_videos_testdia0_utt0.mp4"):
                    (partial / clips / stray).write_bytes(b"stray")
            content = _csv([_MELD_HEADER, *rows], ",", "\r\n").encode(encoding)
            (partial / f"{split}_sent_emo.csv").write_bytes(content)
    return planted


def write_kote(
    folder: str | Path, *, count: int = 40, seed: int = 0, odd: bool = True
) -> list[Utterance]:
    """Write a small corpus in the layout of KOTE and return the utterances in it.

    ``train.tsv``, ``val.tsv`` and ``test.tsv``: ``id<TAB>text<TAB>label ids``, no header.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Comments, 4 or more: half for training, a quarter each for validation and test.
    seed
        Another seed gives other comments, ids, emotions and places of oddities.
    odd
        Whether there are quotation marks in comments, spaces in cells, repeated rows, blank
        rows, a header and a byte order mark.

    Raises
    ------
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    root = Path(folder)
    rng = np.random.default_rng(seed)
    ids = iter(rng.permutation(50_000)[:count].tolist())
    planted: list[Utterance] = []
    made = made_by("write_kote", seed, count=count, odd=odd)
    with written_whole(root, made) as partial:
        for split, share in _KOTE_SHARES.items():
            rows: list[Sequence[object]] = []
            for number in range(int(count * share)):
                chosen = _kote_labels(number, rng)
                text = draw_sentence(rng, float(rng.uniform(1, 5))).text
                if odd and rng.random() < 0.3:
                    text = f'"{text}" {"ㅋ" * int(rng.integers(1, 4))}'
                name = next(ids)
                labels = [_KOTE_NAMES[label] for label in chosen]
                space = " " if odd and rng.random() < 0.2 else ""
                rows.append((name, f"{space}{text}{space}", f",{space}".join(map(str, chosen))))
                planted.append(
                    Utterance(
                        id=str(name),
                        corpus="kote",
                        sentence=_sentence(text),
                        text=text,
                        emotion=labels[0] if len(labels) == 1 else None,
                        votes=dict.fromkeys(labels, 1.0),
                        extra={"split": "validation" if split == "val" else split},
                    )
                )
            encoding = "utf-8"
            if odd:
                rows.insert(int(rng.integers(len(rows))) + 1, ())
                rows.append((rows[0][0], "다시 나온 줄", "0"))
                if split == "val":
                    rows.insert(0, ("ID", "text", "labels"))
                    encoding = "utf-8-sig"
            (partial / f"{split}.tsv").write_bytes(_csv(rows, "\t", "\n").encode(encoding))
    return planted


def _meld_rows(
    split: str, count: int, rng: np.random.Generator
) -> tuple[list[list[str]], list[Utterance]]:
    labels = rng.permutation(np.resize(list(_MELD_EMOTIONS), count)).tolist()
    rows, utterances = [], []
    dialogue = turn = 0
    for number, label in enumerate(labels):
        emotion, sentiment = _MELD_EMOTIONS[label]
        text = f"{rng.choice(_STARTS)}\u2026 {rng.choice(_SAID)}, {number} times"
        text += str(rng.choice(list(".?!")))
        speaker = str(rng.choice(_SPEAKERS))
        season, episode = (str(n) for n in rng.integers(1, 10, 2))
        start, end = (f"00:{m:02}:{number % 60:02},{m:03}" for m in sorted(rng.integers(0, 60, 2)))
        where = (str(dialogue), str(turn), season, episode, start, end)
        rows.append([str(number + 1), text, speaker, label, sentiment, *where])
        utterances.append(
            Utterance(
                id=f"{split}_dia{dialogue}_utt{turn}",
                corpus="meld",
                speaker=speaker,
                session=f"{split}_dia{dialogue}",
                sentence=_sentence(text),
                text=text,
                emotion=emotion,
                extra={
                    "sentiment": sentiment,
                    "season": season,
                    "episode": episode,
                    "start_time": start,
                    "end_time": end,
                },
            )
        )
        turn += 1
        if rng.random() < 0.3:
            dialogue, turn = dialogue + 1, 0
    return rows, utterances


def _spoil_meld(split: str, rows: list[list[str]], rng: np.random.Generator) -> str:
    """Change a split's rows into those of an odd copy; return their encoding."""
    place = int(rng.integers(len(rows)))
    rows[place][2] = f" {rows[place][2]}  "
    rows[place][3] = f"{rows[place][3].upper()} "
    rows.append([rows[0][0], "Said again by mistake.", *rows[0][2:]])
    rows.insert(int(rng.integers(1, len(rows))), [])
    if split == "dev":
        return "cp1252"
    for row in filter(None, rows):
        if split == "train":  # Windows' bytes, taken for control characters
            row[1] = "".join(c if c == "\u00e9" else _as_control(c) for c in row[1])
        else:  # UTF-8 taken for CP1252, encoded once more
            row[1] = "".join(_as_garbled(c) for c in row[1])
    return "utf-8-sig" if split == "test" else "utf-8"


def _as_control(character: str) -> str:
    return character.encode("cp1252").decode("latin-1")


def _as_garbled(character: str) -> str:
    if not unicodedata.category(character).startswith("P"):
        return character
    return "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in character.encode())


def _kote_labels(number: int, rng: np.random.Generator) -> list[int]:
    known = list(_KOTE_NAMES)
    if number < 4:  # the only ones with one emotion, and not the same in every row
        return [known[(number + int(rng.integers(2)) * 4) % len(known)]]
    return sorted(rng.choice(known, int(rng.integers(2, 8)), replace=False).tolist())


def _csv(rows: Iterable[Sequence[object]], delimiter: str, end: str) -> str:
    sheet = io.StringIO(newline="")
    csv.writer(sheet, delimiter=delimiter, lineterminator=end).writerows(rows)
    return sheet.getvalue()


def _noise(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return rng.normal(0, 0.1, int(rng.integers(4000, 5600))).astype(np.float32)


def _sentence(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
