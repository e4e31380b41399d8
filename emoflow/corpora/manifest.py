"""A corpus of your own, described by one table: no code."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from emoflow.corpora.base import Corpus
from emoflow.corpora.manifest_tables import (
    LABELS_KEY,
    OWN,
    SPEECH,
    find_manifest,
    own_column,
    own_labels,
    read_table,
)
from emoflow.data.e4 import E4_UNITS, read_e4_file
from emoflow.errors import CorpusError, LabelError
from emoflow.frontends.transcripts import sentence_name
from emoflow.traces import SignalRecording
from emoflow.types import SEXES, Rating, Speech, Utterance, parse_emotion

__all__ = ["LABELS_KEY", "Manifest", "is_own"]

_NOTHING = {"", "nan", "none", "null", "na", "n/a"}


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
    - ``sex``: female or male; ``age``: as it is; ``face``: picture file;
    - ``signal_EDA``, ``signal_IBI`` …: files of biosignals, see below;
    - ``split``: train, validation or test, for ``protocol.name: official``.

    Further columns are kept as ``extra``. JSONL and Parquet may hold ``raters``: a list of objects
    with ``rater``, ``emotion``, ``arousal`` and ``valence``.

    **Signals** A file as an Empatica E4 exports it: ``EDA.csv``, ``TEMP.csv``, ``BVP.csv``,
    ``IBI.csv``, ``ACC.csv``, ``HR.csv``; another signal, such as ``signal_ECG``, in the form of
    ``BVP.csv``: start in UTC seconds since 1970, rate in Hz, then a reading per line. Utterances of
    one recording name the same files. The columns ``signals_start`` and ``signals_end`` say when
    an utterance was spoken, in seconds on the signals' clock; a row without them has no signals
    that can be used.

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
        self._aliases = {label.casefold(): label for label in own_labels(path)}
        self._aliases |= self.label_map or {}
        self._named: dict[str, str] = {}
        for number, row in read_table(path, self.note):
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
        for number, row in read_table(path, lambda kind: None):
            split = _text(row.get("split"))
            if split is not None:
                corpus = _text(row.get("corpus")) or self.name
                splits[f"{corpus}/{_name(row, number)}"] = split.casefold()
        return splits or None

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        """Return what files as of an Empatica E4 hold, and where the rows say utterances lie.

        Raises
        ------
        CorpusError
            If a row's ``signals_start`` or ``signals_end`` is no time.
        """
        traces = {}
        for name, path in files.items():
            name = name.upper() if name.upper() in E4_UNITS else name
            traces[name] = read_e4_file(name, path)
        spans = {u.id: _signals_span(u.extra, f"{self.root}, id {u.id}") for u in utterances}
        return SignalRecording(traces, {id: span for id, span in spans.items() if span})

    def _utterance(self, name: str, row: dict[str, Any], folder: str, where: str) -> Utterance:
        path = next((p for p in (_text(row.get(n)) for n in SPEECH) if p), None)
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
        further = _further(row)
        if any(named.values()):
            _signals_span(further, f"{where}, id {name}")
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
            extra=further,
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


def _name(row: Mapping[str, Any], number: int) -> str:
    given = _text(row.get("id"))
    if given is not None:
        return given
    path = next((p for p in (_text(row.get(n)) for n in SPEECH) if p), None)
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


def _signals_span(extra: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    """Return where an utterance lies on its signals' clock, or ``None`` if that is not said."""
    names = ("signals_start", "signals_end")
    start, end = (_number(extra.get(name), name, where) for name in names)
    if start is None and end is None:
        return None
    if start is None or end is None or not -math.inf < start <= end < math.inf:
        given = ("nothing" if t is None else str(t) for t in (start, end))
        raise CorpusError(
            f"{where}: signals_start to signals_end is {' to '.join(given)}",
            "write seconds on the signals' clock (UTC since 1970 for an E4) into both, the start "
            "first, or leave both empty",
        )
    return start, end


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
    return own_column(column) in OWN or column.startswith(("votes_", "signal_"))


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
