from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoflow.errors import ConfigError
from emoflow.frontends import TextAugmentation
from emoflow.frontends.augment_text import (
    random_deletion,
    random_insertion,
    random_swap,
    read_synonyms,
    synonym_replacement,
)

TEXT = "나는 오늘 아침 밥을 정말 맛있게 먹었다"
words = st.lists(st.text(alphabet="가나다라", min_size=1, max_size=3), max_size=12).map(" ".join)
seeds = st.integers(0, 1000)


@given(words, st.floats(0, 1), seeds)
def test_swap_keeps_the_words(text: str, share: float, seed: int) -> None:
    swapped = random_swap(text, share, np.random.default_rng(seed))
    assert Counter(swapped.split()) == Counter(text.split())


@given(words, st.floats(0, 1), seeds)
def test_deletion_keeps_the_order_and_one_word(text: str, share: float, seed: int) -> None:
    kept = iter(random_deletion(text, share, np.random.default_rng(seed)).split())
    rest = iter(text.split())
    assert all(word in rest for word in kept)
    assert bool(random_deletion(text, share, np.random.default_rng(seed))) == bool(text)


def test_shares_are_kept_on_average() -> None:
    generator = np.random.default_rng(0)
    text = " ".join(f"w{n}" for n in range(100))
    lengths = [len(random_deletion(text, 0.3, generator).split()) for _ in range(100)]
    assert np.mean(lengths) == pytest.approx(70, abs=2)
    swapped = random_swap(text, 0.1, generator).split()
    moved = sum(a != b for a, b in zip(swapped, text.split(), strict=True))
    assert 10 <= moved <= 20


def test_synonyms_come_from_the_table_only(tmp_path: Path) -> None:
    table = tmp_path / "synonyms.tsv"
    table.write_text("정말\t아주\t매우\n밥을\t식사를\n", encoding="utf-8")
    synonyms = read_synonyms(str(table))
    generator = np.random.default_rng(1)
    replaced = synonym_replacement(TEXT, 1.0, generator, synonyms).split()
    assert replaced[3] == "식사를"
    assert replaced[4] in {"아주", "매우"}
    assert [w for n, w in enumerate(replaced) if n not in (3, 4)] == [
        w for n, w in enumerate(TEXT.split()) if n not in (3, 4)
    ]
    longer = random_insertion(TEXT, 0.3, generator, synonyms).split()
    assert len(longer) == len(TEXT.split()) + 2
    assert set(longer) - set(TEXT.split()) <= {"아주", "매우", "식사를"}
    assert random_insertion("모르는 말", 0.5, generator, synonyms) == "모르는 말"


def test_the_same_generator_gives_the_same_text(tmp_path: Path) -> None:
    table = tmp_path / "s.json"
    table.write_text('{"정말": ["아주"]}', encoding="utf-8")
    augmentation = TextAugmentation(0.2, 0.2, 0.2, 0.2, str(table))
    once = [augmentation.augment(TEXT, np.random.default_rng(seed)) for seed in range(40)]
    assert once == [augmentation.augment(TEXT, np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(once)) > 10


def test_swap_alone_never_deletes() -> None:
    augmentation = TextAugmentation(swap=0.5, deletion=0.0)
    generator = np.random.default_rng(0)
    assert all(
        sorted(augmentation.augment(TEXT, generator).split()) == sorted(TEXT.split())
        for _ in range(20)
    )
    assert augmentation.augment("", generator) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"swap": 2.5}, "swap is 2.5\n  → give a share between 0 and 1"),
        ({"swap": 0, "deletion": 0}, "every change is switched off"),
        ({"synonyms": 0.1}, "set synonym_file"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        TextAugmentation(**options)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize("content", ["[1, 2]", "{", None, '{"말": []}'])
def test_a_bad_table_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"bad\.json"):
        read_synonyms(str(path))
