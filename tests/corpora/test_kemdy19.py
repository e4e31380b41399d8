from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoflow.corpora import KEMDy19
from emoflow.corpora.kemdy19 import Role
from emoflow.errors import ConfigError, CorpusError, LabelError
from emoflow.testing.kemdy19 import write_kemdy19
from emoflow.types import Rating
from tests.corpora.fuzz import survives_damage
from tests.corpora.kemdy19_tree import (
    HEADERS,
    RATERS,
    ROLES,
    F,
    M,
    Tree,
    notes,
    read,
    row,
    two_utterances,
)

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return two_utterances(tmp_path / "KEMDy19_v1_3")


# The whole corpus


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    odd=st.booleans(),
    role=st.sampled_from(ROLES),
    sessions=st.sets(st.integers(1, 20), min_size=1, max_size=6),
    each=st.integers(4, 12),
)
def test_what_was_planted_is_found(
    tmp_path: Path, seed: int, odd: bool, role: Role, sessions: set[int], each: int
) -> None:
    root = tmp_path / f"corpus-{seed}"
    shutil.rmtree(root, ignore_errors=True)
    planted = write_kemdy19(
        root, count=each * len(sessions), sessions=sorted(sessions), seed=seed, odd=odd, role=role
    )
    found = list(KEMDy19(root=str(root), role=role).utterances())
    assert len({u.id for u in found}) == len(found)
    assert {u.id: u for u in found} == {u.id: u for u in planted}


def test_the_table_and_all_oddities(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    planted = {u.id: u for u in write_kemdy19(root, seed=1)}
    found, corpus = read(root)
    ends = {name: u.speech.end for name, u in found.items() if u.speech}
    assert found == {
        name: u.with_(speech=u.speech and type(u.speech)(u.speech.path, 0.0, ends[name]))
        for name, u in planted.items()
    }
    assert len(found) == 36
    assert corpus.skipped == ()
    assert {k: n for k, n in corpus.notes.items() if "ties" not in k and "tied" not in k} == {
        "annotation rows that repeat an utterance (the first one counts)": 1,
        "ids put right (session, case or spaces)": 12,
        "known misplaced rows left out": 2,
        "known wrong ids put right": 1,
        "transcripts decoded with loss": 3,
        "transcripts without words": 6,
        "utterances without a transcript": 1,
        "utterances without a wav file": 1,
        "wav or txt files without an annotation": 1,
    }
    assert {u.speaker for u in found.values() if u.session == "Sess03"} == {"Sess03F", "Sess03M"}
    assert {u.session for u in found.values() if u.signals is None} == {"Sess07"}
    assert write_kemdy19(root, seed=1, role="listener") != list(planted.values())
    assert write_kemdy19(root, seed=1) == list(planted.values())


def test_a_plain_corpus_has_nothing_odd(tmp_path: Path) -> None:
    write_kemdy19(tmp_path / "corpus", odd=False)
    corpus = KEMDy19(root=str(tmp_path / "corpus"))
    assert {kind for kind in corpus.notes if "tied" not in kind} == set()


@pytest.mark.parametrize(("count", "sessions"), [(3, (1,)), (100, (1, 21)), (8, ())])
def test_sizes_that_the_layout_lacks(tmp_path: Path, count: int, sessions: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="give"):
        write_kemdy19(tmp_path / "corpus", count=count, sessions=sessions)


@pytest.mark.parametrize(("role", "person"), [("speaker", "F"), ("both", "M")])
def test_damaged_annotations(tmp_path: Path, role: Role, person: str) -> None:
    root = tmp_path / "corpus"
    write_kemdy19(root, count=6, sessions=(1,))
    survives_damage(
        lambda: KEMDy19(root=str(root), role=role, on_bad_utterance="skip"),
        root / "annotation" / f"Session01_{person}_res.csv",
        count=1000 if role == "speaker" else 300,
    )


# Roles


def test_an_utterance_is_read_whole(tree: Tree) -> None:
    tree.signal("ECG", "Sess01M", "")
    found, corpus = read(tree.root)
    assert list(found) == [F, M]
    utterance = found[M]
    assert utterance.key == f"kemdy19/{M}"
    assert (utterance.speaker, utterance.session, utterance.sex) == ("Sess01M", "Sess01", "male")
    assert (utterance.valence, utterance.arousal, utterance.emotion) == (1.7, 3.9, "surprise")
    assert utterance.votes == {"surprise": 6, "angry": 4}
    assert (utterance.text, utterance.sentence) == ("아 친구들도?", "아친구들도")
    assert utterance.speech is not None
    folder = tree.root / "wav" / "Session01" / "Sess01_script01"
    assert utterance.speech.path == str(folder / f"{M}.wav")
    assert utterance.raters is not None
    assert utterance.raters[0] == Rating("Eval01F", "surprise", arousal=4.0, valence=2.0)
    assert [r.rater for r in utterance.raters] == RATERS
    assert utterance.extra == {
        "script": "script01",
        "rated": "Sess01M",
        "recording_start": 7.152,
        "recording_end": 15.476,
    }
    assert set(utterance.signals or {}) == {"ECG"}
    assert found[F].signals is None
    assert corpus.notes == {}


def test_the_listeners_state(tree: Tree) -> None:
    tree.signal("EDA", "Sess01F", "")
    found, corpus = read(tree.root, role="listener")
    assert (found[F].emotion, found[M].emotion) == ("fear", "sad")
    assert (found[M].speaker, found[M].sex, found[M].extra["rated"]) == (
        "Sess01M",
        "male",
        "Sess01F",
    )
    assert (found[F].signals, set(found[M].signals or {})) == (None, {"EDA"})
    assert corpus.notes == {}


def test_both_states_have_ids_of_their_own(tree: Tree) -> None:
    found, _ = read(tree.root, role="both")
    assert {name: u.emotion for name, u in found.items()} == {
        f"{F}_F": "happy",
        f"{F}_M": "fear",
        f"{M}_F": "sad",
        f"{M}_M": "surprise",
    }
    assert len({u.sentence for u in found.values()}) == 1
    tree.text(F, "u/")
    found, _ = read(tree.root, role="both")
    assert found[f"{F}_F"].sentence == found[f"{F}_M"].sentence == F


def test_an_unknown_role(tree: Tree) -> None:
    with pytest.raises(ConfigError, match=r"data.role is 'woman'(.|\n)*speaker, listener, both"):
        read(tree.root, role="woman")


def test_a_missing_file_of_ratings_is_counted(tree: Tree) -> None:
    (tree.root / "annotation" / "Session01_M_res.csv").unlink()
    for role, ids in (("speaker", [F]), ("listener", [M]), ("both", [f"{F}_F", f"{M}_F"])):
        found, corpus = read(tree.root, role=role)
        assert list(found) == ids
        assert notes(corpus, "without an annotation") == (2 if role == "both" else 1)


# Annotation tables


def test_signal_cells_may_be_empty_or_anything(tree: Tree) -> None:
    cells = row(F)
    cells[3:9] = ["", "", "nan", "-", "99.5", "1.0"]
    tree.annotation("01_F", [cells])
    found, corpus = read(tree.root)
    assert found[F].extra["recording_start"] == 7.152
    assert corpus.notes == {}


@pytest.mark.parametrize("headers", [[], [["?"] * 43, ["?"] * 43]])
def test_columns_are_found_by_position_without_names(tree: Tree, headers: list[list[str]]) -> None:
    tree.annotation("01_F", [row(F)], headers)
    utterance = read(tree.root)[0][F]
    assert (utterance.valence, utterance.arousal, utterance.emotion) == (1.7, 3.9, "surprise")
    assert utterance.raters is not None
    assert len(utterance.raters) == 10


@pytest.mark.parametrize("name", ["Person 3", ""])
def test_a_rater_whose_name_is_odd_counts(tree: Tree, name: str) -> None:
    headers = [list(cells) for cells in HEADERS]
    headers[0][19] = name
    tree.annotation("01_F", [row(F)], headers)
    utterance = read(tree.root)[0][F]
    assert utterance.votes == {"surprise": 6, "angry": 4}
    assert utterance.raters is not None
    assert [r.rater for r in utterance.raters] == [*RATERS[:2], "Eval03", *RATERS[3:]]


def test_names_of_raters_differ_between_sessions(tree: Tree) -> None:
    headers = [[cell.replace("Eval01F", "Eval01M") for cell in HEADERS[0]], HEADERS[1]]
    tree.annotation("01_F", [row(F)], headers)
    found, _ = read(tree.root)
    assert [(found[n].raters or [])[0].rater for n in (F, M)] == ["Eval01M", "Eval01F"]


def test_missing_columns_are_named(tree: Tree) -> None:
    headers = [[cell.replace("Segment", "Part") for cell in cells] + [""] for cells in HEADERS]
    path = tree.annotation("01_F", [row(F)], headers)
    with pytest.raises(CorpusError, match=f"{path}: no column Segment ID.*44 columns"):
        read(tree.root)


def test_an_empty_file_of_ratings_is_named(tree: Tree) -> None:
    path = tree.annotation("01_F", [], [])
    with pytest.raises(CorpusError, match=f"{path}: no column Segment ID and Total Evaluation"):
        read(tree.root)


def test_bom_crlf_spaces_and_case_in_ids(tree: Tree) -> None:
    path = tree.annotation("01_F", [row(" SESS01_Script01_f001 ")])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found, corpus = read(tree.root)
    assert list(found) == [F, M]
    assert corpus.notes == {"ids put right (session, case or spaces)": 1}


def test_an_id_goes_by_the_session_of_its_file(tree: Tree) -> None:
    tree.annotation("01_F", [row(F.replace("Sess01", "Sess42"))])
    found, corpus = read(tree.root)
    assert found[F].emotion == "surprise"
    assert notes(corpus, "put right") == 1


def test_rows_of_no_utterance_and_rows_that_repeat(tree: Tree) -> None:
    rows = [
        row(F, valence="2"),
        row(F.lower(), valence="5"),
        row("Sess01_script07_F001"),
        [""] * 43,
    ]
    tree.annotation("01_F", [*rows, row("Sess01_impro05_F001"), row("total"), row(F)[:8]])
    found, corpus = read(tree.root)
    assert found[F].valence == 2.0
    assert notes(corpus, "repeat") == 1
    assert notes(corpus, "id is not an utterance's") == 3
    assert notes(corpus, "without an id") == 1


def test_a_repeated_row_of_the_other_role_is_no_oddity(tree: Tree) -> None:
    tree.annotation("01_F", [row(F), row(M), row(M)])
    assert read(tree.root)[1].notes == {}


def test_rows_with_too_few_or_too_many_cells_are_counted(tree: Tree) -> None:
    tree.annotation("01_F", [row(F)[:12]])
    tree.annotation("01_M", [[*row(M), "x"]])
    found, corpus = read(tree.root)
    assert (found[F].valence, found[F].votes) == (1.7, {"surprise": 1})
    assert notes(corpus, "too few or too many") == 2
    tree.annotation("01_F", [[*row(F), "", ""]])
    tree.annotation("01_M", [row(M)])
    assert read(tree.root)[1].notes == {}


def test_ties(tree: Tree) -> None:
    tree.annotation("01_F", [row(F, "neutral;disqust;Sad")])
    found, corpus = read(tree.root, ties="soft")
    assert (found[F].emotion, found[F].extra["first"]) == (None, "neutral")
    assert found[F].votes == {"surprise": 6, "angry": 4}
    assert notes(corpus, "tied") == 1


def test_an_unknown_label_raises_even_when_skipping(tree: Tree) -> None:
    path = tree.annotation("01_F", [row(F, "gloomy")])
    for policy in ("error", "skip"):
        with pytest.raises(LabelError, match=f"{path}, row 3: unknown emotion 'gloomy'"):
            read(tree.root, on_bad_utterance=policy)
    corpus = KEMDy19(root=str(tree.root), label_map={"gloomy": "sad"})
    assert corpus.table[0].emotion == "sad"


@pytest.mark.parametrize(
    ("valence", "message"), [("1·7", "valence is '1·7', not a"), ("7", "is 7")]
)
def test_bad_totals_stop_or_are_skipped(tree: Tree, valence: str, message: str) -> None:
    tree.annotation("01_F", [row(F, valence=valence)])
    with pytest.raises(CorpusError, match=re.escape(message)):
        read(tree.root)
    found, corpus = read(tree.root, on_bad_utterance="skip")
    assert list(found) == [M]
    assert [s.id for s in corpus.skipped] == [F]


# Ids known to be wrong


def test_a_womans_row_with_a_mans_id(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "KEMDy19")
    names = [f"Sess03_impro02_{who}001" for who in "FM"]
    for name in names:
        tree.wav(name)
    blank = [[""] * 43] * 344
    tree.annotation("03_F", [row(names[1], "sad"), *blank, row(names[1], "happy")])
    tree.annotation("03_M", [row(names[1])])
    found, corpus = read(tree.root)
    assert {name: u.emotion for name, u in found.items()} == {
        names[0]: "happy",
        names[1]: "surprise",
    }
    assert corpus.notes["known wrong ids put right"] == 1
    assert read(tree.root, role="both")[0][f"{names[1]}_F"].emotion == "sad"
    # A copy in which somebody put it right already.
    tree.annotation("03_F", [row(names[0], "fear"), *blank, row(names[1], "sad")])
    found, corpus = read(tree.root, role="both")
    assert (found[f"{names[0]}_F"].emotion, found[f"{names[1]}_F"].emotion) == ("fear", "sad")
    assert notes(corpus, "known") == 0


@pytest.mark.parametrize("first", [True, False])
def test_misplaced_rows(tmp_path: Path, first: bool) -> None:
    tree = Tree(tmp_path / "KEMDy19")
    names = {253: "Sess09_script06_M001", 310: "Sess09_impro01_M001"}
    rows = [[""] * 43 for _ in range(320)]
    for place, name in names.items():
        tree.wav(name)
        rows[place] = row(name, "fear")
        rows[place - 9 if first else place + 9] = row(name, "sad")
    tree.annotation("09_F", rows)
    found, corpus = read(tree.root, role="listener")
    assert {u.emotion for u in found.values()} == {"sad"}
    assert corpus.notes["known misplaced rows left out"] == 2
    tree.annotation("09_F", [r if r[10] != "sad" else [""] * 43 for r in rows])
    found, corpus = read(tree.root, role="listener")
    assert {u.emotion for u in found.values()} == {"fear"}  # there is no other
    assert (len(found), notes(corpus, "known")) == (2, 0)


def test_a_row_of_an_utterance_that_does_not_exist(tree: Tree) -> None:
    tree.annotation("01_F", [row(F), row("Sess01_impro03_F031")])
    found, corpus = read(tree.root)
    assert list(found) == [F, M]
    assert corpus.notes == {"annotated utterances without a file": 1}
