from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.corpora import KEMDy20
from emoflow.errors import AudioError, CorpusError, LabelError
from emoflow.types import Rating, Utterance
from tests.corpora.kemdy20_tree import HEADERS, RATERS, Tree, row

A = "Sess01_script01_User001F_001"
B = "Sess01_script01_User002M_001"
C = "Sess01_script02_User001F_001"


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One annotated utterance, A, with speech and transcript."""
    tree = Tree(tmp_path / "KEMDy20_v1_2")
    tree.annotation("01", [row(A)])
    tree.wav(A)
    tree.text(A, "n/ 아 친구들도? l/".encode("cp949"))
    return tree


def read(root: Path | str, **options: str) -> tuple[dict[str, Utterance], KEMDy20]:
    corpus = KEMDy20(root=str(root), **options)  # type: ignore[arg-type]
    table = corpus.table
    return {table[n].id: table[n] for n in range(len(table))}, corpus


def notes(corpus: KEMDy20, word: str) -> int:
    """The sum of the counts whose kind has ``word`` in it."""
    return sum(count for kind, count in corpus.notes.items() if word in kind)


def test_an_utterance_is_read_whole(tree: Tree) -> None:
    found, corpus = read(tree.root)
    utterance = found[A]
    assert utterance.key == f"kemdy20/{A}"
    assert (utterance.speaker, utterance.session, utterance.sex) == ("User001", "Sess01", "female")
    assert (utterance.valence, utterance.arousal) == (3.8, 2.8)
    assert (utterance.emotion, utterance.votes) == ("neutral", {"neutral": 6, "happy": 4})
    assert (utterance.text, utterance.sentence) == ("아 친구들도?", "아친구들도")
    assert utterance.speech is not None
    assert utterance.speech.path == str(tree.root / "wav" / "Session01" / f"{A}.wav")
    assert utterance.raters is not None
    assert utterance.raters[0] == Rating("Eval01F", "neutral", arousal=2.0, valence=4.0)
    assert [r.rater for r in utterance.raters] == RATERS
    assert utterance.extra == {
        "script": "script01",
        "recording_start": 42.77729,
        "recording_end": 44.86329,
    }
    assert (utterance.age, utterance.signals) == (None, None)
    assert corpus.notes == {}


# Annotation tables


def test_columns_are_found_by_name(tree: Tree) -> None:
    """With the columns in another order, and names in another case."""
    order = [3, 1, 2, 0, 6, 5, 4, *range(7, 37)]
    swap = [[cells[n] for n in order] for cells in (*HEADERS, row(A))]
    swap[0][4], swap[0][6] = swap[0][6], swap[0][4]
    swap[:2] = [[f" {cell.upper()} " for cell in cells] for cells in swap[:2]]
    tree.annotation("01", swap[2:], headers=swap[:2])
    utterance = read(tree.root)[0][A]
    assert (utterance.valence, utterance.arousal, utterance.emotion) == (3.8, 2.8, "neutral")
    assert utterance.raters is not None
    assert utterance.raters[0] == Rating("Eval01F", "neutral", arousal=2.0, valence=4.0)


@pytest.mark.parametrize("headers", [[], [["?"] * 37, ["?"] * 37]])
def test_columns_are_found_by_position_without_names(tree: Tree, headers: list[list[str]]) -> None:
    tree.annotation("01", [row(A)], headers=headers)
    utterance = read(tree.root)[0][A]
    assert (utterance.valence, utterance.arousal, utterance.emotion) == (3.8, 2.8, "neutral")
    assert utterance.votes == {"neutral": 6, "happy": 4}
    assert utterance.raters is not None
    assert len(utterance.raters) == 10


def test_the_last_thirty_columns_are_the_raters(tree: Tree) -> None:
    headers = [[cell.replace("Eval", "Person ") for cell in cells] for cells in HEADERS]
    headers[0][4] = "Total Evaluation"
    tree.annotation("01", [row(A)], headers=headers)
    assert read(tree.root)[0][A].votes == {"neutral": 6, "happy": 4}


def test_missing_columns_are_named(tree: Tree) -> None:
    headers = [[cell.replace("Segment", "Part") for cell in cells] + [""] for cells in HEADERS]
    path = tree.annotation("01", [row(A)], headers=headers)
    with pytest.raises(CorpusError, match=f"{path}: no column Segment ID.*38 columns"):
        read(tree.root)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_bom_crlf_spaces_and_case_in_ids(tree: Tree, encoding: str) -> None:
    rows = [row(f" {A} "), row(B.upper()), row("sess01_Script02_user001f_001")]
    tree.annotation("01", rows, encoding=encoding, newline="\r\n")
    for name in (B, C):
        tree.wav(name)
    found, corpus = read(tree.root)
    assert sorted(found) == [A, B, C]
    assert notes(corpus, "put right") == 2  # spaces alone are no repair
    assert found[B].sex == "male"


def test_other_encodings_are_refused(tree: Tree) -> None:
    path = tree.annotation("01", [row(A)])
    path.write_bytes(path.read_bytes() + b"\xff\xfe\xff")
    with pytest.raises(CorpusError, match="neither UTF-8 nor CP949"):
        read(tree.root)


def test_rows_without_an_id_are_dropped_and_counted(tree: Tree) -> None:
    tree.annotation("01", [row(A), row("Sess01_total"), ["", "", ""], row(""), []])
    found, corpus = read(tree.root)
    assert list(found) == [A]
    assert notes(corpus, "id is not an utterance's") == 1


def test_repeated_ids_keep_the_first_row(tree: Tree) -> None:
    tree.annotation("01", [row(A, valence="2"), row(A, valence="5"), row(A.lower())])
    found, corpus = read(tree.root)
    assert found[A].valence == 2.0
    assert notes(corpus, "repeat") == 2


def test_whole_numbers_and_empty_cells(tree: Tree) -> None:
    rated = [row(B, "", "", "3", numbers=("", "9"))]
    tree.annotation("01", [row(A, valence="4"), *rated])
    tree.wav(B)
    found, corpus = read(tree.root)
    assert found[A].valence == 4.0
    assert (found[B].valence, found[B].arousal, found[B].emotion) == (None, 3.0, None)
    assert found[B].votes == {"neutral": 6, "happy": 4}
    assert found[B].raters is not None
    assert found[B].raters[0] == Rating("Eval01F", "neutral", None, None)
    assert notes(corpus, "without valence") == 1
    assert notes(corpus, "without a total emotion") == 1
    assert notes(corpus, "raters' numbers") == 20


def test_rows_that_are_cut_short_survive(tree: Tree) -> None:
    tree.annotation("01", [row(A)[:7], row(B)[:5]])
    tree.wav(B)
    found, _ = read(tree.root)
    assert (found[A].emotion, found[A].votes) == ("neutral", {"neutral": 1})
    assert found[B].valence is None


def test_nothing_is_dropped_for_an_unused_column(tree: Tree) -> None:
    cells = row(A)
    cells[0] = cells[1] = cells[2] = ""
    tree.annotation("01", [cells])
    assert read(tree.root)[0][A].extra == {"script": "script01"}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (row(B, valence="3,8".replace(",", "·")), "valence is '3·8', not a number"),
        (row(B, arousal="nan"), "arousal is nan"),
        (row(B, arousal="7"), "arousal is 7, outside 1 to 5"),
    ],
)
def test_bad_totals_stop_or_are_skipped(tree: Tree, cells: list[str], message: str) -> None:
    tree.annotation("01", [row(A), cells])
    tree.wav(B)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read(tree.root)
    found, corpus = read(tree.root, on_bad_utterance="skip")
    assert list(found) == [A]
    assert [s.id for s in corpus.skipped] == [B]
    assert message in corpus.skipped[0].reason


# Emotions


@pytest.mark.parametrize(("spelt", "emotion"), [("disqust", "disgust"), (" Angry ", "angry")])
def test_spellings(tree: Tree, spelt: str, emotion: str) -> None:
    tree.annotation("01", [row(A, spelt, rated=[spelt] * 10)])
    utterance = read(tree.root)[0][A]
    assert (utterance.emotion, utterance.votes) == (emotion, {emotion: 10})


def test_ties_have_votes_and_the_first_label_but_no_emotion(tree: Tree) -> None:
    rated = ["disqust"] * 5 + ["neutral"] * 4 + ["neutral;sad"]
    tree.annotation("01", [row(A, "neutral;disqust", rated=rated)])
    found, corpus = read(tree.root, ties="drop")
    assert found[A].emotion is None
    assert found[A].votes == {"disgust": 5, "neutral": 4.5, "sad": 0.5}
    assert found[A].extra["first"] == "neutral"
    assert found[A].raters is not None
    assert found[A].raters[9].emotion is None
    assert notes(corpus, "tied") == 1


@pytest.mark.parametrize("cells", [row(A, "gloomy"), row(A, rated=["gloomy"] * 10)])
def test_an_unknown_label_raises_even_when_skipping(tree: Tree, cells: list[str]) -> None:
    path = tree.annotation("01", [cells])
    for policy in ("error", "skip"):
        with pytest.raises(LabelError, match=f"{path}, row 3: unknown emotion 'gloomy'"):
            read(tree.root, on_bad_utterance=policy)


def test_label_map_translates_it(tree: Tree) -> None:
    tree.annotation("01", [row(A, "gloomy", rated=["gloomy"] * 10)])
    corpus = KEMDy20(root=str(tree.root), label_map={"gloomy": "neutral"})
    assert corpus.table[0].emotion == "neutral"


# Sessions


def test_session_17_with_the_ids_of_session_42(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "KEMDy20")
    wrong, right = (f"Sess{s}_script01_User033M_001" for s in (42, 17))
    second = "Sess17_script01_User034F_001"
    tree.annotation("17", [row(wrong), row(second.replace("17", "42"))])
    tree.wav(right)
    tree.wav(second.replace("17", "42"), folder="Session17")
    tree.text(right, "네".encode("cp949"))
    tree.signal("EDA", right[:-4], f"1\n4\n0.5,t,{wrong}\n")
    tree.signal("IBI", wrong[:-4], "1\n", folder="Session17")
    found, corpus = read(tree.root)
    assert sorted(found) == [right, second]
    assert (found[right].session, found[right].text) == ("Sess17", "네")
    assert found[second].speech is not None
    assert set(found[right].signals or {}) == {"EDA", "IBI"}
    assert notes(corpus, "put right") == 2


def test_sessions_missing_from_a_copy(tree: Tree) -> None:
    tree.annotation("02", [row("Sess02_script01_User003F_001")])
    tree.wav("Sess03_script01_User005F_001")
    found, corpus = read(tree.root)
    assert list(found) == [A]
    assert notes(corpus, "annotated utterances without a file") == 1
    assert notes(corpus, "wav files without an annotation") == 1


def test_only_session_folders_are_read(tree: Tree) -> None:
    tree.wav(B, folder="old_Session01")
    tree.wav(B, folder="Session01/converted")
    (tree.root / "wav" / "embeddings.pkl").write_bytes(b"pickle")
    (tree.root / "wav" / "Session01" / f"._{A}.wav").write_bytes(b"mac")
    (tree.root / "wav" / "Session01" / "README").write_bytes(b"")
    (tree.root / "annotation" / "._Sess01_eval.csv").write_bytes(b"\x00\x05")
    found, corpus = read(tree.root)
    assert list(found) == [A]
    assert corpus.notes == {}


# Speech and transcripts


def test_wav_without_txt_and_txt_without_wav(tree: Tree) -> None:
    tree.annotation("01", [row(A), row(B), row(C)])
    tree.wav(B)
    tree.text(C, "네, 3시에".encode())
    found, corpus = read(tree.root)
    assert (found[B].text, found[B].sentence) == (None, B)
    assert found[C].speech is None
    assert found[C].text == "네, 3시에"
    assert notes(corpus, "without a transcript") == notes(corpus, "without a wav file") == 1


def test_transcripts_that_are_empty_or_broken_stay(tree: Tree) -> None:
    tree.annotation("01", [row(A), row(B), row(C)])
    for name in (B, C):
        tree.wav(name)
    tree.text(A, b"n/ u/\r\n")
    tree.text(B, b"")
    tree.text(C, "네".encode("cp949") + b"\xff")
    found, corpus = read(tree.root)
    assert (found[A].text, found[B].text, found[C].text) == ("", "", "네\ufffd")
    assert len({u.sentence for u in found.values()}) == 3
    assert notes(corpus, "without words") == 2
    assert notes(corpus, "decoded with loss") == 1


def test_equal_answers_share_a_sentence(tree: Tree) -> None:
    tree.annotation("01", [row(A), row(B)])
    tree.wav(B)
    tree.text(A, "c/ 네, 맞아요.".encode("cp949"))
    tree.text(B, "네 맞아요".encode("cp949"))
    found, _ = read(tree.root)
    assert found[A].sentence == found[B].sentence == "네맞아요"


def test_a_silent_wav_is_an_utterance(tree: Tree) -> None:
    soundfile.write(tree.root / "wav" / "Session01" / f"{A}.wav", np.zeros(1600), 16_000)
    assert list(read(tree.root)[0]) == [A]


def test_an_empty_wav_stops_or_is_skipped(tree: Tree) -> None:
    tree.annotation("01", [row(A), row(B)])
    path = tree.wav(B)
    path.write_bytes(b"")
    with pytest.raises(AudioError, match=B):
        read(tree.root)
    found, corpus = read(tree.root, on_bad_utterance="skip")
    assert list(found) == [A]
    assert [s.id for s in corpus.skipped] == [B]


# The root


@pytest.mark.parametrize("place", [".", "..", "../..", "annotation", "wav"])
def test_the_root_is_found_by_its_annotation(tmp_path: Path, place: str) -> None:
    tree = Tree(tmp_path / "etri" / "unpacked" / "some name")
    tree.annotation("01", [row(A)])
    tree.wav(A)
    assert list(read(tree.root / place)[0]) == [A]


def test_a_root_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: no such folder\n  → give the KEMDy20 folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no annotation/Sess01_eval\.csv(.|\n)*holds annotation"):
        read(tmp_path / "empty")
    (tmp_path / "KEMDy19" / "annotation").mkdir(parents=True)
    (tmp_path / "KEMDy19" / "annotation" / "Session01_F_res.csv").write_text("")
    for root in (tmp_path, tmp_path / "KEMDy19"):
        with pytest.raises(CorpusError, match="this is KEMDy19"):
            read(root)


def test_two_copies_side_by_side(tree: Tree) -> None:
    Tree(tree.root.parent / "KEMDy20_v1_1").annotation("01", [row(A)])
    with pytest.raises(CorpusError, match="several copies of KEMDy20: KEMDy20_v1_1, KEMDy20_v1_2"):
        read(tree.root.parent)


def test_nothing_is_written_into_the_corpus(tree: Tree) -> None:
    before = sorted(p for p in tree.root.rglob("*"))
    read(tree.root)
    assert sorted(p for p in tree.root.rglob("*")) == before
