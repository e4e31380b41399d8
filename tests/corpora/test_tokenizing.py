from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoflow.corpora import tokenizing
from emoflow.corpora.tokenizing import encode_texts, read_tokens
from emoflow.data import UtteranceTable
from emoflow.frontends import CharacterTokenizer, JamoTokenizer
from emoflow.types import Utterance

pytestmark = pytest.mark.usefixtures("own_cache")


class Asked(CharacterTokenizer):
    """Counts what it encodes."""

    def __init__(self, letters: str = "") -> None:
        self.letters, self.count = letters, 0

    def encode(self, text: str, max_tokens: int) -> list[int]:
        self.count += 1
        return super().encode(text + self.letters, max_tokens)

    def to_state(self) -> dict[str, Any]:
        return {"letters": np.array([ord(letter) for letter in self.letters])}


def table(*texts: str | None) -> UtteranceTable:
    return UtteranceTable.build(
        Utterance(id=f"{i:05d}", corpus="c", text=text) for i, text in enumerate(texts)
    )


def test_ids_are_those_of_every_text() -> None:
    texts = [None if i % 7 == 0 else f"글 {i}" for i in range(40_000)]
    tokenizer = JamoTokenizer()
    for tokens in (read_tokens(table(*texts), tokenizer, 6), encode_texts(texts, tokenizer, 6)):
        assert len(tokens.counts) == len(texts)
        for row in (0, 1, 6, 7, 16_383, 16_384, 39_999):
            text = texts[row]
            assert tokens[row].tolist() == ([] if text is None else tokenizer.encode(text, 6))


def test_those_of_many_texts_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = table("가", None, "나다")
    monkeypatch.setattr(tokenizing, "_KEPT_FROM", 3)
    first, again = Asked(), Asked()
    expected = read_tokens(small, first, 8)
    kept = read_tokens(small, again, 8)
    assert (first.count, again.count) == (2, 0)
    ids = [token for text in ("가", "나다") for token in Asked().encode(text, 8)]
    assert kept.ids.tolist() == expected.ids.tolist() == ids
    assert kept.starts.tolist() == expected.starts.tolist() == [0, 3, 3, 7]
    for path in (tmp_path / "cache" / "tokens").iterdir():
        path.write_bytes(b"broken")
    assert read_tokens(small, again, 8).starts.tolist() == [0, 3, 3, 7]
    assert again.count == 2


@pytest.mark.parametrize("change", ["texts", "state", "length", "few"])
def test_what_changes_the_ids_is_noticed(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizing, "_KEPT_FROM", 3)
    read_tokens(table("가", None, "나다"), Asked(), 8)
    texts = ["가", None, "나라"] if change == "texts" else ["가", None, "나다"]
    other = Asked("!" if change == "state" else "")
    if change == "few":
        monkeypatch.setattr(tokenizing, "_KEPT_FROM", 4)
    read_tokens(table(*texts), other, 9 if change == "length" else 8)
    assert other.count == 2
