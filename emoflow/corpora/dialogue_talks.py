"""Talks of AI-Hub's emotional dialogue corpus: workbooks, JSON, and what their labels mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emoflow.data.text_files import read_json, read_sheet, records
from emoflow.errors import CorpusError
from emoflow.labels import KOREAN_COARSE, KOREAN_FINE
from emoflow.types import SEXES, Sex, parse_emotion

__all__ = [
    "TALK_SEXES",
    "Level",
    "Talk",
    "dialogue_emotion",
    "fine_name",
    "plain_cell",
    "read_talks",
]

Level = Literal["coarse", "fine"]

TALK_SEXES: Mapping[str, Sex] = {**SEXES, "g01": "male", "g02": "female"}
"""Cell or code, case-folded, to sex."""
_NOTHING = {"", "nan", "none", "null", "#n/a"}

_TURN = re.compile(r"(?:HS|사람문장)0*([1-9]\d?)", re.IGNORECASE)
_CODE = re.compile(r"(?<![A-Za-z0-9])[ADEGS]\d\d(?!\d)")
_WORDS = {
    **{"A01": "청소년", "A02": "청년", "A03": "중년", "A04": "노년"},
    **{"D01": "만성질환 유", "D02": "만성질환 무"},
}
_COLUMNS = {
    "coarse": "감정_대분류",
    "fine": "감정_소분류",
    "age": "연령",
    "sex": "성별",
    "situation": "상황키워드",
    "illness": "신체질환",
}


@dataclass(frozen=True)
class Talk:
    """A talk as a file has it: NFC, stripped, codes in words, ``""`` for what is absent."""

    coarse: str
    fine: str
    age: str
    sex: str
    situation: str
    illness: str
    number: str
    turns: Mapping[int, str]
    """Number of a turn of the human's to its text, none of them empty."""


def read_talks(path: str) -> Iterator[tuple[str, Talk | None]]:
    """Yield (place, talk) of a workbook or a JSON file; ``None`` for a row that is too wide.

    Raises
    ------
    CorpusError
        If the file is neither, or a column is missing.
    """
    return _json_talks(path) if path.casefold().endswith("json") else _sheet_talks(path)


def fine_name(coarse: str, fine: str) -> str | None:
    """Return the fine emotion's own name, as in ``KOREAN_FINE``; ``None`` if there is none."""
    return _FINE.get((coarse, _compact(fine)))


def dialogue_emotion(
    coarse: str, fine: str, level: Level, where: str, label_map: Mapping[str, str] | None
) -> str:
    """Return the label of a talk, by its coarse or its fine emotion.

    Raises
    ------
    LabelError
        If it is neither one of the corpus's nor in ``label_map``.
    CorpusError
        If it is empty.
    """
    label = coarse if level == "coarse" else fine_name(coarse, fine) or fine
    if not label:
        raise CorpusError(f"{where}: the {level} emotion is missing", "copy the file again")
    own = KOREAN_COARSE if level == "coarse" else [name for _, name in KOREAN_FINE.values()]
    aliases = {**dict(zip(own, own, strict=True)), **(label_map or {})}
    return parse_emotion(label, where=where, aliases=aliases)


def _sheet_talks(path: str) -> Iterator[tuple[str, Talk | None]]:
    """Yield (place, talk) of a workbook; ``None`` for a row that is too wide."""
    rows = read_sheet(path)
    for number, row in records(rows, path, (_COLUMNS["coarse"], "사람문장1")):
        talk = None
        if row is not None:
            cells = {column: plain_cell(cell) for column, cell in row.items()}
            named = {field: cells.get(column, "") for field, column in _COLUMNS.items()}
            number_of = cells.get("번호", cells.get("", ""))
            talk = Talk(**named, number=number_of, turns=_turns(cells))
        yield f"{path}, row {number}", talk


def _json_talks(path: str) -> Iterator[tuple[str, Talk]]:
    """Yield (place, talk) of a JSON file; what is not as it should be is absent."""
    content = read_json(path)
    if not isinstance(content, list):
        raise CorpusError(f"{path}: not a list of talks", "copy the file again from the corpus")
    for number, entry in enumerate(content, start=1):
        profile, talk = _inner(entry, "profile"), _inner(entry, "talk")
        persona, emotion = _inner(profile, "persona"), _inner(profile, "emotion")
        codes: dict[str, str] = {}
        for node, key in (
            (emotion, "type"), (emotion, "situation"), (emotion, "emotion-id"),
            (persona, "human"), (persona, "persona-id"),
        ):  # fmt: skip
            for code in _CODE.findall(str(node.get(key, "")).upper()):
                codes.setdefault(code[0], code)
        code = codes.get("E", "")
        coarse, fine = KOREAN_FINE.get(code, (code, code))
        age, sex, situation, illness = (codes.get(letter, "") for letter in "AGSD")
        age, illness = _WORDS.get(age, age), _WORDS.get(illness, illness)
        number_of = plain_cell(_inner(talk, "id").get("talk-id"))
        turns = _turns(_inner(talk, "content"))
        place = f"{path}, talk {number}"
        yield place, Talk(coarse, fine, age, sex, situation, illness, number_of, turns)


def _turns(cells: Mapping[str, Any]) -> dict[int, str]:
    found = ((_TURN.fullmatch(key.strip()), plain_cell(value)) for key, value in cells.items())
    return {int(match[1]): text for match, text in found if match and text}


def _inner(node: Any, key: str) -> dict[str, Any]:
    inner = node.get(key) if isinstance(node, dict) else None
    return inner if isinstance(inner, dict) else {}


def plain_cell(value: Any) -> str:
    """Return a cell's text, NFC and stripped; ``""`` for nothing, NaN and the like."""
    text = " ".join(unicodedata.normalize("NFC", value).split()) if isinstance(value, str) else ""
    return "" if text.casefold() in _NOTHING else text


def _compact(label: str) -> str:
    return "".join(label.casefold().split())


def _spellings() -> Iterator[tuple[tuple[str, str], str]]:
    """Yield (coarse, fine without spaces) and the fine emotion's name, for every spelling."""
    for coarse, fine in KOREAN_FINE.values():
        yield (coarse, _compact(fine.removesuffix(f"({coarse}한)"))), fine
        yield (coarse, _compact(fine)), fine


_FINE = dict(_spellings())
