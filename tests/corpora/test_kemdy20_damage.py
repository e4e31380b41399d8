from __future__ import annotations

from pathlib import Path

import pytest

from emoflow.corpora import KEMDy20
from tests.corpora.fuzz import survives_damage
from tests.corpora.kemdy20_tree import Tree, row

NAMES = [f"Sess01_script0{n % 2 + 1}_User00{user}_00{n}" for n in (1, 2) for user in ("1F", "2M")]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Four annotated utterances with speech and transcripts."""
    tree = Tree(tmp_path / "KEMDy20_v1_2")
    for name in NAMES:
        tree.wav(name, seconds=0.01)
        tree.text(name, "n/ 아 친구들도? l/ 그래서, 뭐*".encode("cp949"))
    emotions = ("neutral", "happy;sad", "disqust", "angry")
    tree.annotation("01", [row(n, e) for n, e in zip(NAMES, emotions, strict=True)])
    return tree


def make(tree: Tree) -> KEMDy20:
    return KEMDy20(root=str(tree.root), on_bad_utterance="skip")


def test_damaged_annotations(tree: Tree) -> None:
    survives_damage(lambda: make(tree), tree.root / "annotation" / "Sess01_eval.csv")


def test_damaged_transcripts(tree: Tree) -> None:
    path = tree.root / "wav" / "Session01" / f"{NAMES[0]}.txt"
    survives_damage(lambda: make(tree), path)
