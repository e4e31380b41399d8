from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from emoflow.corpora import KEMDy19
from emoflow.corpora.e4_kemdy import kemdy19_id
from emoflow.corpora.kemdy19 import Role
from emoflow.corpora.signals import recordings
from emoflow.errors import CorpusError
from emoflow.traces import SignalRecording
from emoflow.types import Utterance
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


OTHER = "Sess01_impro03_F001"
LAST = "Sess01_impro03_M002"


def recorded(tree: Tree, names: tuple[str, ...] = (F, M), **content: str) -> SignalRecording:
    """Return what the files of a person hold, given by signal, and where utterances lie in it."""
    files = {kind: str(tree.signal(kind, "Sess01M", text)) for kind, text in content.items()}
    utterances = [Utterance(id=name, corpus="kemdy19") for name in names]
    return KEMDy19(root=str(tree.root)).read_signals(files, utterances)


def part(
    begin: float,
    end: float,
    tags: Mapping[str, tuple[float, float]] | None = None,
    *,
    step: float = 0.25,
    ecg: bool = False,
) -> str:
    """Rows from ``begin`` to ``end`` whose values are their times."""
    rows = []
    for time in np.arange(begin, end + step / 2, step).tolist():
        value = f"{time + 0.5:.4f}"
        cells = [f"{time:.4f}", value] if ecg else [value, f"{time:.4f}"]
        tag = [name for name, (low, high) in (tags or {}).items() if low <= time <= high]
        rows.append(",".join([*cells, "10:00:00.000", *tag]))
    return "\n".join(rows) + "\n"


def test_signals_of_a_person(tree: Tree) -> None:
    rows = f"1.0,0.2,10:00:00.200\n0.5,7.25,10:00:07.250,{F}\n,7.5,t,{M}\nx,7.75,t,{F},\n3,\n9\n"
    found = recorded(
        tree, EDA=rows, ECG=f"7.25,0.031,t,{M.lower()}\n7.3,0.032,t,{M}\n", TEMP="", names=(F, M)
    )
    ecg, eda, temp = (found.traces[name] for name in ("ECG", "EDA", "TEMP"))
    np.testing.assert_array_equal(ecg.values, [0.031, 0.032])
    np.testing.assert_array_equal(ecg.times_s, [7.25, 7.3])
    np.testing.assert_array_equal(eda.values, [1.0, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(eda.times_s, [0.2, 7.25, 7.5, 7.75])
    assert len(temp.values) == 0
    assert (ecg.unit, eda.unit, temp.unit) == ("1", "µS", "°C")
    assert ecg.rate_hz is eda.rate_hz is None
    # from ECG where it names the utterance, and to the end of the last reading
    assert found.spans[M] == pytest.approx((7.25, 7.35))
    assert found.spans[F] == pytest.approx((7.25, 8.0))


@pytest.mark.parametrize(
    ("role", "ids"),
    [("speaker", {M: M}), ("listener", {F: F}), ("both", {f"{F}_M": F, f"{M}_M": M})],
)
def test_spans_of_every_role(tree: Tree, role: Role, ids: dict[str, str]) -> None:
    content = part(0, 20, {F: (4, 5.75), M: (8, 9.75)})
    tree.signal("EDA", "Sess01M", content)
    corpus = read(tree.root, role=role)[1]
    found = dict[str, tuple[float, float]]()
    for _, recording in recordings(corpus.table, range(len(corpus.table)), corpus.read_signals):
        found |= recording.spans
    assert found == {id: {F: (4.0, 6.0), M: (8.0, 10.0)}[name] for id, name in ids.items()}


def test_a_jump_back_begins_a_piece_an_hour_behind_in_all_signals(tree: Tree) -> None:
    eda = part(0, 30, {F: (4, 5.75)}) + part(2, 22, {OTHER: (10, 11.75)}) + part(0.5, 9)
    ecg = (
        part(1, 31, {F: (4, 5.75)}, step=0.0625, ecg=True)
        + part(2, 25, {OTHER: (10, 11.75)}, step=0.0625, ecg=True)
        + part(0, 12, {LAST: (3, 4)}, step=0.0625, ecg=True)
    )
    found = recorded(tree, names=(F, OTHER, LAST), EDA=eda, ECG=ecg)
    times = {name: trace.times_s for name, trace in found.traces.items()}
    # the first piece is where it was; values tell the times that the files say
    shifts = {name: t - (found.traces[name].values - 0.5) for name, t in times.items()}
    assert list(np.unique(shifts["EDA"])) == list(np.unique(shifts["ECG"])) != [0.0]
    assert len(np.unique(shifts["EDA"])) == 3
    assert shifts["EDA"][0] == 0
    for own in times.values():
        assert np.all(np.diff(own) > 0)
        gaps = np.diff(own)[np.diff(own) > 1]
        assert len(gaps) == 2
        assert np.all(gaps >= 3600)
    second, third = np.unique(shifts["ECG"])[1:]
    assert found.spans[F] == pytest.approx((4, 5.75 + 0.0625))
    assert found.spans[OTHER] == pytest.approx((second + 10, second + 11.75 + 0.0625))
    assert found.spans[LAST] == pytest.approx((third + 3, third + 4 + 0.0625))


def test_pieces_are_matched_by_the_utterances_they_name(tree: Tree) -> None:
    """TEMP lacks the first piece; EDA has one that nothing else has, without tags, in between."""
    ecg = part(0, 30, {F: (4, 6)}, ecg=True) + part(0, 30, {OTHER: (9, 11)}, ecg=True)
    eda = part(0, 30, {F: (4, 6)}) + part(0, 8) + part(0, 30, {OTHER: (9, 11)})
    temp = part(0, 30, {OTHER: (9, 11)})
    found = recorded(tree, names=(F, OTHER), ECG=ecg, EDA=eda, TEMP=temp)
    second = found.spans[OTHER][0] - 9
    assert second >= 3600
    shifts = {n: np.unique(t.times_s - (t.values - 0.5)).tolist() for n, t in found.traces.items()}
    assert shifts["ECG"] == [0, second]
    assert shifts["TEMP"] == [second]
    assert shifts["EDA"][:2] == [0, second]
    assert shifts["EDA"][2] >= second + 30 + 3600


@pytest.mark.parametrize("untagged", [{"EDA"}, {"EDA", "TEMP"}, {"ECG", "EDA", "TEMP"}])
def test_pieces_without_tags_are_matched_by_their_order(tree: Tree, untagged: set[str]) -> None:
    names = [F, OTHER, LAST]
    content = {
        kind: "".join(
            part(0, 30, {} if kind in untagged and name != LAST else {name: (4, 6)}, ecg=ecg)
            for name in names
        )
        for kind, ecg in (("ECG", True), ("EDA", False), ("TEMP", False))
    }
    found = recorded(tree, names=tuple(names), **content)
    first = found.traces["ECG"].times_s
    assert len(first) == 3 * 121
    for trace in found.traces.values():
        np.testing.assert_array_equal(trace.times_s, first)
    assert set(found.spans) == ({LAST} if len(untagged) == 3 else set(names))


def test_a_stray_tag_in_another_piece_counts_less(tree: Tree) -> None:
    """An electrocardiogram says where each piece belongs; EDA has a tag too many."""
    ecg = part(0, 30, {F: (4, 6), OTHER: (20, 20)}, ecg=True) + part(
        0, 30, {OTHER: (9, 11), LAST: (15, 17)}, ecg=True
    )
    eda = part(0, 30, {OTHER: (9, 11)})
    found = recorded(tree, names=(F, OTHER), ECG=ecg, EDA=eda)
    second = float(found.traces["ECG"].times_s[121])
    assert second >= 3630
    assert found.spans == {F: (4.0, 6.25), OTHER: (second + 9, second + 11.25)}
    assert found.traces["EDA"].times_s[0] == second


def test_clocks_that_differ_are_matched_by_tags(tree: Tree) -> None:
    """The electrocardiogram's clock runs on where that of EDA restarts."""
    ecg = part(0, 100, {F: (4, 6), OTHER: (69, 71)}, ecg=True)
    eda = part(0, 30, {F: (4, 6)}) + part(0, 30, {OTHER: (9, 11)})
    found = recorded(tree, names=(F, OTHER), ECG=ecg, EDA=eda)
    times, values = found.traces["EDA"].times_s, found.traces["EDA"].values
    np.testing.assert_allclose(times[:121], values[:121] - 0.5)
    np.testing.assert_allclose(times[121:], values[121:] - 0.5 + 60)
    assert found.spans == {F: (4.0, 6.25), OTHER: (69.0, 71.25)}


def test_single_wrong_times_are_no_jump(tree: Tree) -> None:
    rows = part(0, 30, {F: (4, 6)}).splitlines()
    for place, time in (
        (0, "-1e300"),
        (20, "500.5"),
        (60, "1.25"),
        (61, "99"),
        (100, "1e300"),
        (110, "nan"),
    ):
        value, _, *rest = rows[place].split(",")
        rows[place] = ",".join([value, time, *rest])
    trace = recorded(tree, EDA="\n".join(rows)).traces["EDA"]
    np.testing.assert_array_equal(
        trace.times_s, np.delete(np.arange(121) / 4, [0, 20, 60, 61, 100, 110])
    )


def test_a_step_back_of_a_second_is_no_jump(tree: Tree) -> None:
    content = part(0, 10) + part(9.5, 20)
    trace = recorded(tree, EDA=content).traces["EDA"]
    assert (trace.times_s[0], trace.times_s[-1]) == (0, 20)
    assert len(trace.times_s) == 41 + 43
    assert np.all(np.diff(trace.times_s) >= 0)


def test_files_that_hold_nothing(tree: Tree) -> None:
    found = recorded(tree, ECG="\x00", EDA="\n", TEMP="elapsed,value,clock,id\n")
    assert {name: len(trace.values) for name, trace in found.traces.items()} == {
        "ECG": 0,
        "EDA": 0,
        "TEMP": 0,
    }
    assert found.spans == {}
    corpus = KEMDy19(root=str(tree.root))
    absent = str(tree.root / "absent.csv")
    utterance = Utterance(id=F, corpus="kemdy19")
    assert len(corpus.read_signals({"EDA": absent}, [utterance]).traces["EDA"].values) == 0
    assert corpus.read_signals({}, [utterance]).traces == {}


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
