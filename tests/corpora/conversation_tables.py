"""Tables and audio of the conversation corpus, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoflow.corpora.conversation_voice import ConversationVoice
from emoflow.testing.folders import write_audio
from emoflow.types import Utterance

HEADER = (
    "wav_id,발화문,상황,1번 감정,1번 감정세기,2번 감정,2번 감정세기,3번 감정,3번 감정세기,"
    "4번 감정,4번감정세기,5번 감정,5번 감정세기,나이,성별"
)
ONE, TWO = "5e258fd1305bcf3ad153a6a4", "5f61e6b19e04b149046ccc12"
VOTES = ("Sadness", "Neutral", "Sadness", "Sadness", "Angry")


def row(
    name: str = ONE,
    text: str = "괜찮아요",
    acted: str = "sad",
    votes: Sequence[str] = VOTES,
    intensities: Sequence[object] = (1, 0, 2, 1, 2),
    age: str = "27",
    sex: str = "male",
) -> str:
    cells = [cell for pair in zip(votes, map(str, intensities), strict=True) for cell in pair]
    return ",".join([name, text, acted, *cells, age, sex])


def table(
    root: Path,
    *rows: str,
    file: str = "4차년도.csv",
    header: str = HEADER,
    encoding: str = "cp949",
    wavs: Sequence[str] = (ONE,),
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / file).write_bytes("\r\n".join([header, *rows, ""]).encode(encoding))
    for number, name in enumerate(wavs):
        wave = np.random.default_rng(number).standard_normal(4800).astype(np.float32) / 10
        write_audio(root / "4차_wav" / f"{name}.wav", wave, 48_000)
    return root


def only(root: Path, **options: Any) -> Utterance:
    (utterance,) = ConversationVoice(root=str(root), **options).utterances()
    return utterance


def notes(root: Path) -> Mapping[str, int]:
    return ConversationVoice(root=str(root)).notes
