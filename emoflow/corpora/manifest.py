"""A corpus of your own, described by one table: no code."""

from __future__ import annotations

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from emoflow.corpora.base import Corpus
from emoflow.data.text_files import open_text, parse_json
from emoflow.errors import CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.types import SEXES, Rating, Speech, Utterance, parse_emotion

__all__ = ["LABELS_KEY", "Manifest", "is_own"]

LABELS_KEY = "emoflow labels"
"""Metadata of a Parquet manifest: JSON list of emotions that are taken as they stand."""

_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
_NOTHING = {"", "nan", "none", "null", "na", "n/a"}
_COLUMNS = (
    "id, corpus, speech (or path), start, end, text, speaker, session, sentence, emotion, "
    "arousal, valence, sex, age, face, split, votes_LABEL, signal_NAME"
)
_SPEECH = ("speech", "path")
_OWN = {"id", "corpus", "start", "end", "text", "speaker", "session", "sentence", "emotion"}
_OWN |= {"arousal", "valence", "sex", "age", "face", "votes", "signals", "raters", "extra"}
_OWN |= {"split", *_SPEECH}


class Manifest(Corpus):
    """A corpus of your own: a CSV, TSV, JSONL or Parquet table with one row per utterance.

    **Source** Yours.

    **Licence** Yours.

    **How to get it** Give the table's file as ``root``, or the folder that holds it as
    ``manifest.csv`` (``.tsv``, ``.jsonl``, ``.parquet``). CSV is UTF-8 or CP949.

    **Size** Any. Every row needs ``speech`` or ``text``; all other columns may be absent, and
    any cell may be empty:

    - ``id``: unique; by default the path of the speech and its start, or else the row's number;
    - ``corpus``: by default ``manifest``; give it where ids recur in another table of yours;
    - ``speech`` (or ``path``): audio file, absolute or relative to the table, in any format that
      libsndfile reads; ``start`` and ``end`` in seconds where it holds more than the utterance;
    - ``text``; ``sentence``: equal where the words are, by default made from the text;
    - ``speaker``, ``session``: what a protocol holds out;
    - ``emotion``: a shared name, or one that ``label_map`` translates or adds;
    - ``votes_happy`` …: votes per emotion (JSONL: ``votes``, an object);
    - ``sex``: female or male; ``age``: as it is; ``face``: picture file; ``signal_EDA`` …: files;
    - ``split``: train, validation or test, for ``protocol.name: official``.

    Further columns are kept as ``extra``. JSONL and Parquet may hold ``raters``: a list of objects
    with ``rater``, ``emotion``, ``arousal`` and ``valence``.

    **Speakers** Without the column ``speaker``, no protocol can hold speakers out.

    **Scales** ``arousal`` and ``valence`` are numbers on any one scale.

    **Citation** Yours.
    """

    name = "manifest"
    scale = None
    modalities = ("speech", "text", "signals", "face")

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Yield the table itself; the speech that it names is watched by the index."""
        path = find_manifest(self.root)
        facts = path.stat()
        yield str(path), facts.st_size, facts.st_mtime_ns

    def utterances(self) -> Iterator[Utterance]:
        """Yield one utterance per row."""
        path = find_manifest(self.root)
        folder = str(path.parent.resolve())
        self._aliases = {label.casefold(): label for label in _own_labels(path)}
        self._aliases |= self.label_map or {}
        self._named: dict[str, str] = {}
        for number, row in _read(path, self.note):
            where = f"{path}, row {number}"
            name = _name(row, number)
            try:
                yield self._utterance(name, row, folder, where)
            except LabelError:
                raise  # a label that no map covers concerns the whole corpus
            except CorpusError as error:
                self.skip(name, str(path), error)

    def official_split(self) -> dict[str, str] | None:
        """Return the split per key where the table has a column ``split``, else ``None``."""
        path = find_manifest(self.root)
        splits = {}
        for number, row in _read(path, lambda kind: None):
            split = _text(row.get("split"))
            if split is not None:
                corpus = _text(row.get("corpus")) or self.name
                splits[f"{corpus}/{_name(row, number)}"] = split.casefold()
        return splits or None

    def _utterance(self, name: str, row: dict[str, Any], folder: str, where: str) -> Utterance:
        path = next((p for p in (_text(row.get(n)) for n in _SPEECH) if p), None)
        speech = None
        if path is not None:
            if "\0" in path:
                raise CorpusError(f"{where}: {path!r} is no path", "write the path of a file")
            start = _number(row.get("start"), "start", where)
            end = _number(row.get("end"), "end", where)
            speech = Speech(os.path.join(folder, path), start or 0.0, end)
        text = None if row.get("text") is None else str(row["text"]).strip()
        sentence = _text(row.get("sentence"))
        if sentence is None and "sentence" not in row and text is not None:
            sentence = sentence_name(text, name)
        face = _text(row.get("face"))
        signals = _group(row, "signals", "signal_", where)
        named = {n: _text(file) for n, file in signals.items()}
        votes = _group(row, "votes", "votes_", where)
        counts = {self._label(n, where): _number(v, f"votes {n}", where) for n, v in votes.items()}
        emotion, sex = _text(row.get("emotion")), _text(row.get("sex"))
        if sex is not None and sex.casefold() not in SEXES:
            raise CorpusError(
                f"{where}: sex is {sex!r}", "write female or male, or leave the cell empty"
            )
        return Utterance(
            id=name,
            corpus=_text(row.get("corpus")) or self.name,
            speaker=_text(row.get("speaker")),
            session=_text(row.get("session")),
            sentence=sentence,
            speech=speech,
            text=text,
            signals={n: os.path.join(folder, f) for n, f in named.items() if f} or None,
            face=None if face is None else os.path.join(folder, face),
            emotion=None if emotion is None else self._label(emotion, where),
            votes={n: count for n, count in counts.items() if count} or None,
            arousal=_number(row.get("arousal"), "arousal", where),
            valence=_number(row.get("valence"), "valence", where),
            raters=self._raters(row.get("raters"), where),
            sex=None if sex is None else SEXES[sex.casefold()],
            age=_text(row.get("age")),
            extra=_further(row),
        )

    def _label(self, label: str, where: str) -> str:
        if label not in self._named:
            self._named[label] = parse_emotion(label, where=where, aliases=self._aliases)
        return self._named[label]

    def _raters(self, raters: Any, where: str) -> tuple[Rating, ...] | None:
        if raters is None:
            return None
        if not isinstance(raters, list) or not all(isinstance(r, Mapping) for r in raters):
            raise CorpusError(
                f"{where}: raters is not a list of objects",
                'write [{"rater": "A", "emotion": "happy", "arousal": 3, "valence": 4}, …]',
            )
        return tuple(
            Rating(
                str(r.get("rater", n)),
                None if r.get("emotion") is None else self._label(str(r["emotion"]), where),
                _number(r.get("arousal"), "a rater's arousal", where),
                _number(r.get("valence"), "a rater's valence", where),
            )
            for n, r in enumerate(raters, start=1)
        )


def find_manifest(root: str | Path) -> Path:
    """Return the table: ``root`` itself, or ``manifest.csv`` and the like in it.

    Raises
    ------
    CorpusError
        If there is none, or more than one.
    """
    root = Path(root).expanduser()
    if root.is_dir():
        found = [p for ending in _ENDINGS if (p := root / f"manifest{ending}").is_file()]
        if len(found) == 1:
            return found[0]
        what = "holds several: " + ", ".join(p.name for p in found) if found else "holds none"
        raise CorpusError(
            f"{root}: {what}, of manifest.csv, .tsv, .jsonl, .parquet",
            "give the table's file as data.root",
        )
    if not root.is_file():
        raise CorpusError(f"{root}: no such file", "give the table's file as data.root")
    if root.suffix.casefold() not in _ENDINGS:
        raise CorpusError(
            f"{root}: a manifest ends in .csv, .tsv, .jsonl or .parquet", "save it as one of these"
        )
    return root


def _read(path: Path, note: Callable[[str], None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, row); names of columns are stripped and case-folded if they are ours.

    ``note`` is called with every oddity.
    """
    ending = path.suffix.casefold()
    if ending == ".parquet":
        rows = _parquet_rows(path)
    else:
        if not _ends_with_a_line(path):
            note("tables whose last line has no end, as when the rest is missing")
        comma = "\t" if ending == ".tsv" else ","
        rows = _json_rows(path) if ending == ".jsonl" else _csv_rows(path, comma, note)
    known: dict[str, str] = {}
    for number, row in rows:
        yield number, {known.get(c) or known.setdefault(c, _column(c)): v for c, v in row.items()}


def _column(column: object) -> str:
    name = str(column).strip()
    return name.casefold() if name.casefold() in _OWN else name


def _check(path: Path, header: Iterable[str]) -> None:
    """Refuse a table whose columns cannot be told apart, or none of which is known."""
    columns = Counter(map(_column, header))
    twice = [name for name, count in columns.items() if count > 1]
    if twice:
        raise CorpusError(
            f"{path}: two columns are called {twice[0]!r}", "rename or remove one of them"
        )
    if not {"text", *_SPEECH} & set(columns):
        raise CorpusError(
            f"{path}: no column speech, path or text; it has {', '.join(columns) or 'none'}",
            f"rename the columns; known are {_COLUMNS}",
        )


def _ends_with_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read() in (b"", b"\n", b"\r")


def _csv_rows(
    path: Path, comma: str, note: Callable[[str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open_text(path) as file:
            table = csv.reader(file, delimiter=comma)
            header = next(table, None) or []
            _check(path, header)
            for number, row in enumerate(table, start=2):
                cells = [cell if cell.strip() else None for cell in row]
                if not any(cells):
                    continue
                if len(row) > len(header):
                    raise CorpusError(
                        f"{path}, row {number}: {len(row)} cells below {len(header)} columns",
                        'put text that holds a comma between double quotes: "so, what"',
                    )
                if len(row) < len(header):
                    note("rows with fewer cells than columns (the last ones count as empty)")
                if any("\n" in cell or "\r" in cell for cell in row):
                    note("rows with a cell of several lines, as after a missing quotation mark")
                yield number, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise CorpusError(f"{path}: not a CSV file ({error})", "save it again as CSV") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise CorpusError(
                    f"{path}, row {number}: not JSON ({error})", "write one object per line"
                ) from error
            if not isinstance(row, dict):
                raise CorpusError(
                    f"{path}, row {number}: not an object", "write one object per line"
                )
            yield number, row


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            _check(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(4096):
                batch.validate(full=True)
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
            if number != file.metadata.num_rows:
                raise ValueError(f"{number} of its {file.metadata.num_rows} rows are there")
    except (pyarrow.ArrowException, OSError, LookupError, OverflowError, ValueError) as error:
        raise CorpusError(f"{path}: not a Parquet file ({error})", "save it again") from error


def _name(row: Mapping[str, Any], number: int) -> str:
    given = _text(row.get("id"))
    if given is not None:
        return given
    path = next((p for p in (_text(row.get(n)) for n in _SPEECH) if p), None)
    start = _text(row.get("start"))
    return f"row {number}" if path is None else path if start is None else f"{path}@{start}"


def _text(cell: Any) -> str | None:
    """Return a cell's text; ``None`` where it is empty."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # ids that pandas turned into floats
    return str(cell).strip() or None


def _number(cell: Any, what: str, where: str) -> float | None:
    """Return a cell's number; ``None`` where it is empty."""
    if cell is None or (isinstance(cell, str) and cell.strip().casefold() in _NOTHING):
        return None
    try:
        number = float(cell)
    except (OverflowError, TypeError, ValueError):
        raise CorpusError(
            f"{where}: {what} is {cell!r}, not a number", "write a number, or leave the cell empty"
        ) from None
    return None if math.isnan(number) else number


def _group(row: Mapping[str, Any], whole: str, start: str, where: str) -> dict[str, Any]:
    """Return what a row holds in an object, such as votes, and in columns, such as votes_sad."""
    given = row.get(whole)
    columns = {n[len(start) :]: v for n, v in row.items() if n.startswith(start)}
    if given is None:
        return columns
    try:
        return {str(name): value for name, value in dict(given).items()} | columns
    except (TypeError, ValueError):
        raise CorpusError(
            f"{where}: {whole} is {given!r}, not an object",
            f"write columns {start}NAME, or an object in JSONL or Parquet",
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


@lru_cache(4096)
def is_own(column: str) -> bool:
    """Say whether a column means something to a manifest, so that ``extra`` cannot have it."""
    return _column(column) in _OWN or column.startswith(("votes_", "signal_"))


def _further(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in columns of the user's own, and in ``extra`` if that is JSON."""
    columns = {n: _plain(value) for n, value in row.items() if not is_own(n) and value is not None}
    packed = row.get("extra")
    if packed is None:
        return columns
    try:
        found = json.loads(packed) if isinstance(packed, str) else packed
    except ValueError:
        found = None
    return {**(found if isinstance(found, Mapping) else {"extra": packed}), **columns}


def _own_labels(path: Path) -> list[str]:
    """Return the emotions that a Parquet manifest takes as they stand."""
    if path.suffix.casefold() != ".parquet":
        return []
    import pyarrow
    from pyarrow import parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
        found = json.loads(metadata.get(LABELS_KEY.encode(), b"[]"))
    except (pyarrow.ArrowException, OSError, ValueError):
        return []  # reading the rows will say what is wrong with the file
    return [str(label) for label in found] if isinstance(found, list) else []
