from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.corpora.e4_kemdy import kemdy20_id, kemdy20_signals, read_kemdy20_signal
from tests.corpora.kemdy20_tree import Tree

A = "Sess01_script01_User001F_001"
B = "Sess01_script01_User001F_002"
RECORDING = A[:-4]
T = "2020-0821-1213-19-250"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_regular_signals(tree: Tree) -> None:
    rows = f"1597979599.0\n4.0\n0.1,{T}\n0.2,{T},\n0.3,{T},{A}\n0.4,{T},{A}\n0.5,{T},{B}\n"
    found = read_kemdy20_signal(tree.signal("EDA", RECORDING, rows))
    assert list(found) == [A, B]
    np.testing.assert_array_equal(found[A].values, [0.3, 0.4])
    assert (found[A].offsets, found[A].timestamps) == (None, (T, T))


@pytest.mark.parametrize("kind", ["IBI", "elsewhere"])
def test_intervals(tree: Tree, kind: str) -> None:
    rows = f"1597979599.0, IBI\n7.1,0.81,{T}\n8.0,0.82,{T},{A}\n9.0,0.83,{T},{A},\n"
    found = read_kemdy20_signal(tree.signal(kind, RECORDING, rows))
    np.testing.assert_array_equal(found[A].values, [0.82, 0.83])
    np.testing.assert_array_equal(found[A].offsets, [8.0, 9.0])
    assert found[A].timestamps == (T, T)


@pytest.mark.parametrize(
    "content", ["", "1597979599.0\n4.0\n", "1\n4\n0.1,t\n", "\x00\x00", '"', "a,b,c,d,e\n"]
)
def test_files_without_a_segment(tree: Tree, content: str) -> None:
    assert read_kemdy20_signal(tree.signal("TEMP", RECORDING, content)) == {}


def test_missing_files_and_signals_are_empty(tree: Tree) -> None:
    eda = tree.signal("EDA", RECORDING, f"1\n4\n0.5,{T},{A}\n")
    found = kemdy20_signals(A, {"EDA": str(eda), "IBI": str(tree.root / "absent.csv")})
    assert {name: len(segment.values) for name, segment in found.items()} == {
        "EDA": 1,
        "IBI": 0,
        "TEMP": 0,
    }
    assert all(len(s.values) == 0 for s in kemdy20_signals(B, {"EDA": str(eda)}).values())
    assert all(len(s.values) == 0 for s in kemdy20_signals(A, None).values())


def test_cells_that_are_no_numbers_are_nan_never_zero(tree: Tree) -> None:
    rows = f"\ufeff1\r\n4\r\nx,{T},{A}\r\n,{T},{A}\r\n0.5,,{T},{A}\r\n0.6,{A}\r\n{A}\r\n"
    found = read_kemdy20_signal(tree.signal("EDA", RECORDING, rows))
    np.testing.assert_array_equal(found[A].values, [np.nan, np.nan, 0.5, 0.6])
    assert found[A].timestamps == (T, T, T, "")


def test_ids_of_session_42_go_by_the_folder(tree: Tree) -> None:
    rows = f"1\n4\n0.5,{T},Sess42_script01_User033M_001\n0.5,{T},nobody\n"
    path = tree.signal("EDA", "Sess17_script01_User033M", rows)
    assert list(read_kemdy20_signal(path)) == ["Sess17_script01_User033M_001"]
    alone = tree.root / "Sess17_script01_User033M.csv"
    alone.write_text(rows)
    assert list(read_kemdy20_signal(alone)) == ["Sess17_script01_User033M_001"]


@given(st.binary(max_size=200))
def test_no_content_is_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.csv"
    path.write_bytes(content + f"\n1,2,{A}\n".encode())
    read_kemdy20_signal(path)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (A, A),
        (f"\ufeff {A.lower()}\r", A),
        ("Sess01 _script01_User001F_001", A),
        ("Sess01_script07_User001F_001", None),
        ("Sess01_script01_User001X_001", None),
        ("Sess01_script01_F001", None),
        ("", None),
    ],
)
def test_ids(cell: str, name: str | None) -> None:
    assert kemdy20_id(cell) == name
