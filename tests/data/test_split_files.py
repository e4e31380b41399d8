from __future__ import annotations

import json
from dataclasses import replace

import pytest

from emoflow.data.protocol import SPLIT_NAMES, Protocol, make_splits
from emoflow.data.table import UtteranceTable
from emoflow.errors import ProtocolError
from emoflow.types import Utterance
from tests.data.grids import grid, units


def test_official_with_and_without_validation():
    table = UtteranceTable.build(grid())
    by_speaker = dict(zip(table.column("key"), table.column("speaker"), strict=True))
    names = {f"spk{i}": n for i, n in enumerate(["train", "Train ", "train", "dev", "test", ""])}
    protocol = Protocol("official")
    splits = make_splits(table, protocol, {k: names[s] for k, s in by_speaker.items()})
    assert splits.counts == {"train": 30, "validation": 10, "test": 10, "left_out": 10}
    assert splits.left_out_reason == "the official split does not name them"
    names["spk3"] = "training"
    splits = make_splits(table, protocol, {k: names[s] for k, s in by_speaker.items()})
    assert splits.counts == {"train": 30, "validation": 10, "test": 10, "left_out": 10}
    found = units(table, splits, "speakers")
    assert not found["train"] & found["validation"]
    assert splits.notes[0] == (
        "official has no validation part: it is taken out of training by speakers"
    )
    none = make_splits(
        table, replace(protocol, validation=0), {k: names[s] for k, s in by_speaker.items()}
    )
    assert none.counts["validation"] == 0


def test_official_test_rows_stay_test_when_their_speaker_is_held_out():
    table = UtteranceTable.build(grid(speakers=2))
    keys = table.column("key")
    official = {k: "test" if i % 2 else "train" for i, k in enumerate(keys)}
    splits = make_splits(table, Protocol("official"), official)
    assert set(splits.keys["test"]) == set(keys[1::2])


def test_official_survives_skipped_utterances():
    table = UtteranceTable.build(grid())
    names = ["train", "val", "test"]
    official = {k: names[i % 3] for i, k in enumerate(table.column("key"))}
    splits = make_splits(table, Protocol("official"), official | {"toy/ghost": "train"})
    assert splits.notes == ("1 utterances of the official split are missing or skipped",)
    assert splits.fingerprint == make_splits(table, Protocol("official"), official).fingerprint


def test_official_refusals():
    table = UtteranceTable.build(grid())
    with pytest.raises(ProtocolError, match=r"comes without a split\n.*name: speakers"):
        make_splits(table, Protocol("official"))
    with pytest.raises(ProtocolError, match="toy/u00000: no split 'evaluation'"):
        make_splits(table, Protocol("official"), {"toy/u00000": "evaluation"})
    with pytest.raises(ProtocolError, match=r"no utterance in test \(train 51, validation 9"):
        make_splits(
            table, Protocol("official", validation=0.15),
            {k: "val" if i < 9 else "train" for i, k in enumerate(table.column("key"))},
        )  # fmt: skip


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return Protocol("file", file=str(path))


def test_file_of_ids(tmp_path):
    table = UtteranceTable.build(grid(speakers=3, sentences=2))
    ids = list(table.column("id"))
    rows = [
        f"{i},{n}" for i, n in zip(ids, ["train"] * 4 + ["val"] * 4 + ["test"] * 3, strict=False)
    ]
    csv = make_splits(
        table, write(tmp_path / "s.csv", "\ufeffID, Split\n" + "\n".join(rows) + "\n")
    )
    assert csv.counts == {"train": 4, "validation": 4, "test": 3, "left_out": 1}
    assert csv.left_out_reason.endswith("s.csv does not name them")
    record = {"train": [f"toy/{i}" for i in ids[:4]], "validation": ids[4:8], "test": ids[8:11]}
    plain = make_splits(table, write(tmp_path / "s.json", json.dumps(record)))
    assert plain.fingerprint == csv.fingerprint
    own = make_splits(table, write(tmp_path / "protocol.json", json.dumps(plain.to_json())))
    assert own.fingerprint == csv.fingerprint


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "id,part\nu00000,train\n", r"a.csv: no column split\n.*columns id and split"),
        ("a.csv", "name,split\nu00000,train\n", r"a.csv: no column id"),
        ("a.csv", "id,split\nu00000,eval\n", r"a.csv, line 2: no split 'eval'"),
        ("a.csv", "id,split\nu00000,train\nu00000,test\n", r"line 3: u00000 is in train and in te"),
        ("a.csv", "id,split\nghost,train\n", r"names 1 utterances that the corpus does not have"),
        ("a.csv", "id,split\nu00000,train\nu00001,val\n", r"no utterance in test"),
        ("a.json", "{", r"a.json: not JSON"),
        ("a.json", "[]", r"a.json: not a map of split names"),
        ("a.json", '{"train": "u00000"}', r"a.json: not a map of split names"),
        ("a.json", '{"train": ["u00000"], "test": ["toy/u00000"]}', r"in train and in test"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path, name, text, message):
    with pytest.raises(ProtocolError, match=message):
        make_splits(UtteranceTable.build(grid()), write(tmp_path / name, text))


def test_missing_file(tmp_path):
    with pytest.raises(ProtocolError, match=r"cannot read .*ghost.csv"):
        make_splits(
            UtteranceTable.build(grid()), Protocol("file", file=str(tmp_path / "ghost.csv"))
        )
    with pytest.raises(ProtocolError, match=r"data.protocol.file is not set"):
        make_splits(UtteranceTable.build(grid()), Protocol("file"))


def test_validation_of_a_given_split_without_speakers_is_taken_by_sentences() -> None:
    some = [
        Utterance(id=f"{n}", corpus="c", text="t", sentence=f"s{n % 20}", emotion="sad")
        for n in range(60)
    ]
    table = UtteranceTable.build(some)
    official = {u.key: "test" if int(u.id) % 20 >= 16 else "train" for u in some}
    splits = make_splits(table, Protocol("official", validation=0.25), official)
    sentences = {name: set(table.column("sentence")[splits.rows(name)]) for name in SPLIT_NAMES}
    assert len(sentences["validation"]) == 4
    assert not sentences["validation"] & sentences["train"]
    assert any("taken out of training by sentences" in note for note in splits.notes)
