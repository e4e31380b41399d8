"""A toy corpus with every oddity a corpus can have, and short ways to read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from emoflow.corpora.base import BatchOptions, Corpus
from emoflow.data.protocol import Protocol
from emoflow.types import Needs, Speech, Utterance

LABELS = ("neutral", "sad", "happy")
ALLOW = Protocol(folds=4, validation=0.3, on_overlap="allow")
WAVS = 0.5  # seconds of the shortest


class Letters:
    """A tokenizer: one id per letter, [CLS] = 2 in front, padding is 1."""

    pad_id = 1
    vocabulary_size = 5000

    def encode(self, text: str, max_tokens: int) -> list[int]:
        return [2, *(3 + ord(c) % 4000 for c in text)][:max_tokens]

    def to_state(self) -> dict[str, Any]:
        return {"kind": "letters"}


class Toy(Corpus):
    """Toy corpus: a JSON list of utterances.

    Parameters
    ----------
    only
        Prefix of the ids to read.
    """

    name = "toy"
    scale = (1.0, 5.0)

    def __init__(self, root: str, only: str = "", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)
        self.only = only
        self.reads = 0

    def _options(self) -> dict[str, Any]:
        return {k: v for k, v in super()._options().items() if k != "reads"}

    def utterances(self) -> Iterator[Utterance]:
        self.reads += 1
        for row in json.loads((Path(self.root) / "all.json").read_text()):
            if not row["id"].startswith(self.only):
                continue
            if row.pop("broken", False):
                self.skip(row["id"], "all.json", "it is broken")
                continue
            speech = row.pop("speech", None)
            self.note("rows")
            path = speech and str(Path(self.root) / speech)
            yield Utterance(corpus="toy", speech=path and Speech(path), **row)


def rows(speakers: int = 12, each: int = 8) -> list[dict[str, Any]]:
    found = []
    for s in range(speakers):
        for i in range(each):
            label = LABELS[(i + s) % 3]
            row: dict[str, Any] = {
                "id": f"s{s:02d}_{i}",
                "speaker": f"s{s:02d}",
                "session": f"t{s:02d}",
                "sentence": f"sentence {s} {i}",
                "text": f"word{i} of speaker {s} is {label} " + "and more " * (i % 4),
                "speech": f"s{s:02d}_{i}.wav",
                "emotion": label,
                "votes": {label: 7.0, "fear": 3.0},
                "arousal": 1.0 + i % 5,
                "valence": 2.0,
            }
            if i == 3:
                row |= {"emotion": None, "votes": {"sad": 4.0, "fear": 4.0, "happy": 2.0}}
                row["extra"] = {"first": "happy"}
            if i == 4:
                row["speech"] = None
            if i == 5:
                row["text"] = None
            if i == 6:
                row |= {"emotion": "fear", "votes": {"fear": 10.0}}
            if i == 7:
                row["arousal"] = None
            found.append(row)
    return found


def write(root: Path, table: list[dict[str, Any]]) -> Path:
    root.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number, row in enumerate(table):
        if row.get("speech"):
            length = int(16000 * (WAVS + 0.05 * (number % 11)))
            samples = (random.normal(size=length) * 3000).astype(np.int16)
            soundfile.write(root / row["speech"], samples, 16000)
    (root / "all.json").write_text(json.dumps(table))
    return root


def needs(*modalities: str, target: Any = "emotion", **changes: Any) -> Needs:
    return Needs(
        modalities=modalities or ("speech", "text"),  # type: ignore[arg-type]
        target=target,
        labels=LABELS if target == "emotion" else (),
        tokenizer=Letters(),
        **changes,
    )


def make(root: Path, wants: Needs | None = None, **options: Any) -> Toy:
    corpus = Toy(
        str(root), **{"protocol": ALLOW, "batch": BatchOptions(max_utterances=8)} | options
    )
    corpus.needs = wants or needs()
    corpus.prepare_data()
    corpus.setup("fit")
    return corpus


def seen(loader: Any) -> list[int]:
    return [row for batch in loader for row in batch.rows.tolist()]


def ids(corpus: Corpus, some: Any) -> list[str]:
    return corpus.table.column("id", some).tolist()
