from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.data.protocol import Protocol
from emoflow.errors import (
    AudioError,
    ConfigError,
    CorpusError,
    ProtocolError,
)
from emoflow.types import Needs
from tests.corpora.toy import LABELS, Toy, ids, make, needs, rows, write


def test_bad_utterances(tmp_path: Path) -> None:
    table = rows()
    table[0]["broken"] = True
    root = write(tmp_path / "c", table)
    samples, _ = soundfile.read(root / table[1]["speech"])
    samples[5] = np.nan
    soundfile.write(root / table[1]["speech"], samples, 16000, "FLOAT")
    (root / table[2]["speech"]).write_bytes(b"")
    soundfile.write(root / table[9]["speech"], np.zeros(4000), 16000)
    with pytest.raises(CorpusError, match="it is broken"):
        make(root)
    for _ in range(2):
        corpus = make(root, on_bad_utterance="skip")
        reasons = {s.id: s.reason for s in corpus.skipped}
        assert set(reasons) == {"s00_0", "s00_1", "s00_2"}
        assert reasons["s00_0"] == "it is broken"
        assert "NaN" in reasons["s00_1"]
        assert "holds no samples" in reasons["s00_2"]
        assert len(corpus.table) == len(table) - 3
        assert corpus.notes["utterances whose speech is all zeros"] == 1
        assert corpus.notes["rows"] == len(table) - 1
        assert "s00_1" not in ids(corpus, corpus.splits.train)
        lines = "\n".join(corpus.describe_lines())
        assert "skipped s00_1" in lines
        assert "it is broken" in lines
    table[0]["broken"] = table[2]["broken"] = False
    (root / table[2]["speech"]).write_bytes((root / table[3]["speech"]).read_bytes())
    (root / "all.json").write_text(
        json.dumps([{k: v for k, v in r.items() if k != "broken"} for r in table])
    )
    with pytest.raises(AudioError, match="NaN or infinite"):
        make(root)


def test_a_split_without_usable_utterances(tmp_path: Path) -> None:
    table = rows()
    first = make(write(tmp_path / "c", table))
    test = set(ids(first, first.splits.test))
    for row in table:
        if row["id"] in test:
            row["arousal"] = None
    (tmp_path / "c" / "all.json").write_text(json.dumps(table))
    with pytest.raises(ProtocolError, match="the test split is empty for this task") as caught:
        make(tmp_path / "c", needs("speech", target="arousal"))
    assert "arousal" in caught.value.what
    assert str(len(test)) in caught.value.what


def test_a_split_with_one_class(shared: Path) -> None:
    wants = Needs(("speech",), "emotion", ("sad", "disgust"))
    with pytest.raises(ProtocolError, match=r"train split has one class only: all .* are sad") as e:
        make(shared, wants)
    assert "neutral" in e.value.what


def test_a_label_never_seen_in_training_is_said_aloud(shared: Path) -> None:
    corpus = make(shared, Needs(("speech",), "emotion", (*LABELS, "disgust")))
    assert any("no training utterance is disgust" in w for w in corpus.warnings)


def test_no_validation_split(shared: Path) -> None:
    corpus = make(shared, protocol=Protocol(folds=4, validation=0, on_overlap="allow"))
    with pytest.raises(ProtocolError, match="the validation split is empty"):
        corpus.val_dataloader()


def test_shared_speech_is_an_error_and_silence_is_not(tmp_path: Path) -> None:
    table = rows()
    root = write(tmp_path / "c", table)
    for row in table:
        if row["speech"] and row["id"].endswith("_0"):
            soundfile.write(root / row["speech"], np.zeros(8000), 16000)
    strict = Protocol(folds=4, validation=0.3)
    corpus = make(root, protocol=strict)
    assert corpus.notes["utterances whose speech is all zeros"] == 12
    content = (root / "s00_1.wav").read_bytes()
    for speaker in range(1, 12):
        (root / f"s{speaker:02d}_1.wav").write_bytes(content)
    with pytest.raises(ProtocolError, match="audio: train and validation share 1"):
        make(root, protocol=strict)


def test_a_corpus_that_changes_during_training(tmp_path: Path) -> None:
    root = write(tmp_path / "c", rows())
    corpus = make(root, needs("speech"))
    loaders = [corpus.train_dataloader(), corpus.val_dataloader(), corpus.test_dataloader()]
    path = root / "s05_1.wav"
    os.utime(path, ns=(1, 1))
    with pytest.raises(CorpusError, match=r"s05_1.wav: changed since") as caught:
        list(chain(*loaders))
    assert caught.value.fix


def test_batches_before_setup(shared: Path) -> None:
    with pytest.raises(ConfigError, match="asked for batches before setup"):
        Toy(str(shared)).train_dataloader()


def test_constructor_reads_nothing(tmp_path: Path) -> None:
    Toy(str(tmp_path / "absent"))


def test_labels_that_training_hardly_shows_are_said_aloud(tmp_path: Path) -> None:
    table = rows()
    for number, row in enumerate(table):
        row.pop("votes", None)
        if number % 2:
            row |= {"emotion": None, "votes": {"happy": 2.0, "calm": 2.0}}
    wants = replace(needs(), labels=(*LABELS, "calm", "disgust"))
    corpus = make(write(tmp_path / "c", table), wants)
    assert "no training utterance is disgust, so it cannot be learned" in corpus.warnings
    assert "only soft_labels can learn calm: nothing is that alone" in corpus.warnings
    assert not any("happy" in line for line in corpus.warnings)
