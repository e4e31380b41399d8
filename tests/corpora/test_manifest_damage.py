from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from emoflow.corpora import Manifest
from emoflow.errors import CorpusError
from tests.corpora.fuzz import survives_damage

pytestmark = pytest.mark.usefixtures("own_cache")

ROWS: list[dict[str, Any]] = [
    {
        "id": f"utterance-{n}",
        "speech": f"wav/{n}.wav",
        "start": 0.25 * n,
        "end": 0.25 * n + 1,
        "text": f"안녕, 반가워 {n}",
        "speaker": f"kim{n % 2}",
        "session": f"room{n // 2}",
        "emotion": ("happy", "sad")[n % 2],
        "arousal": 3.5,
        "valence": 2.0,
        "sex": "female",
        "age": "30s",
        "place": "home",
        "split": "train",
    }
    for n in range(6)
]
NESTED = {
    "votes": {"happy": 3.0, "sad": 1.0},
    "signals": {"EDA": "eda.csv"},
    "raters": [{"rater": "A", "emotion": "happy", "arousal": 3.0, "valence": 4.0}],
}


def write(path: Path) -> Path:
    ending = path.suffix
    if ending == ".jsonl":
        lines = [json.dumps(row | NESTED, ensure_ascii=False) for row in ROWS]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    elif ending == ".parquet":
        rows = [{**row, **NESTED, "when": datetime(2020, 1, 1, 10)} for row in ROWS]
        parquet.write_table(pa.Table.from_pylist(rows), path, compression="none")
    else:
        columns = [*ROWS[0], "votes_happy", "votes_sad", "signal_EDA"]
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter="\t" if ending == ".tsv" else ",")
        writer.writerows([columns, *([*row.values(), 3, 1, "eda.csv"] for row in ROWS)])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_damage(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"manifest.{ending}")
    corpus = Manifest(root=str(path))
    assert len(list(corpus.utterances())) == len(ROWS)
    assert corpus._findings.notes == {}
    survives_damage(lambda: Manifest(root=str(path), on_bad_utterance="skip"), path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "네", "votes": "happy"}, "row 1: votes is 'happy', not an object"),
        ({"text": "네", "votes": 3}, "row 1: votes is 3, not an object"),
        ({"text": "네", "signals": [1]}, r"row 1: signals is \[1\], not an object"),
        ({"text": "네", "arousal": 10**400}, "row 1: arousal is 10"),
        ({"speech": "a\0.wav"}, r"row 1: 'a\\x00\.wav' is no path"),
    ],
)
def test_values_of_another_kind(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(CorpusError, match=message):
        _ = Manifest(root=str(path)).table


@pytest.mark.parametrize("line", ['{"text": "a", "text": "b"}', "[" * 100_000])
def test_lines_that_are_no_json(tmp_path: Path, line: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"text": "a"}}\n{line}\n')
    with pytest.raises(CorpusError, match=r"own\.jsonl, row 2: not JSON \("):
        _ = Manifest(root=str(path)).table


def test_awkward_characters_in_json(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "\\ud800 네"}\n{"text": "a\u2028b\x85c"}\n', encoding="utf-8")
    assert [u.text for u in Manifest(root=str(path)).table] == ["? 네", "a\u2028b\x85c"]


def test_oddities_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text('id,text,age\na,"두\n줄",20s\nb,네\nc,네,20s', encoding="utf-8")
    corpus = Manifest(root=str(path))
    assert [u.age for u in corpus.table] == ["20s", None, "20s"]
    assert corpus.notes == {
        "rows with a cell of several lines, as after a missing quotation mark": 1,
        "rows with fewer cells than columns (the last ones count as empty)": 1,
        "tables whose last line has no end, as when the rest is missing": 1,
    }


def test_parquet_of_other_types(tmp_path: Path) -> None:
    when = datetime(2020, 1, 1, 10)
    rows = [{"text": "네", "when": when, "times": [when], "place": {"at": when, "n": 1}}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "own.parquet")
    (utterance,) = Manifest(root=str(tmp_path / "own.parquet")).table
    assert utterance.extra["times"] == [utterance.extra["when"]] == ["2020-01-01 10:00:00"]
    assert utterance.extra["place"] == {"at": "2020-01-01 10:00:00", "n": 1}
