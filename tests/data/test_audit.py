from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from emoflow.data.audit import audit, refuse_overlap
from emoflow.data.protocol import Protocol, make_splits
from emoflow.data.table import UtteranceTable
from emoflow.errors import ProtocolError
from emoflow.types import Speech, Utterance
from tests.data.grids import grid, skewed


def official(rows, protocol=None):
    """Make a table and splits of (split, utterance) pairs."""
    table = UtteranceTable.build([u for _, u in rows])
    split_of = {u.key: split for split, u in rows}
    return table, make_splits(table, protocol or Protocol("official", validation=0), split_of)


def said(number, speaker=None, **more):
    fields = {"text": f"text {number}", "emotion": "sad", **more}
    return Utterance(id=f"u{number}", corpus="toy", speaker=speaker or f"spk{number}", **fields)


def clean():
    return [("train", said(0)), ("validation", said(1)), ("test", said(2))]


def test_nothing_shared():
    table, splits = official([*clean(), ("", said(3))])
    found = audit(table, splits)
    assert found.findings == ()
    assert found.stamp == "speaker-independent"
    assert found.lines() == [
        "protocol official: speaker-independent",
        "speakers: none shared (train 1, validation 1, test 1)",
        "sessions: not known in this corpus, so not compared",
        "sentences: not known in this corpus, so not compared",
        "audio: not known in this corpus, so not compared",
        "rows: none shared (train 1, validation 1, test 1)",
        "1 utterances left out: the official split does not name them",
        *splits.notes,
    ]
    assert found.enforce(Protocol()) == []


def test_sessions_under_speakers_say_what_to_do():
    table = UtteranceTable.build(grid(speakers=8, sentences=4))
    protocol = Protocol(folds=8, fold=3, assignment="contiguous", validation=0)
    found = audit(table, make_splits(table, protocol))
    (session,) = found.of_kind("sessions")
    assert session.splits == ("train", "test")
    assert (session.shared, session.utterances, session.of) == (1, (8, 8), (56, 8))
    assert session.examples == ("ses1",)
    with pytest.raises(ProtocolError) as error:
        found.enforce(protocol)
    assert str(error.value) == (
        "protocol speakers: sessions: train and test share 1 (8 of 56 utterances of train, 8 of "
        "8 of test), for example ses1\n  → sessions: use data.protocol.name: sessions, or accept "
        "it with data.protocol.on_overlap.sessions: warn"
    )
    assert found.stamp == "speaker-independent"
    lines = found.enforce(replace(protocol, on_overlap={"sessions": "warn"}))
    assert [line.split(":")[0] for line in lines] == ["sessions", "sentences"]
    assert found.enforce(replace(protocol, on_overlap="allow")) == []
    strict = {"sessions": "allow", "sentences": "error"}
    with pytest.raises(ProtocolError, match=r"sentences: use data.protocol.name: speakers\+sent"):
        found.enforce(replace(protocol, on_overlap=strict))


@pytest.mark.parametrize("name", ["sessions", "speakers+sentences"])
def test_protocols_keep_their_promise(name):
    table = UtteranceTable.build(grid(speakers=12, sentences=6))
    protocol = Protocol(name, folds=3, validation=0.4, on_overlap={"sessions": "warn"})
    found = audit(table, make_splits(table, protocol))
    for kind in ["speakers", *name.split("+")]:
        assert found.of_kind(kind) == ()
    assert bool(found.of_kind("sentences")) == (name == "sessions")
    found.enforce(protocol)


def test_sentences_alone_are_speaker_dependent():
    table = UtteranceTable.build(grid())
    protocol = Protocol("sentences", folds=3)
    found = audit(table, make_splits(table, protocol))
    with pytest.raises(ProtocolError, match=r"speakers: use data.protocol.name: speakers\+sente"):
        found.enforce(protocol)
    accepted = found.enforce(replace(protocol, on_overlap="warn"))
    assert accepted[0] == "protocol sentences: speaker-dependent"


def test_random_is_stamped_even_where_speakers_are_unknown():
    table = UtteranceTable.build([replace(u, speaker=None, session=None) for u in grid()])
    protocol = Protocol("random", on_overlap="warn")
    found = audit(table, make_splits(table, protocol))
    assert found.stamp == "speaker-dependent"
    assert found.enforce(protocol)[0] == "protocol random: speaker-dependent"


def test_unknown_speakers():
    rows = [(split, replace(u, speaker=None)) for split, u in clean()]
    found = audit(*official(rows))
    assert found.stamp == "speakers unknown"
    assert found.enforce(Protocol()) == ["protocol official: speakers unknown"]
    assert "speakers: not known in this corpus, so not compared" in found.lines()


def test_speakers_shared_with_validation_only():
    rows = [*clean(), ("train", said(3, "spk1"))]
    found = audit(*official(rows))
    assert found.stamp == "speaker-independent"
    with pytest.raises(ProtocolError, match=r"train and validation share 1 .* example spk1"):
        found.enforce(Protocol("official"))


def test_same_samples():
    rows = clean()
    table, splits = official([(s, replace(u, speech=Speech(f"{u.id}.wav"))) for s, u in rows])
    copied = audit(table, splits, speech_hash=["aa", "bb", "aa"])
    (finding,) = copied.findings
    assert (finding.kind, finding.splits, finding.shared) == ("audio", ("train", "test"), 1)
    assert finding.examples == ("toy/u0 = toy/u2",)
    with pytest.raises(ProtocolError, match="audio: keep one copy of each recording"):
        copied.enforce(Protocol("official"))
    assert not audit(table, splits, speech_hash=["aa", "bb", "cc"]).findings
    silent = audit(table, splits, speech_hash=[None, "bb", ""])
    assert not silent.findings
    assert silent.notes[-1] == "audio: 2 silent utterances compared by file and span only"
    unheard = audit(table, splits)
    assert unheard.notes[-1] == "audio: compared by file and span only, not by samples"
    with pytest.raises(ValueError, match="1 hashes for 3 utterances"):
        audit(table, splits, speech_hash=["aa"])


def test_same_span_of_a_file():
    spans = [Speech("long.wav", 0.0, 2.0), Speech("long.wav", 2.0, 3.0), Speech("long.wav", 0, 2)]
    rows = [(s, replace(u, speech=p)) for (s, u), p in zip(clean(), spans, strict=True)]
    (finding,) = audit(*official(rows)).findings
    assert (finding.kind, finding.examples) == ("audio", ("toy/u0 = toy/u2",))


@pytest.mark.parametrize("most", [8, 1 << 62])
def test_same_rows(monkeypatch, most):
    monkeypatch.setattr("emoflow.data.audit._MOST_COMBINATIONS", most)
    same = {"speaker": "spk0", "text": "text 0"}
    rows = [*clean(), ("test", said(3, **same)), ("validation", said(4, **same, emotion="happy"))]
    found = audit(*official(rows))
    (finding,) = found.of_kind("rows")
    assert (finding.splits, finding.examples) == (("train", "test"), ("toy/u0 = toy/u3",))
    with pytest.raises(ProtocolError, match="rows: keep one copy of each utterance in the corpus"):
        found.enforce(Protocol("official", on_overlap={"speakers": "warn"}))
    nothing = [(s, replace(u, speaker="x", text=None)) for s, u in clean()]
    assert audit(*official(nothing)).of_kind("rows") == ()


def test_everything_at_once_is_one_error():
    same = {"text": "same", "speech": Speech("a.wav"), "session": "s", "sentence": "same"}
    rows = [("train", said(0, "a", **same)), ("test", said(1, "a", **same))]
    found = audit(*official(rows))
    assert [f.kind for f in found.findings] == [
        "speakers", "sessions", "sentences", "audio", "rows",
    ]  # fmt: skip
    with pytest.raises(ProtocolError) as error:
        found.enforce(Protocol("official"))
    assert error.value.what.count("\n") == 3
    assert error.value.fix.count("or accept it") == 4
    assert "on_overlap.rows: warn" in error.value.fix
    assert "sentences" not in str(error.value)
    with pytest.raises(ProtocolError, match="sentences: train and test share 1"):
        found.enforce(Protocol("official", on_overlap="error"))
    loud = found.enforce(Protocol("official", on_overlap="warn"))
    assert loud[0] == "protocol official: speaker-dependent"
    assert len(loud) == 6


def test_json():
    table = UtteranceTable.build(grid())
    found = audit(table, make_splits(table, Protocol(folds=3)))
    record = json.loads(json.dumps(found.to_json()))
    assert record["stamp"] == "speaker-independent"
    assert record["units"]["speakers"] == {"train": 3, "validation": 1, "test": 2}
    assert record["lines"] == found.lines()
    kinds = {f["kind"] for f in record["findings"]}
    assert kinds == {"sessions", "sentences"}


def splits_of_three():
    return official([*clean(), ("train", said(3))])[1]


def test_refuse_overlap():
    splits = splits_of_three()
    refuse_overlap([], splits, "a.ckpt")
    refuse_overlap(["toy/u0", "toy/u3", "other/u2"], splits, "a.ckpt")
    with pytest.raises(ProtocolError) as error:
        refuse_overlap(["toy/u0", "toy/u2"], splits, "a.ckpt")
    assert str(error.value).startswith(
        "a.ckpt was trained on 1 of the 1 utterances of this run's test split: toy/u2\n  → Train "
    )
    with pytest.raises(ProtocolError, match=r"trained on 1 of the 1 .* validation split: toy/u1"):
        refuse_overlap(iter(["toy/u1"]), splits, "a.ckpt")


def test_refuse_overlap_knows_what_was_only_selected_by():
    splits = splits_of_three()
    refuse_overlap({"train": ["toy/u0"], "validation": ["toy/u1"]}, splits, "a.ckpt")
    with pytest.raises(ProtocolError, match=r"a.ckpt was selected by 1 .* test split: toy/u2"):
        refuse_overlap({"train": [], "validation": ["toy/u2"]}, splits, "a.ckpt")
    with pytest.raises(ProtocolError, match="trained on"):
        refuse_overlap({"train": ["toy/u1"], "validation": []}, splits, "a.ckpt")


class Columns:
    """A table of many utterances that costs nothing to build."""

    def __init__(self, small, rows):
        self.small, self.rows = small, rows

    def __len__(self):
        return len(self.rows)

    def column(self, name):
        if name == "key":
            return np.array([f"toy/{i:06d}" for i in range(len(self))], dtype=object)
        if name == "speech_path":
            return np.array([f"/corpus/{i:06d}.wav" for i in range(len(self))], dtype=object)
        return self.small.column(name)[self.rows]

    def codes(self, name):
        if name == "speech_path":
            return np.arange(len(self)), pa.array(self.column(name))
        codes, names = self.small.codes(name)
        return codes[self.rows], names


@pytest.mark.parametrize(("count", "limit"), [(13_462, 1.0), (100_000, 4.0)])
def test_speed(count, limit):
    small = UtteranceTable.build(skewed(1000, 80))
    rng = np.random.default_rng(0)
    table = Columns(small, rng.integers(0, 1000, count))
    hashes = [f"{i:032x}" for i in range(count)]
    start = time.perf_counter()
    splits = make_splits(table, Protocol())
    found = audit(table, splits, speech_hash=hashes)
    seconds = time.perf_counter() - start
    print(f"{count} utterances: {seconds:.2f} s")
    assert not found.of_kind("speakers")
    assert seconds < limit
