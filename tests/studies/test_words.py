from __future__ import annotations

import numpy as np
import pytest

from emoflow.studies.words import telling_words

LABELS = ["happy", "sad"]


def members(*labels: str) -> np.ndarray:
    return np.array([[name in one.split("+") for name in LABELS] for one in labels])


def test_z_is_that_of_the_formula() -> None:
    """Monroe et al. 2008, eqs. 16 and 20 to 22, by hand for one word."""
    texts = [f"오늘 정말 좋다 {k}" for k in range(20)] + [f"오늘 그냥 {k}" for k in range(30)]
    found = telling_words(texts, members(*["happy"] * 20, *["sad"] * 30), LABELS)
    best = {w.word: w for w in found if w.label == "happy"}
    assert {"정말", "좋다"} <= set(best)
    assert (best["정말"].here, best["정말"].elsewhere) == (20, 0)
    n_happy, n_sad = 80, 90
    a, a0 = 0.1 * 20, 0.1 * 170
    odds = np.log((20 + a) / (n_happy + a0 - 20 - a)) - np.log(a / (n_sad + a0 - a))
    assert best["정말"].z == pytest.approx(odds / np.sqrt(1 / (20 + a) + 1 / a))
    assert [w.word for w in found if w.label == "sad"] == ["그냥"]


def test_words_that_tell_nothing_and_rare_ones_are_absent() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["가", "나", "다", "라"], 5)) + f" {k}" for k in range(200)]
    labels = ["happy" if k % 2 else "sad" for k in range(200)]
    assert [w.word for w in telling_words(texts, members(*labels), LABELS) if w.word == "17"] == []
    assert len(telling_words(texts, members(*labels), LABELS)) <= 1


def test_a_text_that_recurs_with_its_label_counts_once() -> None:
    texts = ["아이고 참"] * 50 + [f"그래 {k}" for k in range(10)]
    labels = members(*["happy"] * 50, *["sad"] * 10)
    assert [w for w in telling_words(texts, labels, LABELS) if w.label == "happy"] == []


def test_order_of_utterances_changes_nothing() -> None:
    texts = [f"야 신난다 {k}" for k in range(15)] + [f"휴 {k}" for k in range(15)]
    labels = ["happy"] * 14 + ["happy+sad"] + ["sad"] * 15
    forward = telling_words(texts, members(*labels), LABELS)
    backward = telling_words(texts[::-1], members(*labels[::-1]), LABELS)
    assert forward
    assert [w[:4] for w in forward] == [w[:4] for w in backward]


def test_nothing_to_tell() -> None:
    assert telling_words([], members().reshape(0, 2), LABELS) == []
    assert telling_words(["", "!?"], members("happy", "sad"), LABELS) == []
    assert telling_words(["좋다"], members("happy"), LABELS) == []
