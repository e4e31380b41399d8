"""The units of a corpus (speakers, sessions, sentences), and which of them are held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        values = _unit_names(table, kind, among)
        self.names = sorted(set(values), key=deal.natural_key)
        number = {name: i for i, name in enumerate(self.names)}
        self.units = np.fromiter((number[v] for v in values), np.int64, len(values))

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
    return all(table.column(_COLUMNS[kind])[among])


def _unit_names(table: UtteranceTable, kind: str, among: _Mask | None) -> list[str]:
    column = _COLUMNS[kind]
    values = [v or None for v in table.column(column)]
    missing = [i for i, v in enumerate(values) if v is None and (among is None or among[i])]
    if kind == "sentences" and missing:
        # Nothing was said, so there are no words to share: each stands alone.
        texts, keys = table.column("text"), table.column("key")
        for i in missing:
            if texts[i] is not None and not texts[i].strip():
                values[i] = f"(no words) {keys[i]}"
        missing = [i for i in missing if values[i] is None]
    if missing:
        keys = table.column("key")
        some = "" if len(missing) == len(values) else f" ({', '.join(keys[missing[:3]])}, …)"
        others = [k for k in _COLUMNS if k != kind and all(table.column(_COLUMNS[k]))]
        ways = [*others, "file", "random (speaker-dependent, with on_overlap: warn)"]
        raise ProtocolError(
            f"a split by {kind} needs the column {column}, which "
            f"{len(missing)} of {len(values)} utterances do not have{some}",
            f"Fill the column {column}, or use data.protocol.name: {', '.join(ways[:-1])} or "
            f"{ways[-1]}.",
        )
    return [v or "" for v in values]


def emotion_numbers(table: UtteranceTable) -> _Rows:
    """Return class numbers, (utterance,); no emotion is a class of its own."""
    emotions = [e or "" for e in table.column("emotion")]
    number = {name: i for i, name in enumerate(sorted(set(emotions)))}
    return np.fromiter((number[e] for e in emotions), np.int64, len(emotions))


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
