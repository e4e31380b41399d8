"""Which utterance is in which split, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from emoflow.data import folds as deal
from emoflow.data.split_files import SPLIT_NAMES, SplitName, locate, read_split_file, split_name
from emoflow.data.units import Axis, emotion_numbers, is_known, part_size
from emoflow.errors import ProtocolError

if TYPE_CHECKING:
    from emoflow.data.table import UtteranceTable

__all__ = [
    "OVERLAPS",
    "SPLIT_NAMES",
    "Overlap",
    "Protocol",
    "ProtocolName",
    "Severity",
    "SplitName",
    "Splits",
    "fingerprint",
    "make_splits",
]

ProtocolName = Literal[
    "speakers", "sessions", "sentences", "speakers+sentences", "official", "file", "random"
]
Overlap = Literal["speakers", "sessions", "sentences", "audio", "rows"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
Severity = Literal["error", "warn", "allow"]

_FEW = 20  # utterances in validation; with fewer a note says so
_Rows = NDArray[np.int64]
_Mask = NDArray[np.bool_]


def _strict() -> dict[Overlap, Severity]:
    return {kind: "warn" if kind == "sentences" else "error" for kind in OVERLAPS}


@dataclass(frozen=True)
class Protocol:
    """How a corpus is cut into training, validation and test."""

    name: ProtocolName = "speakers"
    """What no two splits share: speakers, sessions, sentences or speakers+sentences;
    official: the split that comes with the corpus; file: a split of your own;
    random: by utterance, so that speakers leak (needs on_overlap: warn)."""
    folds: int = 5
    """Number of parts the units are dealt into. speakers+sentences deals speakers and
    sentences into so many each, which makes folds x folds test cells."""
    fold: int = 0
    """Which part is the test split, counted from 0."""
    validation: float = 0.15
    """Share of the training units (of the speakers, of the sentences, …) that is held out
    for validation, at least one unit; 0 makes no validation split. speakers+sentences holds
    out this share of both, so that validation has about its square of the utterances."""
    assignment: Literal["balanced", "contiguous"] = "balanced"
    """balanced: folds alike in emotions and size. contiguous: units in natural order of their
    names, cut in order (actors 1-4, 5-8, …)."""
    seed: int = 0
    """Another seed deals other balanced folds."""
    file: str | None = None
    """For name: file. A CSV with the columns id and split, a JSON of split names and ids, or
    a run's protocol.json."""
    on_overlap: Severity | dict[Overlap, Severity] = field(default_factory=_strict)
    """What to do about speakers, sessions, sentences, audio or rows that two splits share:
    error, warn or allow, for all or for each kind; a kind not named keeps its default."""

    def severity(self, kind: Overlap) -> Severity:
        """Return what to do about an overlap of one kind."""
        if isinstance(self.on_overlap, str):
            return self.on_overlap
        return self.on_overlap.get(kind, _strict()[kind])

    def check(self) -> None:
        """Refuse parameters that no corpus can satisfy.

        Raises
        ------
        ProtocolError
            It names the option.
        """
        if self.name not in get_args(ProtocolName):
            names = ", ".join(get_args(ProtocolName))
            raise ProtocolError(f"data.protocol.name: no protocol {self.name!r}", f"Use {names}.")
        if isinstance(self.on_overlap, Mapping) and (bad := set(self.on_overlap) - set(OVERLAPS)):
            raise ProtocolError(
                f"data.protocol.on_overlap: no such kind: {', '.join(sorted(map(str, bad)))}",
                f"Kinds are {', '.join(OVERLAPS)}.",
            )
        for kind in OVERLAPS:
            if self.severity(kind) not in get_args(Severity):
                raise ProtocolError(
                    f"data.protocol.on_overlap: {self.severity(kind)!r} for {kind}",
                    "Use error, warn or allow.",
                )
        if not 0 <= self.validation < 1:
            raise ProtocolError(
                f"data.protocol.validation: {self.validation} is not a share from 0 to below 1",
                "Give the share of the training units, such as 0.15.",
            )
        if self.name in ("official", "file"):
            if self.name == "file" and not self.file:
                raise ProtocolError(
                    "data.protocol.name: file, but data.protocol.file is not set",
                    "Give the CSV or JSON with the ids of each split.",
                )
            return
        cells = self.folds**2 if self.name == "speakers+sentences" else self.folds
        if self.folds < 2:
            raise ProtocolError(
                f"data.protocol.folds: {self.folds}, but a test split needs at least 2",
                "Set data.protocol.folds to 2 or more.",
            )
        if not 0 <= self.fold < cells:
            raise ProtocolError(
                f"data.protocol.fold: no fold {self.fold}; {self.name} with "
                f"data.protocol.folds {self.folds} has folds 0 to {cells - 1}",
                f"Set data.protocol.fold to 0 … {cells - 1}.",
            )
        if self.name == "random":
            if {self.severity("speakers"), self.severity("sessions")} != {"warn"}:
                raise ProtocolError(
                    "data.protocol.name: random puts utterances of one speaker into several "
                    "splits, so its scores are speaker-dependent",
                    "Use name: speakers; or accept it, stamped on every report, with "
                    "data.protocol.on_overlap: warn.",
                )
            if self.assignment == "contiguous":
                raise ProtocolError(
                    "data.protocol.assignment: contiguous contradicts name: random",
                    "Use assignment: balanced.",
                )


@dataclass(frozen=True, eq=False)
class Splits:
    """The rows of each split. Rows are sorted; every row of the table is in exactly one."""

    name: str
    """The protocol's."""
    parameters: Mapping[str, Any]
    """The protocol's, as plain data."""
    train: _Rows
    validation: _Rows
    test: _Rows
    left_out: _Rows
    """Rows in no split."""
    left_out_reason: str
    """Empty if none is left out."""
    keys: Mapping[SplitName, tuple[str, ...]]
    """Keys of the utterances per split, sorted."""
    left_out_keys: tuple[str, ...]
    fingerprint: str
    """SHA-256 of the name and the sorted keys of each split."""
    notes: tuple[str, ...] = ()
    """Sentences that a report repeats."""

    def rows(self, split: SplitName) -> _Rows:
        """Return the rows of a split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    @property
    def counts(self) -> dict[str, int]:
        """Utterances per split, and left out."""
        counts: dict[str, int] = {name: len(self.rows(name)) for name in SPLIT_NAMES}
        return counts | {"left_out": len(self.left_out)}

    def to_json(self) -> dict[str, Any]:
        """Return plain data that says everything, the contents of ``protocol.json``."""
        return {
            "name": self.name,
            "parameters": dict(self.parameters),
            "fingerprint": self.fingerprint,
            "counts": self.counts,
            "sha256": {name: _sha256(self.keys[name]) for name in SPLIT_NAMES},
            "left_out": {
                "utterances": len(self.left_out),
                "reason": self.left_out_reason,
                "ids": list(self.left_out_keys),
            },
            "notes": list(self.notes),
            "ids": {name: list(self.keys[name]) for name in SPLIT_NAMES},
        }


def fingerprint(name: str, keys: Mapping[SplitName, Iterable[str]]) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over a name and the sorted keys per split."""
    parts = [f"{split} {_sha256(sorted(keys[split]))}" for split in SPLIT_NAMES]
    return hashlib.sha256("\n".join([name, *parts]).encode()).hexdigest()


def make_splits(
    table: UtteranceTable,
    protocol: Protocol | None = None,
    official: Mapping[str, str] | None = None,
) -> Splits:
    """Split a whole corpus, before any task leaves utterances out: all stages share it.

    Nothing depends on the order of files or rows.

    Parameters
    ----------
    table
        All utterances of the corpus.
    protocol
        Default: leave speakers out, five folds.
    official
        Key to split name, for ``name: official``; utterances without one are left out.

    Raises
    ------
    ProtocolError
        If the protocol asks for what the corpus cannot give; it says what to change.
    """
    protocol = protocol or Protocol()
    protocol.check()
    if not len(table):
        raise ProtocolError("the corpus holds no utterance", "Check data.root.")
    return _MAKERS[protocol.name](table, protocol, official or {})


def _make_units(table: UtteranceTable, p: Protocol, _: Mapping[str, str]) -> Splits:
    axis = Axis(table, p.name, p)
    test = axis.fold(p.fold)
    validation = axis.hold_out(~test)
    codes = np.where(test, 2, np.where(validation, 1, 0))
    return _gather(table, codes, p.name, asdict(p))


def _make_cells(table: UtteranceTable, p: Protocol, _: Mapping[str, str]) -> Splits:
    axes = [Axis(table, "speakers", p), Axis(table, "sentences", p)]
    tests = [a.fold(f) for a, f in zip(axes, divmod(p.fold, p.folds), strict=True)]
    codes = _cross(tests, 2)
    training = codes == 0
    parts = [axis.hold_out(training) for axis in axes]
    if p.validation:
        codes = np.where(training, _cross(parts, 1), codes)
    reason = "speaker and sentence belong to different splits"
    return _gather(table, codes, p.name, asdict(p), reason)


def _make_official(table: UtteranceTable, p: Protocol, official: Mapping[str, str]) -> Splits:
    if not official:
        raise ProtocolError(
            "data.protocol.name: official, but this corpus comes without a split",
            "Use name: speakers; a manifest gives its own in the column split.",
        )
    named: dict[str, SplitName] = {}  # there are few spellings, and maybe a million keys
    keys: dict[SplitName, list[str]] = {name: [] for name in SPLIT_NAMES}
    for key, value in official.items():
        if value:
            name = named.get(value) or split_name(value, f"official split of {key}")
            keys[named.setdefault(value, name)].append(key)
    absent = 0
    for name, some in keys.items():
        there = table.find(some) >= 0
        absent += int(np.count_nonzero(~there))
        keys[name] = list(compress(some, there.tolist()))
    notes = [f"{absent} utterances of the official split are missing or skipped"] if absent else []
    codes = locate(keys, table, "the official split")
    return _given(table, p, codes, "the official split does not name them", notes)


def _make_file(table: UtteranceTable, p: Protocol, _: Mapping[str, str]) -> Splits:
    codes = locate(read_split_file(str(p.file)), table, str(p.file))
    return _given(table, p, codes, f"{p.file} does not name them")


def _make_random(table: UtteranceTable, p: Protocol, _: Mapping[str, str]) -> Splits:
    keys, labels = table.column("key").tolist(), emotion_numbers(table)
    position = deal.spread(deal.shuffled(keys, f"{p.seed}"), labels)
    codes = np.where(position % p.folds == p.fold, 2, 0)
    rest = np.flatnonzero(codes == 0)
    if size := part_size(p.validation, len(rest), "utterances"):
        places = deal.shuffled([keys[r] for r in rest], f"{p.seed}/validation")
        position = deal.spread(places, labels[rest])
        codes[rest[(position + 1) * size // len(rest) > position * size // len(rest)]] = 1
    note = "utterances are split at random: scores are speaker-dependent"
    return _gather(table, codes, p.name, asdict(p), notes=[note])


def _given(
    table: UtteranceTable, p: Protocol, codes: _Rows, reason: str, notes: Sequence[str] = ()
) -> Splits:
    """Complete a split that was given: validation comes out of training if there is none."""
    if p.validation and not (codes == 1).any() and (codes == 0).any():
        training = codes == 0
        kinds = ("speakers", "sessions", "sentences")
        kind = next((k for k in kinds if is_known(table, k, training)), kinds[0])
        validation = Axis(table, kind, p, among=training).hold_out(training)
        codes = np.where(validation & training, 1, codes)
        note = f"{p.name} has no validation part: it is taken out of training by {kind}"
        notes = [*notes, note]
    return _gather(table, codes, p.name, asdict(p), reason, notes)


_MAKERS = {
    "speakers": _make_units,
    "sessions": _make_units,
    "sentences": _make_units,
    "speakers+sentences": _make_cells,
    "official": _make_official,
    "file": _make_file,
    "random": _make_random,
}


def _cross(masks: Sequence[_Mask], code: int) -> _Rows:
    """Return ``code`` where both masks hold, 0 where neither, -1 where they differ."""
    first, second = masks
    return np.where(first != second, -1, np.where(first, code, 0))


def _gather(
    table: UtteranceTable,
    codes: _Rows,
    name: str,
    parameters: dict[str, Any],
    reason: str = "",
    notes: Sequence[str] = (),
) -> Splits:
    """Make splits of (utterance,) codes: 0 training, 1 validation, 2 test, -1 left out."""
    all_keys = table.column("key")
    rows = {split: np.flatnonzero(codes == code) for code, split in enumerate(SPLIT_NAMES)}
    left_out = np.flatnonzero(codes < 0)
    may_be_empty = () if parameters.get("validation") else ("validation",)
    empty = [split for split, r in rows.items() if not len(r) and split not in may_be_empty]
    if empty:
        counts = ", ".join(f"{split} {len(r)}" for split, r in rows.items())
        raise ProtocolError(
            f"protocol {name}: no utterance in {' and '.join(empty)} "
            f"({counts}, left out {len(left_out)} of {len(codes)})",
            "Choose another data.protocol.fold, fewer data.protocol.folds, or a larger "
            "data.protocol.validation."
            if name not in ("official", "file")
            else "Complete the split: it needs utterances for train and for test.",
        )
    keys = {split: tuple(sorted(all_keys[r])) for split, r in rows.items()}
    few = len(rows["validation"])
    warning = f"validation has only {few} utterances: what it selects is chosen nearly by chance"
    if 0 < few < _FEW and warning not in notes:
        notes = [*notes, warning]
    return Splits(
        name=name,
        parameters=parameters,
        train=rows["train"],
        validation=rows["validation"],
        test=rows["test"],
        left_out=left_out,
        left_out_reason=reason if len(left_out) else "",
        keys=keys,
        left_out_keys=tuple(sorted(all_keys[left_out])),
        fingerprint=fingerprint(name, keys),
        notes=tuple(notes),
    )


def _sha256(keys: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()
