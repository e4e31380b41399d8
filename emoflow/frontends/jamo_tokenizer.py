"""A tokenizer that needs no vocabulary file: Hangul letters, Latin letters, digits, signs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

__all__ = ["JamoTokenizer"]

PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_SPECIAL = (PAD, UNKNOWN, BEGIN, END)
_TOKENS = (
    *_SPECIAL,
    " ",
    *map(chr, range(0x1100, 0x1113)),  # 19 leading consonants
    *map(chr, range(0x1161, 0x1176)),  # 21 vowels
    *map(chr, range(0x11A8, 0x11C3)),  # 27 trailing consonants
    *"abcdefghijklmnopqrstuvwxyz",
    *"0123456789",
    *".,?!~'\"-:;()[]<>/&%+*=#@^_…♡♥",
)
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "·": ","})


class JamoTokenizer:
    """Text to ids of its letters; a Hangul syllable becomes two or three jamo.

    ``[CLS]``, the letters and ``[SEP]``. Runs of white space are one space, case and accents
    are dropped, full-width and compatibility letters (``ㅋㅋ``) count as the plain ones, all
    else is ``[UNK]``. The pad id is 0.

    Parameters
    ----------
    tokens
        The vocabulary in the order of its ids; by default the built-in one.
    """

    pad_id = 0

    def __init__(self, tokens: Sequence[str] = _TOKENS) -> None:
        self.tokens = tuple(tokens)
        self.vocabulary_size = len(self.tokens)
        self._ids = {token: number for number, token in enumerate(self.tokens)}
        self._unknown, self._begin, self._end = (self._ids[t] for t in (UNKNOWN, BEGIN, END))

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Return at most ``max_tokens`` ids (at least 1), special tokens included."""
        ids = [self._begin]
        find, unknown, space = self._ids.get, self._unknown, self._ids[" "]
        for letter in _letters(text):
            number = find(letter, unknown)
            if not (number == space and ids[-1] in (space, self._begin)):
                ids.append(number)
            if len(ids) >= max_tokens:
                break
        if ids[-1] == space:
            ids.pop()
        return [*ids[: max(max_tokens - 1, 1)], self._end][: max(max_tokens, 1)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ``ids`` stand for, as far as it was kept."""
        letters = (self.tokens[number] for number in ids)
        return unicodedata.normalize("NFC", "".join(t for t in letters if t not in _SPECIAL))

    def to_state(self) -> dict[str, Any]:
        """Return plain data for :meth:`from_state`."""
        return {"kind": "jamo", "tokens": list(self.tokens)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> JamoTokenizer:
        """Return the tokenizer that gave ``state``."""
        return cls(state["tokens"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JamoTokenizer) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)


def _letters(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.translate(_SAME).replace("…", "\0")).casefold()
    return [
        "…" if letter == "\0" else " " if letter.isspace() else letter
        for letter in plain
        if not unicodedata.combining(letter)
    ]
