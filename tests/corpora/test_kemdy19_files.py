from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoflow.corpora.e4_kemdy import kemdy19_id, kemdy19_signals, read_kemdy19_signal
from emoflow.errors import CorpusError
from emoflow.testing.kemdy19 import write_kemdy19
from tests.corpora.kemdy19_tree import F, M, Tree, notes, read, row, two_utterances

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return two_utterances(tmp_path / "KEMDy19_v1_3")


# Files


def test_only_folders_of_recordings_are_read(tree: Tree) -> None:
    tree.wav(M, folder="Sess01_script01/converted").write_bytes(b"another")
    tree.wav("Sess01_script01_M002", folder="Sess01_script01/converted")
    tree.wav("Sess01_script01_M003", folder="backup")
    (tree.root / "wav" / "embeddings.pkl").write_bytes(b"pickle")
    (tree.root / "wav" / "Session01" / "Sess01_script01" / f"._{F}.wav").write_bytes(b"mac")
    (tree.root / "wav" / "old_Session01").mkdir()
    (tree.root / "annotation" / "._Session01_F_res.csv").write_bytes(b"\x00\x05")
    found, corpus = read(tree.root)
    assert list(found) == [F, M]
    assert corpus.notes == {}


def test_wav_without_txt_and_txt_without_wav(tree: Tree) -> None:
    folder = tree.root / "wav" / "Session01" / "Sess01_script01"
    (folder / f"{F}.wav").unlink()
    (folder / f"{M}.txt").unlink()
    found, corpus = read(tree.root)
    assert (found[F].speech, found[F].text) == (None, "아 친구들도?")
    assert (found[M].text, found[M].sentence) == (None, M)
    assert notes(corpus, "without a transcript") == notes(corpus, "without a wav file") == 1


def test_files_that_nobody_rated_and_files_that_repeat(tree: Tree) -> None:
    tree.wav("Sess01_impro04_F001")
    tree.text("Sess02_script01_M001", "네")
    tree.wav(F.lower(), folder="Sess01_script01")
    found, corpus = read(tree.root)
    assert list(found) == [F, M]
    assert notes(corpus, "wav or txt files without an annotation") == 2
    assert notes(corpus, "files that repeat") == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("(아니+응) 그래 o/ s/", "응 그래"),
        ("(이거) 봐, 3시* 음/ 그+", "이거 봐, 3시 음 그"),
        ("\ufeff네\r\n", "네"),
        ("네, 그래요".encode("cp949"), "네, 그래요"),
        ("네".encode("cp949") + b"\xff", "네\ufffd"),
        ("", ""),
        ("N/ u/", ""),
    ],
)
def test_transcripts(tree: Tree, content: str | bytes, text: str) -> None:
    tree.text(F, content)
    found, corpus = read(tree.root)
    assert found[F].text == text
    assert notes(corpus, "without words") == (not text)
    assert notes(corpus, "with loss") == ("\ufffd" in text)


# The root


@pytest.mark.parametrize("place", [".", "..", "../..", "annotation", "wav"])
def test_the_root_is_found_by_its_annotation(tmp_path: Path, place: str) -> None:
    tree = Tree(tmp_path / "etri" / "unpacked" / "some name")
    tree.annotation("01_F", [row(F)])
    tree.wav(F)
    assert list(read(tree.root / place)[0]) == [F]


def test_a_root_that_is_something_else(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: no such folder\n  → give the KEMDy19 folder"):
        read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no annotation/Session01_F_res\.csv(.|\n)*ECG/, EDA/"):
        read(tmp_path / "empty")
    (tmp_path / "KEMDy20" / "annotation").mkdir(parents=True)
    (tmp_path / "KEMDy20" / "annotation" / "Sess01_eval.csv").write_text("")
    with pytest.raises(CorpusError, match="this is KEMDy20"):
        read(tmp_path / "KEMDy20")


def test_two_copies_side_by_side(tree: Tree) -> None:
    Tree(tree.root.parent / "KEMDy19").annotation("01_F", [row(F)])
    with pytest.raises(CorpusError, match="several copies of KEMDy19: KEMDy19, KEMDy19_v1_3"):
        read(tree.root.parent)


def test_nothing_is_written_into_the_corpus(tree: Tree) -> None:
    before = sorted(tree.root.rglob("*"))
    read(tree.root)
    assert sorted(tree.root.rglob("*")) == before


# Signals


def test_signals_of_a_person(tree: Tree) -> None:
    rows = f"1.0,0.2,10:00:00.200\n0.5,7.25,10:00:07.250,{F}\n,7.5,t,{M}\nx,7.75,t,{F},\n3,\n"
    tree.signal("EDA", "Sess01M", rows)
    tree.signal("ECG", "Sess01M", f"7.25,0.031,t,{M.lower()}\n7.3,0.032,t,{M}\n")
    tree.signal("TEMP", "Sess01M", "")
    found = read(tree.root)[0]
    of_man = kemdy19_signals(M, found[M].signals)
    np.testing.assert_array_equal(of_man["ECG"].values, [0.031, 0.032])
    np.testing.assert_array_equal(of_man["ECG"].offsets, [7.25, 7.3])
    np.testing.assert_array_equal(of_man["EDA"].values, [np.nan])
    assert len(of_man["TEMP"].values) == 0
    while_she_spoke = kemdy19_signals(f"{F}_M", found[M].signals)
    np.testing.assert_array_equal(while_she_spoke["EDA"].values, [0.5, np.nan])
    np.testing.assert_array_equal(while_she_spoke["EDA"].offsets, [7.25, 7.75])
    assert while_she_spoke["EDA"].timestamps == ("10:00:07.250", "t")
    assert all(len(s.values) == 0 for s in kemdy19_signals(F, found[F].signals).values())
    assert read_kemdy19_signal(tree.root / "absent.csv", "EDA") == {}


def test_recordings_without_a_signal_are_empty(tmp_path: Path) -> None:
    planted = {u.id: u for u in write_kemdy19(tmp_path / "corpus")}
    improvised = planted["Sess01_impro03_F001"]
    found = kemdy19_signals(improvised.id, improvised.signals)
    assert {name: len(s.values) > 0 for name, s in found.items()} == {
        "ECG": True,
        "EDA": False,
        "TEMP": False,
    }


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (F, F),
        (f"\ufeff {M.lower()}\r", M),
        ("Sess01_impro04_F010", "Sess01_impro04_F010"),
        ("Sess01_impro05_F010", None),
        ("Sess01_script00_F010", None),
        ("Sess01_script01_User001F_001", None),
        ("", None),
    ],
)
def test_ids(cell: str, name: str | None) -> None:
    assert kemdy19_id(cell) == name
