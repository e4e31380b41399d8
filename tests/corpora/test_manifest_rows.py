from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from emoflow.corpora import Manifest
from emoflow.data import Protocol

pytestmark = pytest.mark.usefixtures("own_cache")

ROWS = 50_000


def damaged(number: int) -> dict[str, str]:
    """One row in a hundred has the id of the row before; of a thousand, three are broken."""
    row = {"id": f"u{number}", "text": f"words {number}", "sex": "f", "arousal": "2"}
    if number % 100 == 7:
        row["id"] = f"u{number - 1}"
    match number % 1000:
        case 500:
            row["arousal"] = "high"
        case 501:
            row["text"] = ""
        case 502:
            row["sex"] = "?"
        case 503:
            row["id"] = f"u{number - 1}"  # that of a broken row, so it is the first good one
    return row


def test_a_large_damaged_manifest_is_counted_right(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    rows = [damaged(number) for number in range(ROWS)]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    for _ in range(2):  # read, and from the cache
        corpus = Manifest(root=str(path), on_bad_utterance="skip")
        reasons = Counter(s.reason.partition(", row ")[2][-11:] or s.reason for s in corpus.skipped)
        assert sorted(reasons.values()) == [50, 50, 50, 500]
        assert reasons["its id occurs a second time"] == 500
        assert len(corpus.table) == ROWS - 650
    good = {
        row["id"]: row["text"]
        for number, row in enumerate(rows)
        if number % 100 != 7 and number % 1000 not in (500, 501, 502)
    }
    ids, texts = corpus.table.column("id"), corpus.table.column("text")
    assert dict(zip(ids, texts, strict=True)) == good


def test_lines_end_where_json_says_so(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    texts = ["a\u2028b", "c\x85d", "e\x0cf"]
    rows = [json.dumps({"id": str(i), "text": t}, ensure_ascii=False) for i, t in enumerate(texts)]
    path.write_text("\r\n".join(rows), encoding="utf-8", newline="")
    assert Manifest(root=str(path)).table.column("text").tolist() == texts


def test_the_table_is_read_once_unless_its_split_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest.csv"
    lines = [f"{i},네 {i},s{i % 9},{'test' if i % 3 else 'train'}" for i in range(60)]
    path.write_text("\n".join(["id,text,speaker,split", *lines]), encoding="utf-8")
    asked: list[str] = []
    official = Manifest.official_split
    monkeypatch.setattr(
        Manifest, "official_split", lambda self: (asked.append(""), official(self))[1]
    )
    assert Manifest(root=str(path)).splits.counts["left_out"] == 0
    assert not asked
    own = Manifest(root=str(path), protocol=Protocol("official", validation=0))
    assert own.splits.counts == {"train": 20, "validation": 0, "test": 40, "left_out": 0}
    assert len(asked) == 1
