"""What two splits share that they should not: found before training, and refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emoflow.data.protocol import OVERLAPS, SPLIT_NAMES, Overlap, Protocol, SplitName, Splits
from emoflow.errors import ProtocolError

if TYPE_CHECKING:
    from emoflow.data.table import UtteranceTable

__all__ = ["Audit", "Finding", "Stamp", "audit", "refuse_overlap"]

Stamp = Literal["speaker-independent", "speaker-dependent", "speakers unknown"]

_EXAMPLES = 3
_MOST_COMBINATIONS = 1 << 62  # that a number tells apart
_WAYS_OUT: dict[Overlap, str] = {
    "speakers": "use data.protocol.name: speakers",
    "sessions": "use data.protocol.name: sessions",
    "sentences": "use data.protocol.name: speakers+sentences",
    "audio": "keep one copy of each recording in the corpus",
    "rows": "keep one copy of each utterance in the corpus",
}
_Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """What two splits share of one kind."""

    kind: Overlap
    splits: tuple[SplitName, SplitName]
    shared: int
    """Speakers, sessions, sentences, recordings or rows that occur in both."""
    utterances: tuple[int, int]
    """Utterances they have in either split."""
    of: tuple[int, int]
    """Utterances of either split."""
    examples: tuple[str, ...]
    """A few of them: names, or for audio and rows pairs of utterances."""

    def line(self) -> str:
        """Say it in one line."""
        first, second = self.splits
        return (
            f"{self.kind}: {first} and {second} share {self.shared} "
            f"({self.utterances[0]} of {self.of[0]} utterances of {first}, "
            f"{self.utterances[1]} of {self.of[1]} of {second}), "
            f"for example {', '.join(self.examples)}"
        )


@dataclass(frozen=True)
class Audit:
    """Everything that was compared, and what was found."""

    protocol: str
    findings: tuple[Finding, ...]
    units: Mapping[Overlap, Mapping[SplitName, int]]
    """Distinct units per kind and split; a kind that was not compared is absent."""
    stamp: Stamp
    """How far scores on the test split hold for speakers never heard."""
    left_out: str
    """How many utterances are in no split, and why; empty if none."""
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: Overlap) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(f for f in self.findings if f.kind == kind)

    def lines(self) -> list[str]:
        """Return the whole audit as text, one line per fact."""
        result = [f"protocol {self.protocol}: {self.stamp}"]
        for kind in OVERLAPS:
            if found := self.of_kind(kind):
                result += [f.line() for f in found]
            elif kind in self.units:
                counts = ", ".join(f"{name} {n}" for name, n in self.units[kind].items())
                result.append(f"{kind}: none shared ({counts})")
            else:
                result.append(f"{kind}: not known in this corpus, so not compared")
        return [*result, *([self.left_out] if self.left_out else []), *self.notes]

    def enforce(self, protocol: Protocol) -> list[str]:
        """Apply ``protocol.on_overlap``; return the lines to be said loudly.

        Raises
        ------
        ProtocolError
            If there is an overlap of a kind that is to be an error.
        """
        refused = [f for f in self.findings if protocol.severity(f.kind) == "error"]
        if refused:
            kinds = list(dict.fromkeys(f.kind for f in refused))
            ways = [
                f"{kind}: {way}, or accept it with data.protocol.on_overlap.{kind}: warn"
                for kind in kinds
                if (way := _way_out(kind, protocol))
            ]
            what = "\n  ".join(f.line() for f in refused)
            raise ProtocolError(f"protocol {self.protocol}: {what}", "; ".join(ways))
        loud = [f.line() for f in self.findings if protocol.severity(f.kind) == "warn"]
        if self.stamp != "speaker-independent":
            loud.insert(0, f"protocol {self.protocol}: {self.stamp}")
        return loud

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "protocol": self.protocol,
            "stamp": self.stamp,
            "units": {kind: dict(counts) for kind, counts in self.units.items()},
            "findings": [
                {
                    "kind": f.kind,
                    "splits": list(f.splits),
                    "shared": f.shared,
                    "utterances": list(f.utterances),
                    "of": list(f.of),
                    "examples": list(f.examples),
                }
                for f in self.findings
            ],
            "left_out": self.left_out,
            "lines": self.lines(),
        }


def audit(
    table: UtteranceTable, splits: Splits, *, speech_hash: Sequence[str | None] | None = None
) -> Audit:
    """Compare every pair of splits for speakers, sessions, sentences, audio and rows.

    Rows are the same if speaker, text, emotion and speech are. Speech is the same if its
    hash is or, for want of one, the span of a file. What an utterance lacks is not compared.

    Parameters
    ----------
    table
        All utterances of the corpus.
    splits
        What :func:`make_splits` made of it.
    speech_hash
        (utterance,) names of the decoded samples; ``None`` or empty where there is no speech
        or where it is silent, because all silence is alike.
    """
    keys = table.column("key")
    columns: dict[Overlap, tuple[_Codes, pa.StringArray | None]] = {}
    for kind, column in (
        ("speakers", "speaker"),
        ("sessions", "session"),
        ("sentences", "sentence"),
    ):
        columns[kind] = table.codes(column)  # type: ignore[index]
    sounds = _sounds(table, speech_hash)
    columns["audio"] = sounds, None
    columns["rows"] = _same_rows(table, columns["speakers"][0], sounds), None

    findings: list[Finding] = []
    units: dict[Overlap, dict[SplitName, int]] = {}
    for kind, (codes, names) in columns.items():
        if not (codes >= 0).any():
            continue
        present = {s: _distinct(codes[splits.rows(s)], codes) for s in SPLIT_NAMES}
        units[kind] = {s: int(np.count_nonzero(p)) for s, p in present.items()}
        for pair in combinations(SPLIT_NAMES, 2):
            shared = present[pair[0]] & present[pair[1]]
            if shared.any():
                findings.append(_finding(kind, pair, shared, codes, names, splits, keys))
    notes = list(splits.notes)
    if "audio" in units and speech_hash is None:
        notes.append("audio: compared by file and span only, not by samples")
    elif "audio" in units and speech_hash is not None:
        silent = sum(not h for h in speech_hash) - int(np.count_nonzero(sounds < 0))
        if silent > 0:
            notes.append(f"audio: {silent} silent utterances compared by file and span only")
    left_out = len(splits.left_out)
    return Audit(
        protocol=splits.name,
        findings=tuple(findings),
        units=units,
        stamp=_stamp(splits, columns["speakers"][0], findings),
        left_out=f"{left_out} utterances left out: {splits.left_out_reason}" if left_out else "",
        notes=tuple(notes),
    )


def refuse_overlap(
    seen: Iterable[str] | Mapping[str, Iterable[str]], splits: Splits, what: str
) -> None:
    """Refuse a checkpoint that has seen what this run validates or tests on.

    Parameters
    ----------
    seen
        Keys of the utterances that it was trained on; or a map with ``train`` and
        ``validation``: those it was selected by may be validated on again, not tested.
    splits
        This run's.
    what
        What is refused, such as the checkpoint's path.

    Raises
    ------
    ProtocolError
        It counts the utterances and names a few.
    """
    by_use = {k: set(v) for k, v in seen.items()} if isinstance(seen, Mapping) else None
    if by_use is None:
        by_use = {"train": set(seen)}
    selected = by_use.pop("validation", set())
    trained: set[str] = set().union(*by_use.values())
    for verb, used, names in (
        ("trained on", trained, ("test", "validation")),
        ("selected by", selected, ("test",)),
    ):
        for name in names:
            met = sorted(used.intersection(splits.keys[name]))  # type: ignore[index]
            if met:
                more = ", …" if len(met) > _EXAMPLES else ""
                raise ProtocolError(
                    f"{what} was {verb} {len(met)} of the {len(splits.rows(name))} utterances "  # type: ignore[arg-type]
                    f"of this run's {name} split: {', '.join(met[:_EXAMPLES])}{more}",
                    "Train it under this run's protocol (same data.protocol, same corpus), or "
                    "use its own protocol.json here with data.protocol.name: file.",
                )


def _way_out(kind: Overlap, protocol: Protocol) -> str:
    if kind in protocol.name.split("+") and protocol.name != "speakers+sentences":
        return "keep one of them in the corpus"
    if kind == "speakers" and protocol.name == "sentences":
        return "use data.protocol.name: speakers+sentences"
    return _WAYS_OUT[kind]


def _stamp(splits: Splits, speakers: _Codes, findings: Sequence[Finding]) -> Stamp:
    if splits.name == "random" or any(
        f.kind == "speakers" and "test" in f.splits for f in findings
    ):
        return "speaker-dependent"
    used = np.concatenate([splits.rows(s) for s in SPLIT_NAMES])
    return "speakers unknown" if (speakers[used] < 0).any() else "speaker-independent"


def _finding(
    kind: Overlap,
    pair: tuple[SplitName, SplitName],
    shared: NDArray[np.bool_],
    codes: _Codes,
    names: pa.StringArray | None,
    splits: Splits,
    keys: NDArray[Any],
) -> Finding:
    rows = [splits.rows(s) for s in pair]
    met = [r[(codes[r] >= 0) & shared[codes[r]]] for r in rows]
    few = np.flatnonzero(shared)[:_EXAMPLES]
    if names is not None:
        examples = [names[c].as_py() for c in few]
    else:
        examples = [" = ".join(keys[m[np.argmax(codes[m] == c)]] for m in met) for c in few]
    return Finding(
        kind=kind,
        splits=pair,
        shared=int(np.count_nonzero(shared)),
        utterances=(len(met[0]), len(met[1])),
        of=(len(rows[0]), len(rows[1])),
        examples=tuple(examples),
    )


def _distinct(some: _Codes, all_codes: _Codes) -> NDArray[np.bool_]:
    """Return which codes occur among ``some``, (code,) bool."""
    present = np.zeros(int(all_codes.max()) + 1, bool)
    present[some[some >= 0]] = True
    return present


def _combine(*columns: _Codes) -> _Codes:
    """Return a number per distinct combination of codes; -1 counts as a value of its own."""
    result, size = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        values = int(column.max(initial=-1)) + 2
        if size * values >= _MOST_COMBINATIONS:
            known, result = np.unique(result, return_inverse=True)
            size = len(known)
        result = result * values + column + 1
        size *= values
    return np.unique(result, return_inverse=True)[1].astype(np.int64)


def _sounds(table: UtteranceTable, speech_hash: Sequence[str | None] | None) -> _Codes:
    """Return a number per distinct speech, -1 for none."""
    sounds, _ = table.codes("speech_path")
    spoken = sounds >= 0
    if spoken.any():
        bounds = [table.column(name) for name in ("speech_start", "speech_end")]
        times = [np.round(np.nan_to_num(b, nan=-1.0) * 1e6).astype(np.int64) for b in bounds]
        dense = [np.unique(t, return_inverse=True)[1] for t in times]
        sounds = np.where(spoken, _combine(sounds, *dense), -1)
    if speech_hash is None:
        return sounds
    if len(speech_hash) != len(table):
        raise ValueError(f"{len(speech_hash)} hashes for {len(table)} utterances")
    if not any(speech_hash):
        return sounds
    names = pa.array((h or None for h in speech_hash), pa.string(), size=len(speech_hash))
    heard = names.dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64)
    return np.where(heard >= 0, heard + int(sounds.max(initial=0)) + 1, sounds)


def _same_rows(table: UtteranceTable, speakers: _Codes, sounds: _Codes) -> _Codes:
    """Return a number per distinct row, -1 where there is neither speech nor text."""
    texts, _ = table.codes("text")
    emotions, _ = table.codes("emotion")
    rows = _combine(speakers, texts, emotions, sounds)
    return np.where((texts < 0) & (sounds < 0), -1, rows)
