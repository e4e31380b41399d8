"""The runs of a comparison: read, refused where they cannot be compared, cut to what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoflow.errors import ConfigError, CorpusError, ProtocolError
from emoflow.evaluation.multilabel import decode, encode
from emoflow.evaluation.rows import name_column, output_columns, require, scored
from emoflow.evaluation.run_folder import RunFolder
from emoflow.evaluation.subsets import main_subset, paired

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Side", "flat", "read_sides", "run_names", "shared"]

_SPLITS = ("train", "validation", "test")
_SHOWN = 6  # differing options in an error


@dataclass(frozen=True)
class Side:
    """One run of a comparison."""

    name: str
    """The end of its path by which it differs from the others."""
    run: RunFolder
    subset: str
    """Modalities that its net was given."""
    part: Mapping[str, Any]
    """The split's part of its ``metrics.json``."""
    rows: pd.DataFrame
    """Its scored rows of the split and subset."""

    @property
    def target(self) -> str:
        """Return ``emotion``, ``emotions``, ``arousal`` or ``valence``."""
        return str(self.part["target"])

    @property
    def labels(self) -> list[str]:
        """Return the emotions in the order of the classes; empty for a regressor."""
        return list(self.part.get("labels") or ())


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return for each folder the shortest end of its path that no other folder has.

    Raises
    ------
    ConfigError
        If two are the same folder.
    """
    real = [path.resolve() for path in paths]
    for path, one in zip(paths, real, strict=True):
        if real.count(one) > 1:
            raise ConfigError(f"{path} is given twice", "give every run once")
    names = []
    for one in real:
        ends = ["/".join(one.parts[-k:]) for k in range(1, len(one.parts) + 1)]
        others = [f"/{other.as_posix()}" for other in real if other != one]
        names.append(next(e for e in ends if not any(o.endswith(f"/{e}") for o in others)))
    return names


def read_sides(
    paths: Sequence[str | Path], split: str = "test", subset: str | None = None
) -> list[Side]:
    """Read the runs; all of one protocol, target and labels, which is checked.

    Parameters
    ----------
    paths
        Two or more run folders, or folders of stages or subsets inside them.
    split
        The split to compare on.
    subset
        The modalities to compare on; of each run all that it reads by default.

    Raises
    ------
    ConfigError
        If there are fewer than two, or one twice, or one lacks the subset or the split.
    CorpusError
        If one is no finished run, or its predictions cannot be read.
    ProtocolError
        If their splits, targets or labels differ.
    """
    folders = [Path(path) for path in paths]
    if len(folders) < 2:
        raise ConfigError("one run cannot be compared", "give two run folders or more")
    names = run_names(folders)
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise CorpusError(f"{folder}: there is no such folder", "give folders of finished runs")
        runs.append(RunFolder.read(folder))
    sides = [_side(*one, split, subset) for one in zip(names, runs, strict=True)]
    for other in sides[1:]:
        _same_task(sides[0], other)
    for other in sides[1:]:
        _same_protocol(sides[0], other)
    return sides


def shared(sides: Sequence[Side]) -> list[Side]:
    """Return the runs with only the utterances that all of them have, in one order.

    Raises
    ------
    CorpusError
        If rows do not name their utterances.
    ProtocolError
        If there is no such utterance, or the truth of one differs, or one stands there twice.
    """
    columns = [name_column(side.rows) for side in sides]
    common: set[Any] | None = None
    for side, column in zip(sides, columns, strict=True):
        if column is None:
            raise CorpusError(
                f"{side.run.path}: predictions lack a column 'key' (or 'id')",
                f"write them again with `emoflow test --run {side.run.path}`",
            )
        own = set(side.rows[column])
        common = own if common is None else common & own
    if not common:
        raise ProtocolError(
            f"{' and '.join(side.name for side in sides)} share no utterance with a known "
            f"{sides[0].target}",
            "compare runs that read a modality that the same utterances have",
        )
    cut = [
        side.rows[side.rows[column].isin(common)].reset_index(drop=True)
        for side, column in zip(sides, columns, strict=True)
    ]
    first, side = cut[0].sort_values(str(columns[0])), sides[0]
    rows = [first]
    for other, found in zip(sides[1:], cut[1:], strict=True):
        rows.append(paired(first, found, (side.name, other.name), side.target))
    return [replace(one, rows=own) for one, own in zip(sides, rows, strict=True)]


def _side(name: str, run: RunFolder, split: str, subset: str | None) -> Side:
    again = f"write them again with `emoflow test --run {run.path}`"
    parts = run.metrics.get("splits") or {}
    if not parts.get(split):
        raise ConfigError(
            f"{run.path}: the {split} split has not been scored",
            "choose --split "
            + (" or ".join(parts) or f"test after `emoflow test --run {run.path}`"),
        )
    part = parts[split]
    if run.predictions is None:
        raise CorpusError(f"{run.path}: predictions.parquet is missing", again)
    chosen = subset or main_subset(list(part["subsets"]))
    if chosen not in part["subsets"]:
        raise ConfigError(
            f"{run.path}: was not scored on {chosen}, only on {', '.join(part['subsets'])}",
            "choose another --subset, or leave it out to give each run all that it reads",
        )
    target, labels = part["target"], list(part.get("labels") or ())
    require(run.predictions, ["split", "subset", target, *output_columns(target, labels)])
    rows = run.predictions
    rows = scored(rows[(rows["split"] == split) & (rows["subset"] == chosen)], target, labels)
    if rows.empty:
        raise CorpusError(
            f"{run.path}: predictions.parquet holds no utterance of the {split} split from "
            f"{chosen} with a known {target}",
            again,
        )
    if target == "emotions":  # one order in all runs, whatever that of their outputs
        order = sorted(labels)
        texts = {c: encode(decode(list(rows[c]), order), order) for c in ("emotions", "predicted")}
        rows = rows.assign(**texts)
    return Side(name, run, chosen, part, rows)


def _same_task(one: Side, two: Side) -> None:
    if one.target != two.target:
        places = [
            f"{here.run.path / 'stages' / name}"
            for here, there in ((one, two), (two, one))
            for name, stage in here.run.stages.items()
            if stage.test.get("target") == there.target
        ]
        hint = f", such as {places[0]}" if places else ""
        raise ProtocolError(
            f"{one.name} predicts {one.target} and {two.name} predicts {two.target}",
            f"compare runs or stages of one target{hint}",
        )
    only = [sorted(set(a.labels) - set(b.labels)) for a, b in ((one, two), (two, one))]
    if any(only):
        said = [
            f"only {side.name} has {', '.join(extra)}"
            for side, extra in zip((one, two), only, strict=True)
            if extra
        ]
        raise ProtocolError(
            f"{one.name} and {two.name} do not tell the same emotions apart: {'; '.join(said)}",
            "fit both with the same task.labels",
        )


def _same_protocol(one: Side, two: Side) -> None:
    """Refuse runs whose splits hold other utterances, and say in what they differ."""
    first, second = one.run.protocol_facts, two.run.protocol_facts
    for side, facts in ((one, first), (two, second)):
        if not facts.get("fingerprint"):
            raise ProtocolError(
                f"{side.run.path}: neither metrics.json nor protocol.json says under which "
                "protocol it was fitted",
                f"write metrics.json again with `emoflow test --run {side.run.path}`",
            )
    if first["fingerprint"] == second["fingerprint"] or _same_splits(one, two):
        return
    differ = [
        f"{what} {a} and {b}"
        for what, a, b in (
            ("corpus", _corpus(one), _corpus(two)),
            ("protocol", first.get("name"), second.get("name")),
        )
        if a != b
    ]
    options = [flat(facts.get("parameters") or {}) for facts in (first, second)]
    names = [n for n in options[0] | options[1] if n != "name"]
    changed = [n for n in names if options[0].get(n) != options[1].get(n)]
    differ += [f"{n} {options[0].get(n)} and {options[1].get(n)}" for n in changed[:_SHOWN]]
    way = (
        "compare runs of one corpus"
        if _corpus(one) != _corpus(two)
        else "compare runs of one split, folds fold by fold; to fit one under the other's split, "
        f"set data.protocol.name to file and data.protocol.file to {one.run.path / 'protocol.json'}"
    )
    raise ProtocolError(
        f"{one.name} and {two.name} were fitted under different protocols: "
        + "; ".join([*differ, *_overlaps(one, two)]),
        way,
    )


def _same_splits(one: Side, two: Side) -> bool:
    """Return whether the splits hold the same utterances under another name of the protocol."""
    marks = [side.run.protocol.get("sha256") for side in (one, two)]
    return _corpus(one) == _corpus(two) and bool(marks[0]) and marks[0] == marks[1]


def _overlaps(one: Side, two: Side) -> list[str]:
    """Say how many utterances of each split the two have in common."""
    ids = [side.run.protocol.get("ids") or {} for side in (one, two)]
    found = []
    for split in _SPLITS:
        a, b = (set(own.get(split) or ()) for own in ids)
        if a != b:
            found.append(f"of {len(a)} and {len(b)} {split} utterances they share {len(a & b)}")
    return found


def _corpus(side: Side) -> str:
    return str((side.run.metrics.get("corpus") or {}).get("name") or "")


def flat(pairs: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options as one level, their names joined by dots."""
    found: dict[str, Any] = {}
    for name, value in pairs.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
