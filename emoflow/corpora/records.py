"""What checkpoints and reports say of a corpus, as plain data and tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.protocol import Splits
from emoflow.data.table import UtteranceTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["protocol_facts", "rows_frame"]


def protocol_facts(splits: Splits) -> dict[str, Any]:
    """Return name, fingerprint, parameters and counts of a protocol."""
    return {
        "name": splits.name,
        "fingerprint": splits.fingerprint,
        "parameters": dict(splits.parameters),
        "counts": splits.counts,
    }


def rows_frame(
    table: UtteranceTable, rows: NDArray[np.int64], emotion: NDArray[Any]
) -> pd.DataFrame:
    """Return what a report says of utterances; ``emotion`` is (row,), the one that counts."""
    import pandas as pd

    plain = ("key", "speaker", "session", "sentence", "sex", "age", "seconds", "text")
    frame = pd.DataFrame({name: table.column(name, rows) for name in plain})
    votes = table.column("votes", rows)
    frame["emotion"] = emotion
    frame["votes"] = [None if v is None else json.dumps(v, ensure_ascii=False) for v in votes]
    frame["arousal"] = table.column("arousal", rows)
    frame["valence"] = table.column("valence", rows)
    frame["agreement"] = [_agreement(v) for v in votes]
    return frame


def _agreement(votes: dict[str, float] | None) -> float:
    total = sum(votes.values()) if votes else 0.0
    return max(votes.values()) / total if votes and total > 0 else float("nan")
