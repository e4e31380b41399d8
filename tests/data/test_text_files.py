import json
import unicodedata
from pathlib import Path

import openpyxl
import pytest

from emoflow.data import text_files
from emoflow.data.text_files import (
    open_text,
    read_csv,
    read_json,
    read_sheet,
    read_table,
    read_text,
    records,
    walk,
)
from emoflow.errors import CorpusError
from tests.corpora.fuzz import damaged, overwrite


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_korean_text_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "라벨.csv"
    path.write_bytes('감정,뜻\r\n기쁨,"하나, 둘"\r\n'.encode(encoding))
    assert read_text(path) == '감정,뜻\r\n기쁨,"하나, 둘"\r\n'
    assert read_csv(path) == [["감정", "뜻"], ["기쁨", "하나, 둘"]]
    assert read_table(path) == read_csv(path)


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_opened_text_is_the_read_one(
    tmp_path: Path, encoding: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", block)
    path = tmp_path / "라벨.csv"
    path.write_bytes("감정,뜻\r\n뷁,하나\n".encode(encoding))
    with open_text(path) as file:
        assert list(file) == ["감정,뜻\r\n", "뷁,하나\n"]
    path.write_bytes("끝".encode(encoding)[:-1])
    with pytest.raises(CorpusError, match=r"라벨\.csv: its text is neither UTF-8 nor CP949"):
        open_text(path)
    with pytest.raises(CorpusError, match=r"missing\.csv: cannot be read"):
        open_text(tmp_path / "missing.csv")


def test_what_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xff\xff")
    with pytest.raises(CorpusError, match=r"a\.csv: its text is neither UTF-8 nor CP949"):
        read_text(path)
    with pytest.raises(CorpusError, match="neither UTF-8 nor GB18030"):
        read_text(path, ("utf-8-sig", "gb18030"))
    with pytest.raises(CorpusError, match=r"missing\.csv: cannot be read"):
        read_text(tmp_path / "missing.csv")


@pytest.mark.parametrize("text", ["{", "[1, 2", "", "NaN,", "[" * 100_000, '{"a": 1, "a": 2}'])
def test_what_is_no_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"a\.json: not a JSON file"):
        read_json(path)
    path.write_bytes(json.dumps({"감정": "기쁨"}, ensure_ascii=False).encode("cp949"))
    assert read_json(path) == {"감정": "기쁨"}
    path.write_text('["\\ud800 네", "\\ud83d\\ude00"]')
    assert read_json(path) == ["? 네", "😀"]


def _workbook(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_a_workbook_gives_text(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", [["번호", "문장"], [1.0, "기쁨 "], [2.5, None]])
    assert read_sheet(path) == [["번호", "문장"], ["1", "기쁨 "], ["2.5"]]
    assert read_table(path) == read_sheet(path)


def test_a_broken_workbook_is_refused_by_name(tmp_path: Path) -> None:
    import numpy as np

    path = _workbook(tmp_path / "a.xlsx", [["번호", "문장"], *[[n, f"문장 {n}"] for n in range(9)]])
    content, rng, refusals = path.read_bytes(), np.random.default_rng(0), []
    for _ in range(300):
        overwrite(path, damaged(content, rng))
        try:
            read_sheet(path)
        except CorpusError as error:
            refusals.append(str(error))
    assert len(refusals) > 200
    assert all("a.xlsx" in text for text in refusals)


def test_records_by_column(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "감정")
    rows = [
        ["\ufeff번호 ", name],
        ["1", "기쁨 "],
        ["", " "],
        ["2"],
        ["3", "a", ""],
        ["4", "a", "b"],
    ]
    found = list(records(rows, "a.csv", ["번호", "감정"]))
    assert found == [
        (2, {"번호": "1", "감정": "기쁨"}),
        (4, None),
        (5, {"번호": "3", "감정": "a"}),
        (6, None),
    ]
    assert list(records([["a", "b"], ["1"]], "a.xlsx", ["a"])) == [(2, {"a": "1", "b": ""})]
    with pytest.raises(CorpusError, match=r"a\.csv: no column 나이; it has 번호, 감정"):
        list(records(rows, "a.csv", ["번호", "나이"]))
    with pytest.raises(CorpusError, match="two columns are called 'a'"):
        list(records([["a", "a"]], "a.csv", ["a"]))


def test_files_in_order_without_strangers(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "가.wav")
    for name in ("b/2.wav", f"b/{decomposed}", "a.wav", "._a.wav", "__MACOSX/a.wav", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [name for _, name in walk(tmp_path)] == ["a.wav", "2.wav", "가.wav"]
    assert all(Path(path).is_file() for path, _ in walk(tmp_path))
