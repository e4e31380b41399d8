from __future__ import annotations

from pathlib import Path

import pytest

from emoflow.corpora import Demo
from emoflow.errors import CorpusError
from emoflow.testing import write_demo_corpus

LABELS = ("neutral", "sad", "happy", "surprise", "angry")


pytestmark = pytest.mark.usefixtures("own_cache")


def demo(root: Path | None = None, **options: int) -> Demo:
    return Demo(
        root=None if root is None else str(root), sessions=2, utterances_per_speaker=6, **options
    )


def test_it_writes_itself_once_into_the_cache(tmp_path: Path) -> None:
    corpus = demo()
    assert not Path(corpus.root).exists()
    corpus.prepare_data()
    assert Path(corpus.root).is_relative_to(tmp_path / "cache")
    assert len(corpus.table) == 24
    wav = next(Path(corpus.root).rglob("*.wav"))
    written = wav.stat().st_mtime_ns
    again = demo()
    assert len(again.table) == 24
    assert wav.stat().st_mtime_ns == written
    assert demo(corpus_seed=1).root != corpus.root


def test_keys_and_scores_are_the_demo_s() -> None:
    corpus = demo()
    assert corpus.table[0].key.startswith("demo/Sess")
    emotion = corpus.ceiling("emotion", LABELS)
    assert emotion is not None
    assert {"macro_f1", "uar", "accuracy", "weighted_f1"} <= set(emotion)
    assert not [name for name in emotion if "arousal" in name]
    assert set(corpus.ceiling("arousal") or {}) == {"rmse_arousal", "ccc_arousal"}
    assert set(corpus.ceiling("valence") or {}) == {"rmse_valence", "ccc_valence"}
    assert corpus.ceiling("emotion", ("neutral", "sad")) is None


def test_every_oddity_of_the_layout_is_survived(tmp_path: Path) -> None:
    corpus = Demo(root=str(tmp_path / "demo"), sessions=2, utterances_per_speaker=12)
    table = corpus.table
    utterances = [table[n] for n in range(len(table))]
    assert len(utterances) == 48
    assert corpus.skipped == ()
    assert {u.session for u in utterances} >= {"Sess17"}
    assert not any(u.id.startswith("Sess42") for u in utterances)
    assert all(u.speech is not None and u.text is not None for u in utterances)
    assert all(u.raters is not None and len(u.raters) == 10 for u in utterances)
    assert {u.emotion for u in utterances if u.emotion} <= {*LABELS, "disgust", "fear"}
    ties = [u for u in utterances if u.emotion is None]
    assert all(u.extra["first"] in (u.votes or {}) for u in ties)
    assert corpus.notes["transcripts decoded with loss"] == 1
    assert corpus.notes["transcripts without words"] == 1
    assert corpus.notes["utterances whose speech is all zeros"] == 1
    assert any(u.signals is None or "EDA" not in u.signals for u in utterances)


def test_a_root_that_has_something_is_read_as_it_is(tmp_path: Path) -> None:
    write_demo_corpus(tmp_path / "mine", sessions=1, utterances_per_speaker=6, seed=5)
    assert len(demo(tmp_path / "mine").table) == 12
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(CorpusError, match="not KEMDy20"):
        _ = demo(tmp_path / "other").table
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["thesis.txt"]
