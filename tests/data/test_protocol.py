from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser, set_parsing_settings

from emoflow.data import folds as deal
from emoflow.data.protocol import SPLIT_NAMES, Protocol, fingerprint, make_splits
from emoflow.data.table import UtteranceTable
from emoflow.errors import ProtocolError
from emoflow.types import Utterance
from tests.data.grids import COLUMN, EMOTIONS, grid, skewed, units, utterance

fast = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def corpora(draw):
    count = draw(st.integers(8, 60))
    speakers = draw(st.lists(st.integers(0, 11), min_size=count, max_size=count))
    sentences = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    emotions = draw(st.lists(st.sampled_from(EMOTIONS), min_size=count, max_size=count))
    rows = zip(speakers, sentences, emotions, strict=True)
    return [utterance(i, *row) for i, row in enumerate(rows)]


def splits_or_skip(table, protocol):
    try:
        return make_splits(table, protocol)
    except ProtocolError:
        assume(False)


protocols = st.builds(
    Protocol,
    name=st.sampled_from(["speakers", "sessions", "sentences", "speakers+sentences", "random"]),
    folds=st.integers(2, 4),
    fold=st.integers(0, 3),
    validation=st.sampled_from([0.0, 0.15, 0.4]),
    assignment=st.sampled_from(["balanced", "contiguous"]),
    seed=st.integers(0, 3),
    on_overlap=st.just("warn"),
)


@fast
@given(corpora(), protocols, st.randoms())
def test_no_unit_is_in_two_splits_and_every_row_in_one(utterances, protocol, random):
    table = UtteranceTable.build(utterances)
    splits = splits_or_skip(table, protocol)
    parts = [splits.train, splits.validation, splits.test, splits.left_out]
    assert sorted(np.concatenate(parts)) == list(range(len(table)))
    assert sum(splits.counts.values()) == len(table)
    for kind in protocol.name.split("+"):
        if kind in COLUMN:
            found = units(table, splits, kind)
            assert not found["train"] & found["validation"]
            assert not found["test"] & (found["train"] | found["validation"])
    if protocol.name != "speakers+sentences":
        assert len(splits.left_out) == 0
    assert bool(len(splits.validation)) == bool(protocol.validation)

    random.shuffle(utterances)
    again = make_splits(UtteranceTable.build(utterances), protocol)
    assert again.fingerprint == splits.fingerprint
    assert again.keys == splits.keys


@fast
@given(corpora(), protocols)
def test_the_test_splits_of_all_folds_partition_the_corpus(utterances, protocol):
    table = UtteranceTable.build(utterances)
    count = protocol.folds**2 if protocol.name == "speakers+sentences" else protocol.folds
    protocol = replace(protocol, validation=0.0)
    tests = [splits_or_skip(table, replace(protocol, fold=f)).test for f in range(count)]
    assert sorted(np.concatenate(tests)) == list(range(len(table)))


@pytest.mark.parametrize("name", ["speakers", "sessions", "sentences", "random"])
@pytest.mark.parametrize("assignment", ["balanced", "contiguous"])
def test_grid_folds_partition(name, assignment):
    if (name, assignment) == ("random", "contiguous"):
        pytest.skip("refused")
    table = UtteranceTable.build(grid())
    protocol = Protocol(name, folds=3, assignment=assignment, on_overlap="warn")
    tests = [make_splits(table, replace(protocol, fold=f)).test for f in range(3)]
    assert sorted(np.concatenate(tests)) == list(range(len(table)))


def test_speakers_and_sentences_leave_straddlers_out():
    table = UtteranceTable.build(grid(speakers=6, sentences=6))
    protocol = Protocol("speakers+sentences", folds=3, validation=0.4)
    tests = []
    for fold in range(9):
        splits = make_splits(table, replace(protocol, fold=fold))
        speakers, sentences = (units(table, splits, k) for k in ("speakers", "sentences"))
        assert [len(speakers[n]) for n in SPLIT_NAMES] == [2, 2, 2]
        assert [len(sentences[n]) for n in SPLIT_NAMES] == [2, 2, 2]
        # 3 × 3 blocks of 8 utterances: one each for training, validation and test
        assert splits.counts == {"train": 8, "validation": 8, "test": 8, "left_out": 48}
        assert splits.left_out_reason == "speaker and sentence belong to different splits"
        tests.append(splits.test)
    assert sorted(np.concatenate(tests)) == list(range(len(table)))


def test_contiguous_follows_natural_order():
    actors = [
        Utterance(f"{a}-{i}", "ravdess", speaker=f"Actor_{a}", emotion=EMOTIONS[i % 3])
        for a in range(1, 25)
        for i in range(4)
    ]
    table = UtteranceTable.build(actors)
    for fold in range(6):
        protocol = Protocol(folds=6, fold=fold, assignment="contiguous")
        splits = make_splits(table, protocol)
        found = units(table, splits, "speakers")
        first = 4 * fold + 1
        assert found["test"] == {f"Actor_{a}" for a in range(first, first + 4)}
        following = [(a - 1) % 24 + 1 for a in range(first + 4, first + 7)]
        assert found["validation"] == {f"Actor_{a}" for a in following}
        assert len(found["train"]) == 17


def test_natural_key():
    names = ["Actor_10", "Actor_2", "Actor_1", "b", "Actor_01", "2", "10", "Actor_"]
    assert sorted(names, key=deal.natural_key) == [
        "2", "10", "Actor_", "Actor_01", "Actor_1", "Actor_2", "Actor_10", "b",
    ]  # fmt: skip


def test_balanced_is_no_worse_than_sklearn():
    from sklearn.model_selection import StratifiedGroupKFold

    table = UtteranceTable.build(skewed())
    emotions = np.array([e or "" for e in table.column("emotion")])
    speakers = table.column("speaker")

    def unevenness(tests):
        names = np.unique(emotions)
        table = np.array([[(emotions[t] == n).sum() for n in names] for t in tests])
        return (table.std(axis=0) / table.mean(axis=0)).mean()

    ours = [make_splits(table, Protocol(fold=f)).test for f in range(5)]
    reference = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    theirs = [test for _, test in reference.split(emotions, emotions, speakers)]
    assert unevenness(ours) <= unevenness(theirs)
    assert all(7 <= len(set(speakers[t])) <= 9 for t in ours)
    splits = make_splits(table, Protocol(validation=0.25))
    whole = Counter(emotions)
    for name, size in Counter(emotions[splits.validation]).items():
        assert 0.5 < size / (whole[name] * 0.8 * 0.25) < 1.6


def test_another_seed_deals_other_folds():
    table = UtteranceTable.build(skewed())
    found = {make_splits(table, Protocol(seed=s)).fingerprint for s in range(4)}
    assert len(found) == 4


def test_the_deal_never_changes():
    """A new version that deals otherwise would make scores of old runs incomparable."""
    table = UtteranceTable.build(grid(speakers=10, sentences=7))
    names = ["speakers", "sessions", "sentences", "random"]
    found = {n: make_splits(table, Protocol(n, on_overlap="warn")).fingerprint[:8] for n in names}
    pair = Protocol("speakers+sentences", folds=2, validation=0.4)
    found[pair.name] = make_splits(table, pair).fingerprint[:8]
    assert found == GOLDEN


GOLDEN = {
    "speakers": "7d7e58ef",
    "sessions": "b55b9253",
    "sentences": "c0c1bd34",
    "random": "69acd143",
    "speakers+sentences": "70de259a",
}


def test_random_is_stratified_and_exact():
    table = UtteranceTable.build(skewed(1000))
    splits = make_splits(table, Protocol("random", on_overlap="warn"))
    assert splits.counts == {"train": 680, "validation": 120, "test": 200, "left_out": 0}
    emotions = np.array([e or "" for e in table.column("emotion")])
    for name, whole in Counter(emotions).items():
        assert abs((emotions[splits.test] == name).sum() - whole / 5) <= 1
        assert abs((emotions[splits.validation] == name).sum() - whole * 0.12) <= 2
    assert "speaker-dependent" in splits.notes[0]


@pytest.mark.parametrize(
    "policy",
    ["error", "allow", {"speakers": "warn"}, {"speakers": "warn", "sessions": "allow"}],
)
def test_random_needs_warn(policy):
    with pytest.raises(ProtocolError, match=r"speaker-dependent\n.*on_overlap: warn"):
        make_splits(UtteranceTable.build(grid()), Protocol("random", on_overlap=policy))


def test_random_with_warn_for_what_it_breaks():
    policy = {"speakers": "warn", "sessions": "warn"}
    protocol = Protocol("random", on_overlap=policy)
    assert make_splits(UtteranceTable.build(grid()), protocol).counts["test"] == 12
    assert protocol.severity("audio") == "error"
    assert protocol.severity("sentences") == "warn"


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Protocol(folds=1), r"data.protocol.folds: 1, but a test split needs at least 2"),
        (Protocol(fold=5), r"no fold 5; speakers with data.protocol.folds 5 has folds 0 to 4"),
        (Protocol(fold=-1), r"no fold -1"),
        (Protocol("speakers+sentences", folds=2, fold=4), r"has folds 0 to 3"),
        (Protocol(validation=1.0), r"data.protocol.validation: 1.0 is not a share"),
        (Protocol(folds=7), r"7 folds by speakers, but the corpus has 6\n.*folds to 6 or fewer"),
        (Protocol("sessions", folds=3, fold=0), None),
        (Protocol("sessions", folds=2, validation=0.5), r"1 of the sessions is left for"),
        (Protocol("speaker"), r"no protocol 'speaker'\n.*Use speakers, sessions"),
        (Protocol(on_overlap="never"), r"'never' for speakers\n.*error, warn or allow"),
        (Protocol(on_overlap={"words": "warn"}), r"no such kind: words\n.*Kinds are speakers"),
        (
            Protocol("random", assignment="contiguous", on_overlap="warn"),
            r"contiguous contradicts name: random",
        ),
    ],
)
def test_parameters_out_of_range(protocol, message):
    table = UtteranceTable.build(grid())
    if message is None:
        make_splits(table, protocol)
    else:
        with pytest.raises(ProtocolError, match=message):
            make_splits(table, protocol)


def test_nothing_left_for_validation():
    table = UtteranceTable.build(grid(speakers=2))
    with pytest.raises(ProtocolError, match=r"1 of the speakers is left for training and valid"):
        make_splits(table, Protocol(folds=2))
    assert make_splits(table, Protocol(folds=2, validation=0)).counts["train"] == 10
    with pytest.raises(ProtocolError, match=r"the corpus has 1\n.*one unit cannot be split"):
        make_splits(UtteranceTable.build(grid(speakers=1)), Protocol(folds=2))
    with pytest.raises(ProtocolError, match="holds no utterance"):
        make_splits(UtteranceTable.build([]), Protocol())


def test_an_empty_cell_is_refused():
    ones = [utterance(i, i % 2, i % 2) for i in range(20)]
    protocol = Protocol("speakers+sentences", folds=2, validation=0, assignment="contiguous")
    assert make_splits(UtteranceTable.build(ones), protocol).counts["test"] == 10
    with pytest.raises(ProtocolError, match=r"no utterance in train and test .*left out 20 of 20"):
        make_splits(UtteranceTable.build(ones), replace(protocol, fold=1))


def test_missing_units_are_named():
    table = UtteranceTable.build([replace(u, session=None) for u in grid()])
    with pytest.raises(
        ProtocolError,
        match=r"needs the column session, which 60 of 60 utterances do not have\n"
        r".*name: speakers, sentences, file or random \(speaker-dependent",
    ):
        make_splits(table, Protocol("sessions"))
    some = [replace(u, speaker=None) if u.id < "u00002" else u for u in grid()]
    with pytest.raises(ProtocolError, match=r"2 of 60 .* \(toy/u00000, toy/u00001, …\)"):
        make_splits(UtteranceTable.build(some), Protocol())


def test_wordless_utterances_stand_alone():
    quiet = [replace(u, sentence=None, text=" ") if u.id < "u00006" else u for u in grid()]
    table = UtteranceTable.build(quiet)
    alone = [make_splits(table, Protocol("sentences", folds=3, fold=f)) for f in range(3)]
    assert all(set(s.keys["test"]) & {u.key for u in quiet[:6]} for s in alone)
    unknown = [replace(u, sentence=None, text=None) for u in quiet]
    with pytest.raises(ProtocolError, match="needs the column sentence"):
        make_splits(UtteranceTable.build(unknown), Protocol("sentences"))


def test_fingerprint_depends_on_name_and_keys_only():
    keys = {"train": ["b", "a"], "validation": [], "test": ["c"]}
    first = fingerprint("speakers", keys)
    assert len(first) == 64
    assert first == fingerprint("speakers", keys | {"train": ["a", "b"]})
    assert first != fingerprint("sessions", keys)
    assert first != fingerprint("speakers", {"train": ["a"], "validation": ["b"], "test": ["c"]})


def test_json_says_everything():
    table = UtteranceTable.build(grid(speakers=6, sentences=6))
    splits = make_splits(table, Protocol("speakers+sentences", folds=3, validation=0.4))
    record = json.loads(json.dumps(splits.to_json()))
    assert record["counts"] == {"train": 8, "validation": 8, "test": 8, "left_out": 48}
    assert record["parameters"]["folds"] == 3
    assert record["left_out"]["utterances"] == len(record["left_out"]["ids"]) == 48
    for name in SPLIT_NAMES:
        assert list(table.column("key")[splits.rows(name)]) == record["ids"][name]


def test_few_validation_utterances_are_noted():
    splits = make_splits(UtteranceTable.build(grid(speakers=6)), Protocol(folds=3))
    assert splits.notes[-1].startswith("validation has only 10 utterances")


class Corpus:
    """A stand-in."""

    def __init__(self, root: str = ".", protocol: Protocol = Protocol()):  # noqa: B008
        self.protocol = protocol


def parse(*options):
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Corpus, "data")
    return parser, parser.instantiate(parser.parse_args(list(options))).data.protocol


def test_command_line():
    parser, protocol = parse(
        "--data.protocol.name=speakers+sentences",
        "--data.protocol.fold=2",
        "--data.protocol.on_overlap=warn",
    )
    assert protocol == Protocol("speakers+sentences", fold=2, on_overlap="warn")
    _, protocol = parse("--data.protocol.on_overlap.sessions", "allow")
    assert protocol.severity("sessions") == "allow"
    assert protocol.severity("speakers") == "error"
    _, protocol = parse("--data.protocol.on_overlap", "{sentences: error}")
    assert [protocol.severity(k) for k in ("sentences", "rows")] == ["error", "error"]
    assert parse()[1] == Protocol()
    text = " ".join(parser.format_help().split())
    assert "Which part is the test split, counted from 0. (type: int, default: 0)" in text
    with pytest.raises(Exception, match="speaker"):
        parse("--data.protocol.name=speaker")


def test_thirteen_thousand_utterances_at_once():
    table = UtteranceTable.build(skewed(13_462, 80))
    for name in ("speakers", "sentences", "speakers+sentences", "random"):
        start = time.perf_counter()
        make_splits(table, Protocol(name, on_overlap="warn"))
        assert time.perf_counter() - start < 1.0
