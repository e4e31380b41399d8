"""Splits that somebody else made: a corpus's official one, or a file of ids."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emoflow.errors import ProtocolError

if TYPE_CHECKING:
    from emoflow.data.table import UtteranceTable

__all__ = ["SPLIT_NAMES", "SplitName", "locate", "read_split_file", "split_name"]

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

_ALIASES: dict[str, SplitName] = {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "development": "validation",
    "testing": "test",
}
_SHAPE = (
    "Give a CSV with the columns id and split, or a JSON such as "
    '{"train": ["id1", …], "validation": […], "test": […]}.'
)


def split_name(value: str, where: str) -> SplitName:
    """Return the split that ``value`` names: train, validation or test, or an alias.

    Raises
    ------
    ProtocolError
        For any other name; ``where`` says whose.
    """
    name = str(value).strip().casefold()
    for known in SPLIT_NAMES:
        if name == known or _ALIASES.get(name) == known:
            return known
    raise ProtocolError(
        f"{where}: no split {value!r}",
        "Splits are train, validation (or val, valid, dev) and test; leave the cell empty for "
        "an utterance in none of them.",
    )


def read_split_file(path: str) -> dict[SplitName, list[str]]:
    """Read ids per split from a CSV (id or key, split), a JSON, or a run's ``protocol.json``.

    Raises
    ------
    ProtocolError
        If the file is missing or has another shape, or an id is in two splits.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"data.protocol.file: cannot read {path} ({error})", _SHAPE) from error
    pairs = _from_json(path, text) if path.lower().endswith(".json") else _from_csv(path, text)
    split_of: dict[str, SplitName] = {}
    for identity, split, where in pairs:
        name = split_name(split, where)
        if split_of.setdefault(identity, name) != name:
            raise ProtocolError(
                f"{where}: {identity} is in {split_of[identity]} and in {name}",
                "Keep it in one of them.",
            )
    found: dict[SplitName, list[str]] = {name: [] for name in SPLIT_NAMES}
    for identity, name in split_of.items():
        found[name].append(identity)
    return found


def _from_csv(path: str, text: str) -> Iterable[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    names = {(n or "").strip().casefold(): n for n in reader.fieldnames or ()}
    identity = names.get("key", names.get("id"))
    if identity is None or "split" not in names:
        missing = "split" if identity is not None else "id"
        raise ProtocolError(f"{path}: no column {missing}", _SHAPE)
    for row in reader:
        who, split = (row[identity] or "").strip(), (row[names["split"]] or "").strip()
        if who and split:
            yield who, split, f"{path}, line {reader.line_num}"


def _from_json(path: str, text: str) -> Iterable[tuple[str, str, str]]:
    try:
        record: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise ProtocolError(f"{path}: not JSON ({error})", _SHAPE) from error
    if isinstance(record, dict) and isinstance(record.get("ids"), dict):
        record = record["ids"]
    if not isinstance(record, dict) or not all(isinstance(v, list) for v in record.values()):
        raise ProtocolError(f"{path}: not a map of split names to lists of ids", _SHAPE)
    for split, ids in record.items():
        yield from ((str(i), split, path) for i in ids)


def locate(
    ids: Mapping[SplitName, Iterable[str]], table: UtteranceTable, what: str
) -> NDArray[np.int64]:
    """Return 0 for training, 1 for validation, 2 for test, -1 for no split: (utterance,).

    Utterances are named by key (``corpus/id``) or by id.

    Raises
    ------
    ProtocolError
        If a named utterance is not in the table, or is named in two splits.
    """
    codes = np.full(len(table), -1, np.int64)
    unknown: list[str] = []
    for code, split in enumerate(SPLIT_NAMES):
        names = list(ids.get(split, ()))
        rows = table.find(names)
        unknown += [names[i] for i in np.flatnonzero(rows < 0)]
        met = np.where(rows < 0, -1, codes[rows])
        for i in np.flatnonzero((met != -1) & (met != code))[:1]:
            raise ProtocolError(
                f"{what}: {names[i]} is in {SPLIT_NAMES[met[i]]} and in {split}",
                "Keep it in one of them.",
            )
        codes[rows[rows >= 0]] = code
    if unknown:
        more = ", …" if len(unknown) > 3 else ""
        raise ProtocolError(
            f"{what} names {len(unknown)} utterances that the corpus does not have: "
            f"{', '.join(unknown[:3])}{more}",
            "Complete the corpus, or take them out of the file; utterances that were skipped as "
            "unreadable count as missing.",
        )
    return codes
