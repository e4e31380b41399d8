from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.table import SpeechFile, UtteranceTable
from emoflow.errors import CorpusError
from emoflow.types import Rating, Speech, Utterance

FULL = Utterance(
    id="a1",
    corpus="c",
    speaker="s1",
    session="t1",
    sentence="w1",
    speech=Speech("/x/a.wav", 1.0, 2.5),
    text="안녕, 하세요",
    signals={"EDA": "/x/eda.csv"},
    face="/x/a.png",
    emotion="happy",
    votes={"happy": 7.0, "sad": 3.0},
    arousal=3.5,
    valence=1.25,
    raters=(Rating("E1", "happy", 3.0, 4.0), Rating("E2", None, None, 2.0)),
    sex="female",
    age="20s",
    extra={"script": 3, "first": "happy", "more": [1, "둘"]},
)
BARE = Utterance(id="a0", corpus="c")

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
floats = st.none() | st.floats(-10, 10)
names = st.text("abc가나", min_size=1, max_size=3)
utterances = st.builds(
    Utterance,
    id=names,
    corpus=st.sampled_from(["c", "d"]),
    speaker=texts,
    text=texts,
    speech=st.none() | st.builds(Speech, names, st.floats(0, 5), st.none() | st.floats(5, 9)),
    emotion=texts,
    votes=st.none() | st.dictionaries(names, st.floats(0, 10), max_size=3),
    arousal=floats,
    valence=floats,
    raters=st.none() | st.lists(st.builds(Rating, names, texts, floats, floats)).map(tuple),
    signals=st.none() | st.dictionaries(names, names, max_size=2),
    extra=st.dictionaries(names, st.integers() | names, max_size=2),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(utterances, unique_by=lambda u: u.key, max_size=6))
def test_table_gives_back_what_was_put_in(
    tmp_path_factory: pytest.TempPathFactory, some: list[Utterance]
) -> None:
    table = UtteranceTable.build(some)
    path = tmp_path_factory.getbasetemp() / "t.arrow"
    table.save(path)
    expected = sorted(some, key=lambda u: u.key)
    for one in (table, UtteranceTable.load(path), pickle.loads(pickle.dumps(table))):
        assert len(one) == len(some)
        assert list(one) == expected
        assert [one[row] for row in range(len(one))] == expected
        assert one.column("key").tolist() == [u.key for u in expected]


def test_file_order_does_not_matter() -> None:
    some = [BARE.with_(id=name) for name in ("b", "a10", "a2", "가", "A")]
    tables = [UtteranceTable.build(order) for order in (some, some[::-1])]
    assert tables[0].column("id").tolist() == tables[1].column("id").tolist()
    assert tables[0].column("id").tolist() == sorted(u.id for u in some)


def test_columns_and_what_is_absent() -> None:
    table = UtteranceTable.build([FULL, BARE])
    assert table.column("speaker").tolist() == [None, "s1"]
    assert table.column("votes").tolist() == [None, {"happy": 7.0, "sad": 3.0}]
    assert table.column("extra").tolist()[1]["more"] == [1, "둘"]
    np.testing.assert_array_equal(table.column("arousal"), [np.nan, 3.5])
    np.testing.assert_array_equal(table.column("seconds"), [np.nan, 1.5])
    np.testing.assert_array_equal(table.column("speech_size"), [-1, -1])
    assert table.column("key", [1, 0]).tolist() == ["c/a1", "c/a0"]
    with pytest.raises(KeyError):
        table.column("nothing")


def test_known_files_fill_in_end_and_duration() -> None:
    files = {"/x/a.wav": SpeechFile(4.0, 123, 456)}
    spans = [Speech("/x/a.wav"), Speech("/x/a.wav", 1.0), Speech("/x/a.wav", 1.0, 4.05)]
    table = UtteranceTable.build(
        (BARE.with_(id=str(i), speech=s) for i, s in enumerate(spans)), files
    )
    np.testing.assert_allclose(table.column("seconds"), [4.0, 3.0, 3.0])
    assert table[2].speech == Speech("/x/a.wav", 1.0, 4.0)
    assert table.column("speech_size").tolist() == [123] * 3
    assert table.column("speech_mtime_ns").tolist() == [456] * 3


def test_votes_follow_the_labels() -> None:
    table = UtteranceTable.build(
        [BARE, FULL, FULL.with_(id="a2", votes={"sad": 2.0}), FULL.with_(id="a3", votes={})]
    )
    np.testing.assert_array_equal(
        table.votes(("sad", "fear", "happy")), [[0, 0, 0], [3, 0, 7], [2, 0, 0], [0, 0, 0]]
    )
    np.testing.assert_array_equal(table.select([2, 1]).votes(("sad",)), [[2], [3]])
    assert UtteranceTable.build([]).votes(("sad",)).shape == (0, 1)


def test_rows_by_key() -> None:
    table = UtteranceTable.build([FULL, BARE])
    assert table.rows(["c/a1", "c/a0", "c/a1"]).tolist() == [1, 0, 1]
    with pytest.raises(CorpusError, match=r"2 utterances are not in this corpus: c/x, c/y"):
        table.rows(["c/x", "c/a0", "c/y"])


def test_select_keeps_the_order_given() -> None:
    table = UtteranceTable.build([FULL, BARE])
    assert [u.id for u in table.select([1, 0])] == ["a1", "a0"]
    assert len(table.select([])) == 0
    with pytest.raises(IndexError):
        table.select([2])
    with pytest.raises(IndexError):
        table[2]
    assert table[-1] == FULL


def test_pandas() -> None:
    frame = UtteranceTable.build([FULL, BARE]).to_pandas([1])
    assert frame.loc[0, "key"] == "c/a1"
    assert frame.loc[0, "votes"] == {"happy": 7.0, "sad": 3.0}


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(CorpusError, match=r"1 ids occur more than once: c/a0"):
        UtteranceTable.build([BARE, FULL, BARE])
    assert len(UtteranceTable.build([BARE, BARE.with_(corpus="d")])) == 2


def test_a_loaded_table_pickles_by_its_path(tmp_path: Path) -> None:
    UtteranceTable.build([FULL.with_(id=str(i)) for i in range(2000)]).save(tmp_path / "t")
    table = UtteranceTable.load(tmp_path / "t")
    assert len(pickle.dumps(table)) < 1000
    assert pickle.loads(pickle.dumps(table))[7] == table[7]


def test_a_broken_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"not arrow")
    with pytest.raises(CorpusError, match="not a table of utterances"):
        UtteranceTable.load(tmp_path / "t")


def test_many_chunks_are_sorted_together() -> None:
    count = 40_000
    some = (BARE.with_(id=f"{(i * 7919) % count:05d}") for i in range(count))
    ids = UtteranceTable.build(some).column("id")
    assert ids.tolist() == [f"{i:05d}" for i in range(count)]


@settings(max_examples=40, deadline=None)
@given(st.lists(utterances, max_size=12))
def test_a_written_table_is_the_built_one_without_repeated_ids(
    tmp_path_factory: pytest.TempPathFactory, some: list[Utterance]
) -> None:
    path = tmp_path_factory.getbasetemp() / "w.arrow"
    first: dict[str, Utterance] = {}
    for one in some:
        first.setdefault(one.key, one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emoflow.data.table.ROWS_AT_ONCE", 3)
        patch.setattr("emoflow.data.rows._SORTED_ROWS", 2)
        repeated: list[Utterance] = []
        table = UtteranceTable.write(path, ((one, None) for one in some), repeated.append)
    expected = sorted(first.values(), key=lambda u: u.key)
    assert list(table) == expected
    others = [one for one in some if one is not first[one.key]]
    assert repeated == sorted(others, key=lambda u: u.key)
    rows = [len(expected) - 1 - row for row in range(len(expected))]
    assert list(table.select(rows)) == expected[::-1]
    assert table.column("text", rows).tolist() == [u.text for u in expected[::-1]]
    assert table.digest("text") == UtteranceTable.build(expected).digest("text")
    assert not list(path.parent.glob("*.unsorted"))


def test_columns_as_numbers() -> None:
    some = [BARE.with_(id=str(i), sex=s) for i, s in enumerate(["b", None, "a", "", "b"])]
    codes, names = UtteranceTable.build(some).codes("sex")
    assert codes.tolist()[1:4:2] == [-1, -1]
    assert [names[c].as_py() for c in codes[[0, 2, 4]]] == ["b", "a", "b"]
    assert UtteranceTable.build(some).present("sex").tolist() == [True, False, True, True, True]
    assert len(UtteranceTable.build([]).codes("sex")[1]) == 0


def test_a_column_s_hash_says_what_is_in_it() -> None:
    tables = [UtteranceTable.build([BARE.with_(text=t)]) for t in ("a", "b", None, "", "a")]
    digests = [table.digest("text") for table in tables]
    assert digests[0] == digests[4]
    assert len(set(digests)) == 4


def test_finding_by_key_or_id() -> None:
    table = UtteranceTable.build([BARE, FULL, BARE.with_(corpus="d")])
    assert table.find(["c/a0", "a0", "a1", "d/a0", "x", "c/x"]).tolist() == [0, 2, 1, 2, -1, -1]
    assert table.find([]).tolist() == []


def test_files_are_listed_once() -> None:
    files = {"/x/a.wav": SpeechFile(4.0, 123, 456, native=True)}
    spans = [Speech("/x/a.wav"), Speech("/x/a.wav", 1.0), Speech("/x/b.wav"), None]
    some = [BARE.with_(id=str(i), speech=speech) for i, speech in enumerate(spans)]
    table = UtteranceTable.build(some, files)
    assert sorted(table.files()) == [("/x/a.wav", 123, 456), ("/x/b.wav", -1, -1)]
    assert table.column("speech_native").tolist() == [True, True, False, False]
