from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.e4 import E4_UNITS, parse_numbers, read_e4_file, read_e4_session
from emoflow.errors import CorpusError

SESSIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "e4_sessions"

FILES = {
    "ACC": "1560279825.00, 1560279825.00, 1560279825.00\n32.0, 32.0, 32.0\n-61,25,6\n-62,24,11\n",
    "BVP": "1560279825.00\n64.000000\n-0.00\n1.50\n-3.25\n",
    "EDA": "1560279825.00\n4.000000\n0.25\n0.50\n",
    "HR": "1560279835.00\n1.000000\n93.00\n101.00\n",
    "IBI": "1560279825.00, IBI\n83.503822,0.609403\n84.3,0.796178\n",
    "TEMP": "1560279825.00\n4.000000\n32.13\n32.15\n",
}


def write(folder: Path, **changed: str | bytes | None) -> Path:
    """Write a session; ``None`` leaves a file out."""
    for name, text in (FILES | changed).items():
        if text is not None:
            content = text.encode() if isinstance(text, str) else text
            (folder / f"{name}.csv").write_bytes(content)
    return folder


def test_a_session_is_read_as_it_is_written(tmp_path: Path) -> None:
    findings: Counter[str] = Counter()
    session = read_e4_session(write(tmp_path, tags="1560279900.5\n"), findings)
    assert set(session) == set(E4_UNITS)
    assert not findings
    assert {name: s.unit for name, s in session.items()} == dict(E4_UNITS)
    assert {name: s.rate_hz for name, s in session.items()} == {
        "ACC": 32.0, "BVP": 64.0, "EDA": 4.0, "HR": 1.0, "IBI": None, "TEMP": 4.0,
    }  # fmt: skip
    np.testing.assert_array_equal(session["ACC"].values, [[-61, 25, 6], [-62, 24, 11]])
    np.testing.assert_array_equal(session["BVP"].values, [0, 1.5, -3.25])
    np.testing.assert_allclose(session["BVP"].times_s - 1560279825, [0, 1 / 64, 2 / 64])
    np.testing.assert_array_equal(session["HR"].times_s, [1560279835, 1560279836])
    np.testing.assert_array_equal(session["IBI"].values, [0.609403, 0.796178])
    np.testing.assert_allclose(session["IBI"].times_s - 1560279825, [83.503822, 84.3], atol=1e-6)


@pytest.mark.parametrize("newline", ["\r\n", "\n\n", " \n"])
def test_ends_of_lines_and_marks_do_not_matter(tmp_path: Path, newline: str) -> None:
    text = "\ufeff" + FILES["EDA"].replace("\n", newline)
    session = read_e4_session(write(tmp_path, EDA=text))
    np.testing.assert_array_equal(session["EDA"].values, [0.25, 0.5])


@pytest.mark.parametrize(
    ("name", "text", "finding"),
    [
        ("EDA", "", "EDA: empty file"),
        ("EDA", "\n \n", "EDA: empty file"),
        ("BVP", "1560279825.00\n", "BVP: no rate"),
        ("BVP", "1560279825.00\n0.0\n1\n", "BVP: no rate"),
        ("BVP", "1560279825.00\nnan\n1\n", "BVP: no rate"),
        ("TEMP", "start\n4.0\n32\n", "TEMP: no start time"),
        ("TEMP", "inf\n4.0\n32\n", "TEMP: no start time"),
        ("TEMP", "1560279825.00\n4.0\n", "TEMP: no reading"),
        ("IBI", "1560279825.00, IBI\n", "IBI: no reading"),
        ("IBI", "", "IBI: empty file"),
        ("ACC", "1560279825.00\n", "ACC: no rate"),
    ],
)
def test_a_file_without_readings_is_counted(
    tmp_path: Path, name: str, text: str, finding: str
) -> None:
    findings: Counter[str] = Counter()
    session = read_e4_session(write(tmp_path, **{name: text}), findings)
    assert findings == {finding: 1}
    assert len(session[name].values) == len(session[name].times_s) == 0
    assert len(session["HR"].values) == 2


def test_cells_that_are_no_numbers_are_nan_and_counted(tmp_path: Path) -> None:
    findings: Counter[str] = Counter()
    session = read_e4_session(
        write(
            tmp_path,
            EDA="1560279825.00\n4.0\n0.1\nnoise\ninf\n\n0.4\n",
            ACC="1,1,1\n32,32,32\n1,2,3\n4,5\n6,x,8,9\n",
            IBI="1560279825.00, IBI\n1.0,0.8\n1.9\n,\n3.5,0.7,extra\n",
            TEMP=b"1560279825.00\n4.0\n32.1\n\xff\xfe\n",
        ),
        findings,
    )
    np.testing.assert_array_equal(session["EDA"].values, [0.1, np.nan, np.nan, 0.4])
    np.testing.assert_array_equal(
        session["ACC"].values, [[1, 2, 3], [4, 5, np.nan], [6, np.nan, 8]]
    )
    np.testing.assert_array_equal(session["IBI"].values, [0.8, np.nan, np.nan, 0.7])
    np.testing.assert_array_equal(session["TEMP"].values, [32.1, np.nan])
    assert findings == {
        "EDA: cell is not a number": 2,
        "ACC: cell is not a number": 2,
        "IBI: cell is not a number": 3,
        "TEMP: cell is not a number": 1,
    }


def test_a_missing_file_has_no_trace(tmp_path: Path) -> None:
    findings: Counter[str] = Counter()
    session = read_e4_session(write(tmp_path, IBI=None, EDA=None), findings)
    assert set(session) == {"ACC", "BVP", "HR", "TEMP"}
    assert findings == {"IBI: no file": 1, "EDA: no file": 1}


def test_one_file_is_read_as_in_its_session(tmp_path: Path) -> None:
    session = read_e4_session(write(tmp_path))
    for name, expected in session.items():
        trace = read_e4_file(name, tmp_path / f"{name}.csv")
        np.testing.assert_array_equal(trace.values, expected.values)
        np.testing.assert_array_equal(trace.times_s, expected.times_s)
        assert (trace.unit, trace.rate_hz) == (expected.unit, expected.rate_hz)


def test_another_signal_is_read_in_the_form_of_a_regular_one(tmp_path: Path) -> None:
    (tmp_path / "chest.csv").write_text("100\n250\n0.5\n0.7\n")
    trace = read_e4_file("ECG", tmp_path / "chest.csv")
    np.testing.assert_array_equal(trace.values, [0.5, 0.7])
    np.testing.assert_array_equal(trace.times_s, [100, 100.004])
    assert (trace.unit, trace.rate_hz) == ("1", 250.0)


@pytest.mark.parametrize("path", ["absent.csv", ".", "nul\0"])
def test_a_file_that_cannot_be_read_is_counted(tmp_path: Path, path: str) -> None:
    findings: Counter[str] = Counter()
    assert len(read_e4_file("ACC", tmp_path / path, findings).values) == 0
    assert findings == {"ACC: cannot be read": 1}


def test_numbers_of_cells() -> None:
    cells = ["1.5", " -2e3\t", "", "x", "inf", "nan", "1,5"]
    found = parse_numbers(cells)
    np.testing.assert_array_equal(found, [1.5, -2000, *[np.nan] * 5])
    np.testing.assert_array_equal(parse_numbers(["1", "1e999"]), [1, np.nan])
    assert parse_numbers([]).shape == (0,)


def test_a_folder_that_is_no_session_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        read_e4_session(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"none of ACC.csv, BVP.csv, .* is there"):
        read_e4_session(tmp_path)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200) | st.text("0123456789.,-\nnaife +", max_size=200))
def test_any_content_is_survived(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("EDA", "IBI", "ACC"):
        (folder / f"{name}.csv").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    for trace in read_e4_session(folder).values():
        assert len(trace.values) == len(trace.times_s)
        assert not np.isinf(trace.values).any()


@pytest.mark.skipif(not SESSIONS.is_dir(), reason="no ../shared/data/e4_sessions")
@pytest.mark.parametrize("folder", ["msr2023", "flirt/empatica"])
def test_real_sessions(folder: str) -> None:
    findings: Counter[str] = Counter()
    session = read_e4_session(SESSIONS / folder, findings)
    assert not findings
    assert {name: s.rate_hz for name, s in session.items()} == {
        "ACC": 32.0, "BVP": 64.0, "EDA": 4.0, "HR": 1.0, "IBI": None, "TEMP": 4.0,
    }  # fmt: skip
    begins = [s.times_s[0] for s in session.values()]
    assert max(begins) - min(begins) < 300
    assert np.ptp(session["ACC"].values) > 50
    assert 25 < np.median(session["TEMP"].values) < 38
