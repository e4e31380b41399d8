from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoflow.corpora import BatchOptions
from emoflow.corpora.base import Corpus
from emoflow.corpora.signals import SignalReader, recordings
from emoflow.data import Protocol
from emoflow.errors import ConfigError
from emoflow.frontends.signals import SignalFeatureInput, SignalOptions
from emoflow.traces import SignalRecording, SignalTrace
from emoflow.types import Needs, Utterance


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))


class Worn(Corpus):
    """Two people whose temperature is the arousal of what they say, in °C above 30."""

    name = "worn"
    scale = (1.0, 5.0)

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)
        self.read_files: list[str] = []

    def _options(self) -> dict[str, Any]:
        return {k: v for k, v in super()._options().items() if k != "read_files"}

    def utterances(self) -> Iterator[Utterance]:
        for number in range(24):
            person = f"p{number % 6}"
            file = {"TEMP": f"{self.root}/{person}.csv"}
            yield Utterance(
                id=f"u{number:02}",
                corpus=self.name,
                speaker=person,
                text="네",
                arousal=1.0 + number % 5,
                signals=None if number % 4 == 3 else file,
            )

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        self.read_files.append(files["TEMP"])
        times = np.arange(0, 24 * 40, 0.25)
        level = 30.0 + 1 + (times // 40) % 5 + 0.001 * (times % 3)
        spans = {u.id: (40.0 * int(u.id[1:]) + 30, 40.0 * int(u.id[1:]) + 39) for u in utterances}
        spans.pop("u05", None)  # nobody knows when it was said
        return SignalRecording({"TEMP": SignalTrace(level, times, "°C", 4.0)}, spans)


@pytest.fixture
def worn(tmp_path: Path) -> Worn:
    folder = tmp_path / "worn"
    folder.mkdir()
    for person in range(6):
        (folder / f"p{person}.csv").write_text(f"{person}")
    protocol = Protocol(folds=3, validation=0.3)
    corpus = Worn(str(folder), protocol=protocol, batch=BatchOptions(max_utterances=5))
    corpus.needs = Needs(
        ("signals",),
        target="arousal",
        signals=SignalFeatureInput(SignalOptions(seconds=9)),
    )
    corpus.prepare_data()
    corpus.setup()
    return corpus


def test_batches_carry_the_features_of_each_utterances_own_time(worn: Worn) -> None:
    seen = 0
    assert worn.needs is not None
    assert worn.needs.signals is not None
    place = worn.needs.signals.names.index("temp.mean")
    for batch in worn.train_dataloader():
        assert batch.waveforms is None
        assert batch.signals is not None
        assert batch.signals_known is not None
        assert batch.arousal is not None
        assert batch.signals_present is not None
        here = batch.signals_present
        torch.testing.assert_close(
            batch.signals[here, 0, place], 30 + batch.arousal[here], atol=2e-3, rtol=0
        )
        assert batch.signals.isfinite().all()
        assert (batch.signals[~batch.signals_known] == 0).all()
        ids = worn.table.column("id", batch.rows.numpy())
        assert [bool(p) for p in here] == [i != "u05" for i in ids]
        seen += len(batch)
    assert seen


def test_each_recording_is_read_once_and_kept(worn: Worn) -> None:
    assert len(worn.read_files) == len(set(worn.read_files)) == 6
    again = Worn(worn.root, protocol=worn.protocol)
    again.needs = worn.needs
    again.prepare_data()
    again.setup()
    assert again.read_files == []
    assert worn.needs is not None
    reader = SignalReader(again.table, worn.needs.signals)  # type: ignore[arg-type]
    assert reader[0] is None  # nothing was asked for yet
    (Path(worn.root) / "p0.csv").write_text("other content")
    assert reader.prepare(np.arange(24), again.read_signals) == 4  # what p0 said
    assert [Path(p).name for p in again.read_files] == ["p0.csv"]
    copy = pickle.loads(pickle.dumps(reader))
    found = copy[0]
    assert found is not None
    np.testing.assert_array_equal(found[0], reader[0][0])  # type: ignore[index]


def test_another_front_end_keeps_its_own(worn: Worn) -> None:
    before = len(worn.read_files)
    reader = SignalReader(worn.table, SignalFeatureInput(SignalOptions(seconds=5)))
    assert reader.prepare(np.arange(24), worn.read_signals) == 18
    assert len(worn.read_files) == before + 6


def test_recordings_come_with_their_rows(worn: Worn) -> None:
    found = list(recordings(worn.table, [0, 1, 3, 6], worn.read_signals))
    assert [rows.tolist() for rows, _ in found] == [[0, 6], [1]]
    assert set(found[0][1].spans) == {"u00", "u06"}


def test_what_is_missing_is_said(worn: Worn) -> None:
    worn.needs = Needs(("signals",), target="arousal")
    with pytest.raises(ConfigError, match="needs name no front end"):
        worn.setup()
    worn.needs = Needs(("face",), target="arousal")
    with pytest.raises(ConfigError, match="asks for face, which no batch carries"):
        worn.setup()
    deaf = Corpus("nowhere")
    with pytest.raises(ConfigError, match="its biosignals cannot be read"):
        deaf.read_signals({}, [])
