from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.corpora.e4_kemdy import kemdy20_id, kemdy20_recording
from emoflow.traces import SignalRecording
from tests.corpora.kemdy20_tree import Tree

A = "Sess01_script01_User001F_001"
B = "Sess01_script01_User001F_002"
RECORDING = A[:-4]
T = "2020-0821-1213-19-250"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def read(tree: Tree, recording: str = RECORDING, **content: str) -> SignalRecording:
    files = {name: str(tree.signal(name, recording, text)) for name, text in content.items()}
    return kemdy20_recording(files, [A, B])


def ramp(
    head: str, count: int = 40, *, first: float = 0.0, tags: Mapping[str, tuple[int, int]] = {}
) -> str:
    """A file whose reading k is ``first`` + k; ``tags`` are first and last row per utterance."""
    names = {k: name for name, (low, high) in tags.items() for k in range(low, high + 1)}
    rows = [f"{first + k},{T}" + (f",{names[k]}" if k in names else "") for k in range(count)]
    return head + "\n".join(rows) + "\n"


# Times


def test_a_ramp_comes_back_at_its_times(tree: Tree) -> None:
    found = read(
        tree,
        EDA=ramp("1597979599.00\n4.000000\n", tags={A: (8, 15), B: (20, 23)}),
        TEMP=ramp("1597979590\n8\n", first=33.0),
    )
    eda, temp = found.traces["EDA"], found.traces["TEMP"]
    np.testing.assert_array_equal(eda.values, np.arange(40))
    np.testing.assert_array_equal(eda.times_s, 1597979599 + np.arange(40) / 4)
    np.testing.assert_array_equal(temp.times_s, 1597979590 + np.arange(40) / 8)
    assert (eda.unit, eda.rate_hz, temp.unit, temp.rate_hz) == ("µS", 4.0, "°C", 8.0)
    start = 1597979599
    assert found.spans == {A: (start + 2, start + 4), B: (start + 5, start + 6)}
    assert "IBI" not in found.traces


def test_intervals_lie_at_the_start_and_their_offset(tree: Tree) -> None:
    rows = f"7.1,0.81,{T}\n8.0,0.82,{T},{A}\n9.0,0.84,{T},{A},\nx,0.8,{T}\n9.9,y,{T}\n"
    found = read(tree, IBI=f"1597979599.00, IBI\n{rows}")
    trace = found.traces["IBI"]
    np.testing.assert_array_equal(trace.times_s, 1597979599 + np.array([7.1, 8.0, 9.0, 9.9]))
    np.testing.assert_array_equal(trace.values, [0.81, 0.82, 0.84, np.nan])
    assert (trace.unit, trace.rate_hz) == ("s", None)
    # the last one lasts as long as a usual interval
    begin, end = found.spans[A]
    assert begin == 1597979607
    assert end == pytest.approx(1597979608 + (0.81 + 0.82 + 0.84) / 3, abs=0.01)


def test_rows_without_a_number_keep_their_place(tree: Tree) -> None:
    rows = f"x,{T}\r\n,{T},{A}\r\n\r\n0.5,,{T},{A}\r\n0.6,{A}\r\n  \r\n{A}\r\ninf,{T}\r\n0.7\r\n"
    found = read(tree, EDA=f"\ufeff100\r\n4\r\n{rows}")
    np.testing.assert_array_equal(
        found.traces["EDA"].values, [np.nan, np.nan, 0.5, 0.6, np.nan, np.nan, 0.7]
    )
    np.testing.assert_array_equal(found.traces["EDA"].times_s, 100 + np.arange(7) / 4)
    assert found.spans == {A: (100.25, 101.0)}


@pytest.mark.parametrize("rate", ["x", "", "0", "-4", "nan", "1e9", "0.25"])
def test_a_rate_that_is_none_is_four(tree: Tree, rate: str) -> None:
    found = read(tree, EDA=ramp(f"10\n{rate},\n", tags={A: (4, 7)}))
    assert found.traces["EDA"].rate_hz == 4
    assert found.spans == {A: (11.0, 12.0)}


@pytest.mark.parametrize(
    "head", ["?\n4\n", "2020-0821-1213-19-250\n4.0\n", "nan\n4\n", "1e300\n4\n"]
)
def test_a_file_without_a_start_lies_beside_the_others(tree: Tree, head: str) -> None:
    found = read(
        tree,
        EDA=ramp("1000\n4\n", tags={A: (8, 15), B: (20, 23)}),
        TEMP=ramp(head, tags={A: (4, 11), B: (16, 19)}),
        IBI=f"?, IBI\n0.5,0.8,{T}\n1.5,0.8,{T},{A}\n2.3,0.8,{T},{A}\n4.5,0.8,{T},{B}\n",
    )
    np.testing.assert_array_equal(found.traces["TEMP"].times_s, 1001 + np.arange(40) / 4)
    np.testing.assert_allclose(found.traces["IBI"].times_s, [1001, 1002, 1002.8, 1005])
    assert found.spans == {A: (1002.0, 1004.0), B: (1005.0, 1006.0)}


def test_files_without_head_lines_lie_beside_the_others(tree: Tree) -> None:
    found = read(
        tree,
        EDA=ramp("1000\n4\n", tags={A: (8, 15)}),
        TEMP=ramp("", tags={A: (6, 13)}),
        IBI=f"0.5,0.8,{T}\n1.5,0.8,{T},{A}\n",
    )
    np.testing.assert_array_equal(found.traces["TEMP"].values, np.arange(40))
    np.testing.assert_array_equal(found.traces["TEMP"].times_s, 1000.5 + np.arange(40) / 4)
    np.testing.assert_array_equal(found.traces["IBI"].times_s, [1001, 1002])


def test_without_any_start_the_clock_begins_with_the_first_file(tree: Tree) -> None:
    found = read(
        tree,
        EDA=ramp("?\n?\n", tags={A: (8, 15)}),
        TEMP=ramp("?\n4\n", tags={A: (12, 19), B: (24, 27)}),
        IBI=f"?, IBI\n9.5,0.8,{T},{B}\n",  # no utterance in common with EDA, one with TEMP
    )
    assert found.traces["EDA"].times_s[0] == 0
    assert found.traces["TEMP"].times_s[0] == -1
    np.testing.assert_array_equal(found.traces["IBI"].times_s, [5.0])
    assert found.spans == {A: (2.0, 4.0), B: (5.0, 6.0)}


def test_a_file_may_be_placed_by_one_that_had_to_be_placed_itself(tree: Tree) -> None:
    found = read(
        tree,
        EDA=ramp("1000\n4\n", tags={A: (8, 15)}),
        TEMP=ramp("?\n4\n", tags={B: (24, 27)}),
        IBI=f"?, IBI\n3.0,0.8,{T},{A}\n9.0,0.8,{T},{B}\n",
    )
    np.testing.assert_array_equal(found.traces["IBI"].times_s, [1002, 1008])
    assert found.traces["TEMP"].times_s[24] == 1008


def test_a_file_that_nothing_places_has_no_readings(tree: Tree) -> None:
    found = read(tree, EDA=ramp("1000\n4\n"), TEMP=ramp("?\n4\n", tags={A: (8, 15)}))
    assert (len(found.traces["EDA"].values), len(found.traces["TEMP"].values)) == (40, 0)
    assert found.spans == {}


# Spans


def test_spans_are_of_eda_else_of_temp_else_of_ibi(tree: Tree) -> None:
    c = A[:-1] + "3"
    files = {
        "IBI": f"0, IBI\n1.0,0.8,{T},{A}\n2.0,0.8,{T},{B}\n3.0,0.8,{T},{c}\n",
        "TEMP": ramp("0\n4\n", tags={A: (4, 7), B: (8, 11)}),
        "EDA": ramp("0\n4\n", tags={A: (5, 6)}),
    }
    paths = {name: str(tree.signal(name, RECORDING, text)) for name, text in files.items()}
    found = kemdy20_recording(paths, [c, B, A, "nobody"])
    assert {name: pytest.approx(span) for name, span in found.spans.items()} == {
        A: (1.25, 1.75),
        B: (2.0, 3.0),
        c: (3.0, 3.8),
    }


def test_a_stray_tag_does_not_stretch_an_utterance(tree: Tree) -> None:
    content = ramp("0\n4\n", 400, tags={A: (80, 95), B: (120, 127)})
    rows = content.splitlines()
    rows[2 + 300] += f",{A}"
    rows[2 + 10] += f",{B}"
    assert read(tree, EDA="\n".join(rows)).spans == {A: (20.0, 24.0), B: (30.0, 32.0)}


def test_ids_of_session_42_go_by_the_folder(tree: Tree) -> None:
    wrong, right = (f"Sess{n}_script01_User033M_001" for n in (42, 17))
    rows = f"1\n4\n0.5,{T}, {wrong.lower()} \n0.5,{T},Sess00_nobody\n"
    path = tree.signal("EDA", right[:-4], rows)
    assert kemdy20_recording({"EDA": str(path)}, [right, wrong]).spans == {right: (1.0, 1.25)}
    alone = tree.root / f"{right[:-4]}.csv"
    alone.write_text(rows)
    assert kemdy20_recording({"EDA": str(alone)}, [right]).spans == {right: (1.0, 1.25)}


# What is missing or broken


@pytest.mark.parametrize(
    "content", ["", "1597979599.0\n4.0\n", "1597979599.0", "\n \n", "\x00\x00"]
)
def test_files_without_a_reading(tree: Tree, content: str) -> None:
    found = read(tree, TEMP=content, IBI=content.replace("4.0", " "))
    assert {name: len(trace.values) for name, trace in found.traces.items()} == {
        "TEMP": 0,
        "IBI": 0,
    }
    assert found.spans == {}


def test_an_empty_file_does_not_keep_others_from_being_placed(tree: Tree) -> None:
    found = read(tree, EDA="1597979599.0\n4.0\n", TEMP=ramp("?\n4\n", tags={A: (4, 7)}))
    assert found.spans == {A: (1.0, 2.0)}


def test_missing_files_are_empty_and_other_signals_passed_over(tree: Tree) -> None:
    absent = str(tree.root / "absent.csv")
    found = kemdy20_recording({"EDA": absent, "BVP": absent, "IBI": "\0"}, [A])
    assert {name: len(trace.values) for name, trace in found.traces.items()} == {"EDA": 0, "IBI": 0}
    assert kemdy20_recording({}, [A]).traces == {}


@given(
    content=st.binary(max_size=200) | st.text("0123456789.,-\nnaife +", max_size=200),
    headed=st.booleans(),
)
def test_no_content_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str, headed: bool
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    files = {}
    for name in ("EDA", "IBI", "TEMP"):
        path = tmp_path_factory.getbasetemp() / f"{name}.csv"
        path.write_bytes(b"1\n4\n" * headed + raw + f"\n1,2,{A}\n".encode())
        files[name] = str(path)
    found = kemdy20_recording(files, [A])
    for trace in found.traces.values():
        assert trace.values.shape == trace.times_s.shape
        assert np.isfinite(trace.times_s).all()
        assert not np.isinf(trace.values).any()
    assert all(start <= end for start, end in found.spans.values())


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
