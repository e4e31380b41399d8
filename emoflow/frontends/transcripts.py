"""Transcripts: bytes to text, text without its annotators' tags, text to a sentence name."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["clean_transcript", "decode_transcript", "sentence_name"]

_TAG = re.compile(r"(?<![A-Za-z])[A-Za-z]/")
_PARENTHESES = re.compile(r"\(([^()]*)\)")
_MARKS = str.maketrans("", "", "*+/")
_NOT_A_WORD = re.compile(r"[\W_]+")


def decode_transcript(content: bytes) -> tuple[str, bool]:
    """Return the text of a transcript file, and whether characters were lost.

    UTF-8 (with or without BOM) is tried strictly, then CP949 strictly, then CP949 with
    replacement characters, which is the lossy case. No detector guesses: transcripts of
    3 to 20 bytes are too short for one.
    """
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding), False
        except UnicodeDecodeError:
            continue
    return content.decode("cp949", errors="replace"), True


def clean_transcript(text: str) -> str:
    """Return ``text`` without the tags of the KEMDy transcripts.

    Removed are the one-letter tags (``n/``, ``N/``, ``l/``, ``b/``, ``c/``, ``u/``, ``o/``,
    ``s/``), uncertain-word ``*``, stutter ``+`` and filler ``/``. Parentheses mark overlapping
    speech, ``(other+own)``: the speaker's own words stay, and so does what stands in
    parentheses without ``+``. Digits and punctuation stay, white space shrinks to single
    spaces, Hangul is composed (NFC). The result may be empty.

    >>> clean_transcript("n/ 아 친구들도? l/")
    '아 친구들도?'
    """
    text = _TAG.sub("", unicodedata.normalize("NFC", text))
    while "(" in text and (kept := _PARENTHESES.sub(_own_words, text)) != text:
        text = kept
    return " ".join(text.translate(_MARKS).split())


def _own_words(overlap: re.Match[str]) -> str:
    other, plus, own = overlap[1].partition("+")
    return f" {own} " if plus else other


def sentence_name(text: str | None, otherwise: str) -> str:
    """Return one name for all texts with equal words, to find overlap between splits.

    Case, white space, punctuation and Unicode variants are ignored. A text without a word,
    or none at all, is nobody's duplicate: it gets ``otherwise``, such as the utterance's id.
    """
    if not text:
        return otherwise
    return _NOT_A_WORD.sub("", unicodedata.normalize("NFKC", text).casefold()) or otherwise
