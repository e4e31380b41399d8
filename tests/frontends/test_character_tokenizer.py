from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.frontends import CharacterTokenizer, load_tokenizer, tokenizer_from_state
from emoflow.types import Tokenizer


def test_characters_are_code_points_between_two_marks() -> None:
    tokenizer = CharacterTokenizer()
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.encode("가 A?", 10) == [1, 0xAC00 + 3, 32 + 3, 65 + 3, 63 + 3, 2]
    assert tokenizer.pad_id == 0
    assert tokenizer.decode([*tokenizer.encode("안녕?", 10), 0, 0]) == "안녕?"


def test_white_space_and_composition_do_not_matter() -> None:
    tokenizer = CharacterTokenizer()
    apart = unicodedata.normalize("NFD", "  안녕\n\t 하세요 ")
    assert tokenizer.encode(apart, 64) == tokenizer.encode("안녕 하세요", 64)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(0, [1]), (1, [1]), (2, [1, 2]), (3, [1, 100, 2]), (4, [1, 100, 101, 2])],
)
def test_a_long_text_is_cut_and_keeps_its_marks(limit: int, expected: list[int]) -> None:
    assert CharacterTokenizer().encode("abcd", limit) == expected


@given(st.text(), st.integers(1, 40))
def test_any_text_gives_valid_ids(text: str, limit: int) -> None:
    tokenizer = CharacterTokenizer()
    ids = tokenizer.encode(text, limit)
    assert 1 <= len(ids) <= limit
    assert all(0 < number < tokenizer.vocabulary_size for number in ids)


def test_it_comes_back_from_its_name_its_state_and_a_pickle() -> None:
    tokenizer = load_tokenizer("characters")
    assert tokenizer == CharacterTokenizer()
    assert tokenizer_from_state(tokenizer.to_state()) == tokenizer
    assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer
    assert len({tokenizer, CharacterTokenizer()}) == 1
