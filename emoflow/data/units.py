"""The units of a corpus (speakers, sessions, sentences), and which of them are held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data import folds as deal
from emoflow.errors import ProtocolError

if TYPE_CHECKING:
    from emoflow.data.protocol import Protocol
    from emoflow.data.table import UtteranceTable

__all__ = ["Axis", "emotion_numbers", "is_known", "part_size"]

_COLUMNS = {"speakers": "speaker", "sessions": "session", "sentences": "sentence"}
_Rows = NDArray[np.int64]
_Mask = NDArray[np.bool_]


class Axis:
    """The units of one kind, and how the protocol deals them.

    Parameters
    ----------
    table
        All utterances.
    kind
        speakers, sessions or sentences.
    protocol
        Folds, validation, assignment and seed.
    among
        (utterance,) where a unit is needed; default: everywhere.

    Raises
    ------
    ProtocolError
        If an utterance has no such unit.
    """

    def __init__(
        self, table: UtteranceTable, kind: str, protocol: Protocol, among: _Mask | None = None
    ) -> None:
        self.kind, self.protocol = kind, protocol
        self.labels = emotion_numbers(table)
        codes, names = _unit_names(table, kind, among)
        order = deal.natural_key if protocol.assignment == "contiguous" else None
        self.units, self.names = _in_order(codes, names, order)

    def fold(self, fold: int) -> _Mask:
        """Return whether each utterance's unit is dealt to ``fold``."""
        p, count = self.protocol, len(self.names)
        if count < p.folds:
            raise ProtocolError(
                f"{p.folds} folds by {self.kind}, but the corpus has {count}",
                f"Set data.protocol.folds to {count} or fewer."
                if count > 1
                else "Use another data.protocol.name: one unit cannot be split.",
            )
        if p.assignment == "contiguous":
            dealt = deal.contiguous_folds(count, p.folds)
        else:
            shares = deal.unit_shares(self.units, self.labels, count)
            dealt = deal.balanced_folds(shares, self.names, p.folds, f"{p.seed}/{self.kind}")
        return np.asarray((dealt == fold)[self.units])

    def hold_out(self, training: _Mask) -> _Mask:
        """Return whether each utterance's unit is held out of ``training`` for validation."""
        taken = np.ones(len(self.names), bool)
        taken[self.units[training]] = False
        free = np.flatnonzero(~taken)
        size = part_size(self.protocol.validation, len(free), self.kind)
        if self.protocol.assignment == "contiguous":
            chosen = deal.contiguous_part(taken, size)
        else:
            chosen = np.zeros(len(self.names), bool)
            renumber = np.cumsum(~taken) - 1
            units, labels = renumber[self.units[training]], self.labels[training]
            shares = deal.unit_shares(units, labels, len(free))
            names = [self.names[u] for u in free]
            salt = f"{self.protocol.seed}/{self.kind}/validation"
            chosen[free[deal.balanced_part(shares, names, size, salt)]] = True
        return np.asarray(chosen[self.units])


def is_known(table: UtteranceTable, kind: str, among: _Mask) -> bool:
    """Return whether every utterance of ``among`` has a unit of this kind."""
    return bool((table.codes(_COLUMNS[kind])[0][among] >= 0).all())


def _unit_names(table: UtteranceTable, kind: str, among: _Mask | None) -> tuple[_Rows, list[str]]:
    column = _COLUMNS[kind]
    codes, found = table.codes(column)
    names: list[str] = found.to_pylist()
    needed = np.ones(len(codes), bool) if among is None else among
    missing = np.flatnonzero(needed & (codes < 0))
    if kind == "sentences" and len(missing):
        # Nothing was said, so there are no words to share: each stands alone.
        number = {name: code for code, name in enumerate(names)}
        said = zip(table.column("text", missing), table.column("key", missing), strict=True)
        for row, (text, key) in zip(missing, said, strict=True):
            if text is not None and not text.strip():
                codes[row] = number.setdefault(f"(no words) {key}", len(number))
        names, missing = list(number), missing[codes[missing] < 0]
    if len(missing):
        keys = table.column("key", missing[:3])
        some = "" if len(missing) == len(codes) else f" ({', '.join(keys)}, …)"
        everywhere = np.ones(len(codes), bool)
        others = [k for k in _COLUMNS if k != kind and is_known(table, k, everywhere)]
        ways = [*others, "file", "random (speaker-dependent, with on_overlap: warn)"]
        raise ProtocolError(
            f"a split by {kind} needs the column {column}, which "
            f"{len(missing)} of {len(codes)} utterances do not have{some}",
            f"Fill the column {column}, or use data.protocol.name: {', '.join(ways[:-1])} or "
            f"{ways[-1]}.",
        )
    return codes, names


def emotion_numbers(table: UtteranceTable) -> _Rows:
    """Return class numbers, (utterance,); no emotion is a class of its own."""
    codes, names = table.codes("emotion")
    return _in_order(codes, names.to_pylist())[0]


def _in_order(
    codes: _Rows, names: Sequence[str], key: Callable[[str], Any] | None = None
) -> tuple[_Rows, list[str]]:
    """Let codes count through the names that occur, sorted; none at all is called ""."""
    if (codes < 0).any():
        names, codes = [*names, ""], np.where(codes < 0, len(names), codes)
    used = np.flatnonzero(np.bincount(codes, minlength=len(names))).tolist()
    order = sorted(used, key=lambda code: names[code] if key is None else key(names[code]))
    number = np.zeros(len(names), np.int64)
    number[order] = np.arange(len(order))
    return number[codes], [names[code] for code in order]


def part_size(share: float, count: int, kind: str) -> int:
    """Return how many of ``count`` units a share is: at least one, unless it is 0, and not all.

    Raises
    ------
    ProtocolError
        If there is only one to share.
    """
    if not share:
        return 0
    if count < 2:
        raise ProtocolError(
            f"{count} of the {kind} is left for training and validation together",
            "Set data.protocol.folds higher or data.protocol.validation to 0, or use a corpus "
            f"with more {kind}.",
        )
    return min(max(1, round(share * count)), count - 1)
