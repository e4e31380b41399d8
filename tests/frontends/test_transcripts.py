from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.frontends import clean_transcript, decode_transcript, sentence_name


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("n/ 아 친구들도? l/", "아 친구들도?"),
        ("c/ n/ N/ u/ l/ b/ o/ s/ ", ""),
        ("n/b/ 네", "네"),
        ("그+ 그거* 음/ 좋아요.", "그 그거 음 좋아요."),
        ("3시 30분에, 맞죠?\r\n", "3시 30분에, 맞죠?"),
        ("아  n/  네", "아 네"),
        ("(어디+여기) 있어", "여기 있어"),
        ("(그래) 알았어", "그래 알았어"),
        ("((a+나)+너) 야", "너 야"),
        ("(열린 괄호", "(열린 괄호"),
        ("abc/ 가", "abc 가"),
        ("\u1100\u1161나", "가나"),
        ("", ""),
    ],
)
def test_tags_go_and_words_stay(raw: str, clean: str) -> None:
    assert clean_transcript(raw) == clean


@given(st.text(alphabet="가나 nNl/*+()bc,.?3\n", max_size=30))
def test_a_clean_transcript_has_no_marks_and_single_spaces(text: str) -> None:
    clean = clean_transcript(text)
    assert not set(clean) & set("*+/\n")
    assert clean == clean.strip()
    assert "  " not in clean


@pytest.mark.parametrize(
    ("content", "text", "lossy"),
    [
        ("네".encode(), "네", False),
        ("\ufeff네".encode(), "네", False),
        ("뷁 네, 맞아요".encode("cp949"), "뷁 네, 맞아요", False),
        (b"", "", False),
        ("네".encode("cp949") + b"\xff\xff", "네\ufffd\ufffd", True),
    ],
)
def test_encodings_are_tried_in_order(content: bytes, text: str, lossy: bool) -> None:
    assert decode_transcript(content) == (text, lossy)


def test_sentences_ignore_case_space_punctuation_and_unicode_form() -> None:
    same = {"OK, 그래요!", "ok그래요", "ＯＫ 그래요 ~", "OK \u1100\u1173래요."}
    assert len({sentence_name(text, "x") for text in same}) == 1
    assert sentence_name("아니요", "x") != sentence_name("네", "x")


@pytest.mark.parametrize("text", [None, "", "?!…", "  "])
def test_texts_without_words_are_unique(text: str | None) -> None:
    assert sentence_name(text, "Sess01_x") == "Sess01_x"
