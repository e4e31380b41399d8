"""A tokenizer that keeps every character as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

__all__ = ["CharacterTokenizer"]


class CharacterTokenizer:
    """Text to the code points of its characters, between a mark of begin and one of end.

    The text is composed (NFC) and runs of white space are one space; nothing else is changed
    and nothing is unknown. The pad id is 0, the marks are 1 and 2, and a character's id is its
    Unicode code point + 3.
    """

    pad_id = 0
    begin_id = 1
    end_id = 2
    offset = 3
    """Id of the code point 0."""
    vocabulary_size = 0x110000 + offset

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Return at most ``max_tokens`` ids (at least 1), the two marks included."""
        plain = " ".join(unicodedata.normalize("NFC", text).split())
        ids = [ord(character) + self.offset for character in plain[: max(max_tokens - 2, 0)]]
        return [self.begin_id, *ids, self.end_id][: max(max_tokens, 1)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ``ids`` stand for, without marks and padding."""
        return "".join(chr(number - self.offset) for number in ids if number >= self.offset)

    def to_state(self) -> dict[str, Any]:
        """Return plain data for :meth:`from_state`."""
        return {"kind": "characters"}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> CharacterTokenizer:
        """Return the tokenizer that gave ``state``."""
        return cls()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharacterTokenizer)

    def __hash__(self) -> int:
        return hash(CharacterTokenizer)
