"""Any corpus as a manifest: one Parquet file that reads back to the same utterances."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from emoflow.corpora.base import Corpus
from emoflow.corpora.manifest import LABELS_KEY, is_own
from emoflow.data.paths import atomic_path
from emoflow.errors import ConfigError
from emoflow.types import Utterance

__all__ = ["write_manifest_of"]

_ROWS_AT_ONCE = 16_384
_TEXT = ("id", "corpus", "speaker", "session", "sentence", "speech", "text", "face", "emotion")
_RATER = pa.struct(
    [
        ("rater", pa.string()),
        ("emotion", pa.string()),
        ("arousal", pa.float64()),
        ("valence", pa.float64()),
    ]
)
_PLAIN = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def write_manifest_of(corpus: Corpus, path: str | Path) -> int:
    """Write every usable utterance of ``corpus``; return how many.

    Further columns (``extra``) that hold one plain type become columns, the others one column of
    JSON. Paths of audio are absolute; nothing else of the corpus is copied.

    Raises
    ------
    ConfigError
        If the file exists, or its name does not end in .parquet.
    StorageError
        If it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise ConfigError(f"{path}: a written manifest is a .parquet file", "change its ending")
    if path.exists():
        raise ConfigError(f"{path}: is there already", "give another name, or remove it")
    table = corpus.table
    columns = _extra_columns(iter(table))
    split = dict(corpus.official_split() or {})
    labels = sorted({label for u in table for label in _labels_of(u)})
    text = [(name, pa.string()) for name in (*_TEXT, "sex", "age", *(["split"] if split else []))]
    numbers = [(name, pa.float64()) for name in ("start", "end", "arousal", "valence")]
    nested = [
        ("votes", pa.map_(pa.string(), pa.float64())),
        ("signals", pa.map_(pa.string(), pa.string())),
        ("raters", pa.list_(_RATER)),
        ("extra", pa.string()),
    ]
    schema = pa.schema(
        [*text, *numbers, *nested, *columns.items()], metadata={LABELS_KEY: json.dumps(labels)}
    )
    rest = (_row(u, columns, split) for u in table)
    with (
        atomic_path(path) as temporary,
        parquet.ParquetWriter(temporary, schema) as writer,
    ):
        while chunk := list(islice(rest, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(chunk, schema))
    return len(table)


def _extra_columns(utterances: Iterator[Utterance]) -> dict[str, pa.DataType]:
    """Return the types of those further columns that can be columns of a table."""
    kinds: dict[str, set[type]] = defaultdict(set)
    for utterance in utterances:
        for name, value in utterance.extra.items():
            kinds[name].add(type(value))
    return {
        name: _PLAIN[kind]
        for name, (kind, *others) in ((n, tuple(k)) for n, k in kinds.items())
        if not others and kind in _PLAIN and not is_own(name)
    }


def _labels_of(utterance: Utterance) -> Iterator[str]:
    yield from (utterance.votes or {})
    raters = utterance.raters or ()
    yield from (e for e in (utterance.emotion, *(r.emotion for r in raters)) if e is not None)


def _row(u: Utterance, columns: dict[str, pa.DataType], split: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(u, name) for name in _TEXT if name != "speech"}
    row |= {"sex": u.sex, "age": u.age, "arousal": u.arousal, "valence": u.valence}
    if u.speech is not None:
        row |= {"speech": u.speech.path, "start": u.speech.start, "end": u.speech.end}
    row["votes"] = None if u.votes is None else list(u.votes.items())
    row["signals"] = None if u.signals is None else list(u.signals.items())
    if u.raters is not None:
        row["raters"] = [
            {"rater": r.rater, "emotion": r.emotion, "arousal": r.arousal, "valence": r.valence}
            for r in u.raters
        ]
    row |= {name: value for name, value in u.extra.items() if name in columns}
    rest = {name: value for name, value in u.extra.items() if name not in columns}
    row["extra"] = json.dumps(rest, ensure_ascii=False) if rest else None
    if split:
        row["split"] = split.get(u.key)
    return row
