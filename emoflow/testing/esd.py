"""A small copy of ESD: real names and encodings, noise for speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from emoflow.testing.folders import JUNK, NOISE, check_size, made_by, write_files
from emoflow.types import Speech, Utterance

__all__ = ["write_esd"]

_ESD = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
_ESD_CHINESE = ("中立", "生气", "快乐", "伤心", "惊喜")
_ESD_MEN = (4, 5, 6, 8, 10, 11, 12, 13, 14, 20)
_ESD_ENCODINGS = (
    ("gb2312", (1, 2, 4, 5, 9), 1),
    ("utf-16", (3, 6, 7, 8, 10), 1),
    ("utf-8", (11, 15, 20), 2),
    ("utf-16", (12, 13, 14, 18, 19), 2),
    ("latin-1", (16, 17), 2),
)
_ENGLISH_WORDS = (
    ("The old", "A happy", "My café's", "Every", "That naïve"),
    ("fisherman", "waiter", "neighbour", "child", "sailor"),
    ("sees", "finds", "paints", "keeps"),
    ("the garden.", "nine eggs!", "a house by the sea?", "it, I think.", "what is sad"),
)
_CHINESE_WORDS = (
    ("我们", "老师", "他的朋友", "那只猫"),
    ("昨天", "常常", "刚刚", "明天"),
    ("看见了", "喜欢", "画了", "想起"),
    ("大海。", "那座山，", "一本书！", "春天"),
)


def write_esd(
    folder: str | Path,
    *,
    count: int = 3,
    seed: int = 0,
    odd: bool = True,
    language: Literal["english", "chinese", "both"] = "english",
) -> list[Utterance]:
    """Write a small corpus in the layout of ESD and return what a loader finds in it.

    ``0011/Angry/0011_000351.wav`` and ``0011/0011.txt``; two Chinese and six English speakers,
    whose transcripts are in GB2312, UTF-16, UTF-8 and Latin-1.

    Parameters
    ----------
    folder
        New, empty, or one written here before.
    count
        Sentences per speaker, 1 to 350, each in five emotions. The first three are one of
        ESD's own validation, test and training split.
    seed
        Another seed gives other speakers, sentences and noise.
    odd
        Whether ESD's oddities are in it: blank and broken lines, spaces for tabs, lines that are
        missing, come twice or name another emotion, folders for the split, a copy, a file in
        another emotion's folder, what a Mac leaves behind.
    language
        Whose utterances are returned; all are written.

    Raises
    ------
    ConfigError
        If a size is not what the layout has.
    CorpusError, StorageError
        As :func:`emoflow.testing.write_demo_corpus`.
    """
    check_size("count", count, 1, 350)
    root = Path(folder).absolute()
    rng = np.random.default_rng(seed)
    numbers = [int(rng.integers(1, 21)), int(rng.integers(21, 51)), int(rng.integers(51, 351))]
    spare = [int(n) for n in rng.permutation(np.arange(1, 351)) if n not in numbers]
    numbers = [*numbers, *spare][:count]
    absent = spare[-1]
    files: dict[str, bytes] = {}
    planted: list[Utterance] = []
    speakers = [
        (encoding, speaker)
        for encoding, choice, many in _ESD_ENCODINGS
        for speaker in rng.permutation(choice)[:many].tolist()
    ]
    for encoding, speaker in speakers:
        spoken = "chinese" if speaker <= 10 else "english"
        words = _CHINESE_WORDS if spoken == "chinese" else _ENGLISH_WORDS
        texts = {n: _sentence(rng, words, "" if spoken == "chinese" else " ") for n in numbers}
        found = _esd_speaker(root, files, rng, speaker, texts, odd, encoding)
        said = {u.id: u.text or "" for u in found}
        names = _ESD_CHINESE if spoken == "chinese" and encoding == "gb2312" else _ESD
        lines = [f"{id}\t{text}\t{names[_block(id)]}" for id, text in said.items()]
        if odd:
            lines, lost = _odd_lines(rng, lines, absent)
            found = [u.with_(text=None) if u.id in lost else u for u in found]
        end = "\r\n" if rng.integers(2) else "\n"
        content = end.join([*lines, ""]).encode(encoding)
        if encoding == "utf-16" and rng.integers(2):
            content = b"\xfe\xff" + end.join([*lines, ""]).encode("utf-16-be")
        if odd and encoding == "utf-8" and rng.integers(2):
            content = b"\xef\xbb\xbf" + content
        files[f"{speaker:04}/{speaker:04}.txt"] = content
        planted += found if language in (spoken, "both") else []
    if odd:
        files["ReadMe.txt"] = b"not a transcript\n"
        files["0011/._0011.txt"] = JUNK
        files["0011/Angry/._0011_000351.wav"] = JUNK
    write_files(root, made_by("write_esd", seed, count=count, odd=odd), files, seed)
    return planted


def _esd_speaker(
    root: Path,
    files: dict[str, bytes],
    rng: np.random.Generator,
    speaker: int,
    texts: Mapping[int, str],
    odd: bool,
    encoding: str,
) -> list[Utterance]:
    """Add a speaker's audio to ``files`` and return the utterances, texts as in the corpus."""
    planted: list[Utterance] = []
    moved = int(rng.integers(5 * len(texts))) if odd else -1
    copied = int(rng.integers(5 * len(texts))) if odd else -1
    for block, emotion in enumerate(_ESD):
        for number, text in texts.items():
            home = _ESD[(block + 1) % 5] if len(planted) == moved else emotion
            part = "evaluation" if number <= 20 else "test" if number <= 50 else "train"
            id = f"{speaker:04}_{number + 350 * block:06}"
            below = home.casefold() if odd and encoding == "utf-8" else home
            below += f"/{part}" if odd and encoding == "utf-16" else ""
            name = f"{speaker:04}/{below}/{id}.wav"
            files[name] = NOISE
            if len(planted) == copied:
                files[f"later/{name}"] = NOISE
            planted.append(
                Utterance(
                    id=id,
                    corpus="esd",
                    speaker=f"{speaker:04}",
                    sentence=f"{'chinese' if speaker <= 10 else 'english'} {number - 1}",
                    speech=Speech(str(root / name)),
                    text=text,
                    emotion=home.casefold(),
                    sex="male" if speaker in _ESD_MEN else "female",
                    extra={"language": "chinese" if speaker <= 10 else "english"},
                )
            )
    return planted


def _odd_lines(
    rng: np.random.Generator, lines: Sequence[str], absent: int
) -> tuple[list[str], set[str]]:
    """Return the lines of a transcript with its oddities, and the ids that lose their text."""
    new = list(lines)
    places = rng.permutation(len(lines)).tolist()
    no_line, no_text, no_emotion, other, spaces = (places * 5)[:5]
    cells = new[spaces].split("\t")
    new[spaces] = "  ".join(cells) + " "
    cells = lines[other].split("\t")
    new[other] = "\t".join([*cells[:2], "Sad" if cells[2] != "Sad" else "Happy"])
    new[no_emotion] = lines[no_emotion].rpartition("\t")[0] + "\t"
    new[no_text] = f"{lines[no_text][:11]}\t\tAngry"
    new.append(lines[no_emotion])
    new[no_line] = " "
    new.insert(int(rng.integers(len(new))), "")
    new.insert(int(rng.integers(len(new))), "a line without an id Happy")
    new.append(f"{lines[0][:5]}{absent:06}\tNobody said this.\tNeutral")
    return new, {lines[no_text][:11], lines[no_line][:11]}


def _sentence(rng: np.random.Generator, words: Sequence[Sequence[str]], space: str) -> str:
    return space.join(str(rng.choice(choice)) for choice in words)


def _block(id: str) -> int:
    return (int(id[5:]) - 1) // 350
