from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.data import folds


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.text("ab"))
def test_shuffled_by_hash_and_then_by_name(names: list[str], salt: str) -> None:
    def digest(name: str) -> bytes:
        return hashlib.blake2b(f"{salt}/{name}".encode(), digest_size=8).digest()

    expected = sorted(range(len(names)), key=lambda i: (digest(names[i]), names[i]))
    places = folds.shuffled(names, salt)
    assert [expected[place] for place in places] == list(range(len(names)))


def test_names_with_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    class Same:
        def __init__(self, content: bytes, digest_size: int) -> None:
            self.size = digest_size

        def digest(self) -> bytes:
            return b"\xff" * self.size

    monkeypatch.setattr(folds.hashlib, "blake2b", Same)
    assert folds.shuffled(["b", "c", "a"], "").tolist() == [1, 2, 0]
