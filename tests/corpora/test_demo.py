from __future__ import annotations

import json
from pathlib import Path

import pytest

from emoflow.corpora import Demo
from emoflow.errors import CorpusError
from emoflow.testing import write_demo_corpus

LABELS = ("neutral", "sad", "happy", "surprise", "angry")
SUBSETS = [
    "speech", "text", "signals", "speech+text", "speech+signals", "text+signals",
    "speech+text+signals",
]  # fmt: skip


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
    for target, metrics in (
        ("emotion", {"macro_f1", "uar", "accuracy", "weighted_f1"}),
        ("arousal", {"rmse_arousal", "ccc_arousal"}),
        ("valence", {"rmse_valence", "ccc_valence"}),
    ):
        found = corpus.ceiling(target, LABELS if target == "emotion" else ())
        assert found is not None
        assert list(found) == SUBSETS
        assert all(set(scores) == metrics for scores in found.values())
    written = json.loads((Path(corpus.root) / "ceiling.json").read_text())
    for subset, scores in (corpus.ceiling("emotion") or {}).items():
        assert scores == {name: written[subset][name] for name in scores}
    assert corpus.ceiling("emotion", ("neutral", "sad")) is None


def test_an_older_ceiling_is_read_and_a_broken_one_is_none(tmp_path: Path) -> None:
    root = write_demo_corpus(tmp_path / "mine", sessions=1, utterances_per_speaker=1)
    path = root / "ceiling.json"
    scores = json.loads(path.read_text())
    older = {subset: scores[subset] for subset in SUBSETS if "signals" not in subset}
    path.write_text(json.dumps(older))
    assert list(demo(root).ceiling("emotion", LABELS) or {}) == ["speech", "text", "speech+text"]
    for broken in ("{", "[]", "3", '{"speech": 1}', "{}"):
        path.write_text(broken)
        assert demo(root).ceiling("arousal") is None
        assert demo(root).ceiling("emotion") is None
    path.unlink()
    assert demo(root).ceiling("emotion") is None


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
