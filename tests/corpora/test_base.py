from __future__ import annotations

import json
import pickle
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from jsonargparse import ArgumentParser

from emoflow.corpora.base import BatchOptions, Corpus
from emoflow.errors import (
    ConfigError,
)
from emoflow.frontends.augment_text import TextAugmentation
from emoflow.types import Batch, Needs, Speech
from tests.corpora.toy import ALLOW, LABELS, Letters, Toy, ids, make, needs, rows, seen, write

# ---- batches ------------------------------------------------------------------------


def test_every_utterance_comes_once_with_its_own_content(shared: Path) -> None:
    corpus = make(shared)
    loaders = (corpus.train_dataloader(), corpus.val_dataloader(), corpus.test_dataloader())
    every = [seen(loader) for loader in loaders]
    assert len({r for rows in every for r in rows}) == sum(map(len, every))
    assert all(every)
    for batch in (b for loader in loaders for b in loader):
        assert isinstance(batch, Batch)
        assert len(batch) <= 8
        for place, row in enumerate(batch.rows.tolist()):
            utterance = corpus.table[row]
            spoken, written = utterance.speech is not None, utterance.text is not None
            assert batch.speech_present[place] == spoken
            assert batch.text_present[place] == written
            samples = int(batch.samples[place])
            wave = batch.waveforms[place]
            if spoken:
                expected, _ = soundfile.read(utterance.speech.path, dtype="float32")
                np.testing.assert_array_equal(wave[:samples].numpy(), expected)
            else:
                assert samples == 0
            assert not wave[samples:].any()
            count = int(batch.token_counts[place])
            expected_ids = [] if not written else Letters().encode(utterance.text, 64)
            assert batch.tokens[place, :count].tolist() == expected_ids
            assert (batch.tokens[place, count:] == 1).all()
            assert batch.arousal is None


def test_batches_depend_on_seed_and_epoch_only(shared: Path) -> None:
    def order(epoch: int, **options: Any) -> list[list[int]]:
        loader = make(shared, **options).train_dataloader()
        loader.sampler.set_epoch(epoch)
        assert len(loader) == len(list(loader.sampler))
        return [batch.rows.tolist() for batch in loader]

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(3) != order(3, seed=1)
    assert sorted(chain(*order(3))) == sorted(chain(*order(4)))
    workers = BatchOptions(max_utterances=8, workers=2)
    assert order(3) == order(3, batch=workers)


def test_budgets(shared: Path) -> None:
    tight = BatchOptions(max_utterances=100, max_seconds=4.0, max_tokens=120)
    corpus = make(shared, needs("speech"), batch=tight)
    for batch in corpus.train_dataloader():
        assert batch.tokens is None
        assert batch.waveforms.numel() <= 4.0 * 16000
    for batch in make(shared, needs("text"), batch=tight).train_dataloader():
        assert batch.waveforms is None
        assert batch.tokens.numel() <= 120


def test_long_speech_is_cut(shared: Path) -> None:
    corpus = make(shared, needs("speech", max_seconds=0.6))
    longest = max(int(b.samples.max()) for b in corpus.train_dataloader())
    assert longest == 9600


def test_any_rows_can_be_read(shared: Path) -> None:
    corpus = make(shared)
    assert sorted(seen(corpus.loader([5, 1, 7]))) == [1, 5, 7]


# ---- what a task can use --------------------------------------------------------------


@pytest.mark.parametrize("ties", ["soft", "drop", "first"])
def test_ties(shared: Path, ties: Any) -> None:
    corpus = make(shared, ties=ties)
    learned: dict[str, int] = {}
    votes: dict[str, list[float]] = {}
    for batch in corpus.train_dataloader():
        names = ids(corpus, batch.rows)
        learned |= dict(zip(names, batch.emotion.tolist(), strict=True))
        votes |= dict(zip(names, batch.emotion_votes.tolist(), strict=True))
    tied = {n: c for n, c in learned.items() if n.endswith("_3")}
    assert not [n for n in learned if n.endswith("_6")]  # fear is no label here
    assert set(tied.values()) == {"soft": {1}, "drop": set(), "first": {2}}[ties]
    for name in tied:
        np.testing.assert_allclose(votes[name], [0, 4 / 6, 2 / 6], rtol=1e-6)
    np.testing.assert_allclose([sum(v) for v in votes.values()], 1, rtol=1e-6)
    assert all(
        LABELS[learned[n]] == corpus.table[corpus.table.rows([f"toy/{n}"])[0]].emotion
        for n in learned
        if n not in tied
    )
    scored = {}
    for batch in corpus.test_dataloader():
        scored |= dict(zip(ids(corpus, batch.rows), batch.emotion.tolist(), strict=True))
    assert {c for n, c in scored.items() if n.endswith("_3")} == {
        "soft": {-1}, "drop": set(), "first": {2},
    }[ties]  # fmt: skip
    truth = corpus.truth(list(corpus.table.rows([f"toy/{n}" for n in scored])), "emotion", LABELS)
    assert [-1 if t is None else LABELS.index(t) for t in truth] == list(scored.values())


def test_tasks_choose_by_target_and_modality(shared: Path) -> None:
    def left(*modalities: str, **changes: Any) -> set[str]:
        corpus = make(shared, needs(*modalities, **changes))
        rows = np.concatenate([corpus.content_rows(m) for m in modalities])  # type: ignore[arg-type]
        return {name[-1] for name in ids(corpus, np.unique(rows))}

    assert left("speech", target="arousal") == set("012356")
    assert left("text", target="arousal") == set("012346")
    assert left("speech", "text", target="arousal") == set("0123456")
    assert left("speech", target="valence") == set("0123567")
    assert left("speech", "text") == set("0123457")


def test_all_tasks_share_one_protocol(shared: Path) -> None:
    prints = {
        make(shared, needs("speech", target=t)).splits.fingerprint for t in ("arousal", "emotion")
    }
    assert len(prints) == 1


def test_training_targets(shared: Path) -> None:
    corpus = make(shared)
    train = make(shared).content_rows("text", training_only=True)
    assert set(train) <= set(corpus.splits.train)
    counts = np.bincount(corpus.training_targets("emotion"), minlength=3)
    assert counts.sum() == len(corpus.training_targets("arousal"))
    assert (counts > 0).all()


def test_without_a_task_batches_carry_what_there_is(shared: Path) -> None:
    corpus = Toy(str(shared), protocol=ALLOW)
    corpus.prepare_data()
    corpus.setup()
    for batch in corpus.train_dataloader():
        assert batch.waveforms is not None
        assert batch.tokens is None
        expected = corpus.table.column("arousal", batch.rows)
        np.testing.assert_equal(batch.arousal.tolist(), expected.tolist())
        assert (batch.valence == 2).all()
    spoken = corpus.table.column("speech_path", corpus.splits.train) != np.array(None)
    assert len(corpus.training_targets("arousal")) == spoken.sum()


def test_a_tie_of_ratings_alone_needs_no_labels(shared: Path) -> None:
    corpus = make(shared, needs("speech", target="arousal"))
    batch = next(iter(corpus.train_dataloader()))
    assert batch.emotion is None
    assert torch.isfinite(batch.arousal).all()


def test_text_needs_a_tokenizer(shared: Path) -> None:
    with pytest.raises(ConfigError, match="its needs name no tokenizer"):
        make(shared, Needs(("text",), "valence"))


def test_a_loader_pickles_small(shared: Path) -> None:
    corpus = make(shared)
    loader = corpus.train_dataloader()
    plan = next(iter(loader.sampler))
    copy = pickle.loads(pickle.dumps(loader.dataset))
    torch.testing.assert_close(copy[plan].waveforms, loader.dataset[plan].waveforms)


def test_speech_of_another_rate_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows()
    root = write(tmp_path / "c", table)
    for row in table:
        if row["speech"]:
            samples, _ = soundfile.read(root / row["speech"])
            soundfile.write(root / row["speech"], samples, 8000)
    corpus = make(root)

    def refuse(speech: Speech) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("emoflow.data.speech.read_speech", refuse)
    again = make(root)
    for one in (corpus, again):
        assert all(int(b.samples.max()) > 14000 for b in one.train_dataloader())


def test_unreadable_modalities_are_refused(shared: Path) -> None:
    with pytest.raises(ConfigError, match="asks for face"):
        make(shared, needs("speech", "face"))


# ---- the index ----------------------------------------------------------------------------


def test_own_options_are_part_of_the_index(shared: Path) -> None:
    everything, some = make(shared), Toy(str(shared), only="s00")
    assert len(some.table) == 8
    assert len(everything.table) == 96
    again = Toy(str(shared), only="s00")
    assert len(again.table) == 8
    assert again.reads == 0


# ---- records --------------------------------------------------------------------------------


def test_records(shared: Path) -> None:
    corpus = make(shared)
    record = corpus.protocol_record()
    assert json.loads(json.dumps(record)) == record
    assert record["fingerprint"] == corpus.splits.fingerprint
    assert record["seen"]["train"] == list(corpus.splits.keys["train"])
    assert set(record["seen"]) == {"train", "validation"}
    summary = corpus.protocol_summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["counts"]["train"] == len(corpus.splits.train)
    lines = corpus.audit.lines()
    assert summary["audit"][: len(lines)] == lines
    cues = ["the speaker", "duration", "loudness"]  # all 16 kHz noise: nothing else differs
    assert [s.cue for s in corpus.shortcuts][:3] == cues
    assert summary["audit"][len(lines) :] == [s.line() for s in corpus.shortcuts]
    assert summary["left_out"] == {"utterances": 0, "reason": ""}


def test_rows_frame(shared: Path, tmp_path: Path) -> None:
    corpus = make(shared)
    frame = corpus.rows_frame(corpus.table.rows(["toy/s00_3", "toy/s00_0", "toy/s00_4"]))
    assert frame["key"].tolist() == ["toy/s00_3", "toy/s00_0", "toy/s00_4"]
    assert frame["emotion"].tolist()[1] == "neutral"
    assert frame["emotion"].isna().tolist() == [True, False, False]
    np.testing.assert_allclose(frame["agreement"], [0.4, 0.7, 0.7])
    assert json.loads(frame["votes"][0]) == {"sad": 4.0, "fear": 4.0, "happy": 2.0}
    frame.to_parquet(tmp_path / "f.parquet")


# ---- the command line ---------------------------------------------------------------------------


def test_command_line_reads_every_option() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Corpus, "data")
    words = ["--data=tests.corpora.test_base.Toy", "--data.root", "/x", "--data.only", "s"]
    words += ["--data.protocol.folds", "3", "--data.batch.max_seconds", "60"]
    words += ["--data.augment_labels", "{sad: 250}", "--data.text_augmentation.swap", "0.3"]
    corpus = parser.instantiate_classes(parser.parse_args(words)).data
    assert (corpus.root, corpus.only, corpus.protocol.folds) == ("/x", "s", 3)
    assert corpus.batch.max_seconds == 60
    assert corpus.augment_labels == {"sad": 250}
    assert corpus.text_augmentation == TextAugmentation(swap=0.3)


def test_help_shows_what_every_option_means(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(Corpus, "data")
    with pytest.raises(SystemExit):
        parser.parse_args(["--data.help=tests.corpora.test_base.Toy"])
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "Prefix of the ids to read",
        "What to do when raters tie",
        "Folder of the corpus",
    ):
        assert words in text


def test_importing_the_room_imports_no_corpus() -> None:
    import subprocess

    code = "import sys, emoflow.corpora; print([m for m in sys.modules if 'corpora.' in m])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
