from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import soundfile
import torch
from jsonargparse import ArgumentParser

from emoflow.corpora.base import BatchOptions, Corpus
from emoflow.data.protocol import Protocol
from emoflow.data.store import FeatureStore
from emoflow.errors import (
    AudioError,
    ConfigError,
    CorpusError,
    EmoflowError,
    LabelError,
    ProtocolError,
)
from emoflow.frontends.augment_text import TextAugmentation
from emoflow.types import Batch, Needs, Speech, Utterance

LABELS = ("neutral", "sad", "happy")
ALLOW = Protocol(folds=4, validation=0.3, on_overlap="allow")
WAVS = 0.5  # seconds of the shortest


class Letters:
    """A tokenizer: one id per letter, [CLS] = 2 in front, padding is 1."""

    pad_id = 1
    vocabulary_size = 5000

    def encode(self, text: str, max_tokens: int) -> list[int]:
        return [2, *(3 + ord(c) % 4000 for c in text)][:max_tokens]

    def to_state(self) -> dict[str, Any]:
        return {"kind": "letters"}


class Toy(Corpus):
    """Toy corpus: a JSON list of utterances.

    Parameters
    ----------
    only
        Prefix of the ids to read.
    """

    name = "toy"
    scale = (1.0, 5.0)

    def __init__(self, root: str, only: str = "", **kwargs: Any) -> None:
        super().__init__(root, **kwargs)
        self.only = only
        self.reads = 0

    def _options(self) -> dict[str, Any]:
        return {k: v for k, v in super()._options().items() if k != "reads"}

    def utterances(self) -> Iterator[Utterance]:
        self.reads += 1
        for row in json.loads((Path(self.root) / "all.json").read_text()):
            if not row["id"].startswith(self.only):
                continue
            if row.pop("broken", False):
                self.skip(row["id"], "all.json", "it is broken")
                continue
            speech = row.pop("speech", None)
            self.note("rows")
            path = speech and str(Path(self.root) / speech)
            yield Utterance(corpus="toy", speech=path and Speech(path), **row)


def rows(speakers: int = 12, each: int = 8) -> list[dict[str, Any]]:
    found = []
    for s in range(speakers):
        for i in range(each):
            label = LABELS[(i + s) % 3]
            row: dict[str, Any] = {
                "id": f"s{s:02d}_{i}",
                "speaker": f"s{s:02d}",
                "session": f"t{s:02d}",
                "sentence": f"sentence {s} {i}",
                "text": f"word{i} of speaker {s} is {label} " + "and more " * (i % 4),
                "speech": f"s{s:02d}_{i}.wav",
                "emotion": label,
                "votes": {label: 7.0, "fear": 3.0},
                "arousal": 1.0 + i % 5,
                "valence": 2.0,
            }
            if i == 3:
                row |= {"emotion": None, "votes": {"sad": 4.0, "fear": 4.0, "happy": 2.0}}
                row["extra"] = {"first": "happy"}
            if i == 4:
                row["speech"] = None
            if i == 5:
                row["text"] = None
            if i == 6:
                row |= {"emotion": "fear", "votes": {"fear": 10.0}}
            if i == 7:
                row["arousal"] = None
            found.append(row)
    return found


def write(root: Path, table: list[dict[str, Any]]) -> Path:
    root.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number, row in enumerate(table):
        if row.get("speech"):
            length = int(16000 * (WAVS + 0.05 * (number % 11)))
            samples = (random.normal(size=length) * 3000).astype(np.int16)
            soundfile.write(root / row["speech"], samples, 16000)
    (root / "all.json").write_text(json.dumps(table))
    return root


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("corpus") / "toy", rows())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _settings(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(cache))
    torch.set_num_threads(1)


def needs(*modalities: str, target: Any = "emotion", **changes: Any) -> Needs:
    return Needs(
        modalities=modalities or ("speech", "text"),  # type: ignore[arg-type]
        target=target,
        labels=LABELS if target == "emotion" else (),
        tokenizer=Letters(),
        **changes,
    )


def make(root: Path, wants: Needs | None = None, **options: Any) -> Toy:
    corpus = Toy(
        str(root), **{"protocol": ALLOW, "batch": BatchOptions(max_utterances=8)} | options
    )
    corpus.needs = wants or needs()
    corpus.prepare_data()
    corpus.setup("fit")
    return corpus


def seen(loader: Any) -> list[int]:
    return [row for batch in loader for row in batch.rows.tolist()]


def ids(corpus: Corpus, some: Any) -> list[str]:
    return corpus.table.column("id", some).tolist()


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


# ---- sampling and augmentation --------------------------------------------------------


def test_balanced_sampling(tmp_path: Path) -> None:
    table = rows()
    for row in table:
        if row["emotion"] == "sad" and not row["id"].endswith(("0", "1")):
            row["emotion"] = "neutral"
    corpus = make(write(tmp_path / "c", table), ties="drop", balanced_sampling=True)
    loader = corpus.train_dataloader()
    counts = np.zeros(3)
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            counts += np.bincount(batch.emotion, minlength=3)
    plain = np.bincount(corpus.training_targets("emotion"), minlength=3)
    assert plain.max() > 1.5 * plain.min()
    np.testing.assert_allclose(counts / counts.sum(), 1 / 3, atol=0.05)


def test_text_augmentation_adds_training_copies(shared: Path) -> None:
    options: dict[str, Any] = {
        "text_augmentation": TextAugmentation(swap=0.5, deletion=0.3),
        "augment_labels": {"sadness": 250.0, "happy": 50.0},
        "ties": "drop",
    }
    plain = make(shared, needs("text"), ties="drop")
    corpus = make(shared, needs("text"), **options)
    truth = plain.training_targets("emotion")
    np.testing.assert_array_equal(truth, corpus.training_targets("emotion"))
    written = np.array([t is not None for t in corpus.table.column("text")])
    counts = np.bincount(truth, minlength=3)
    learned = np.concatenate([b.emotion for b in corpus.train_dataloader()])
    assert np.bincount(learned, minlength=3).tolist() == [
        counts[0], counts[1] + round(counts[1] * 2.5), counts[2] + round(counts[2] * 0.5),
    ]  # fmt: skip
    again = make(shared, needs("text"), **options)
    texts: list[list[list[int]]] = []
    for one in (corpus, again):
        loader = one.train_dataloader()
        loader.sampler.set_epoch(5)
        texts.append([b.tokens.tolist() for b in loader])
    assert texts[0] == texts[1]
    assert all(written[row] for row in seen(corpus.train_dataloader()))
    for split in ("val", "test"):
        assert seen(getattr(corpus, f"{split}_dataloader")()) == seen(
            getattr(plain, f"{split}_dataloader")()
        )
    changed = {
        tuple(b.tokens[i].tolist()) for b in corpus.train_dataloader() for i in range(len(b))
    }
    assert len(changed) > len(truth)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"augment_labels": {"sad": 10}}, ConfigError, "nothing says how to make them"),
        ({"augment_labels": {"disgust": 10}}, LabelError, "no utterance that is disgust"),
        ({"augment_labels": {"rage": 10}}, LabelError, "unknown emotion 'rage'"),
        ({"augment_labels": {"sad": -1}}, ConfigError, "-1 percent for sad"),
    ],
)
def test_augmentation_that_cannot_be(
    shared: Path, options: dict[str, Any], error: type[EmoflowError], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(shared, **options)


# ---- stores of frozen encoders ----------------------------------------------------------


def fill(corpus: Toy, modality: Any, views: int) -> list[FeatureStore]:
    """Keep (frame, 2) states: content's first number and the view."""
    stores = []
    for view in range(views):
        store = FeatureStore.open({"test": modality, "view": view, "root": corpus.root}, width=2)
        wanted = corpus.content_rows(modality, training_only=view > 0)
        names = {int(r): corpus.content_key(r, modality) for r in wanted}
        missing = set(store.missing(list(names.values())))
        todo = list({k: r for r, k in names.items() if k in missing}.values())
        for batch in corpus.content_batches(todo, modality):
            values, counts = (
                (batch.waveforms, batch.samples // 1000)
                if modality == "speech"
                else (batch.tokens, batch.token_counts)
            )
            for row, value, count in zip(batch.rows.tolist(), values, counts, strict=True):
                states = np.stack(
                    [np.full(int(count), float(value[1]) % 100), np.full(int(count), view)], axis=1
                )
                store.append(names[row], states.astype(np.float32))
        store.refresh()
        assert not store.missing(list(names.values()))
        stores.append(store)
    return stores


def test_stores_replace_waveforms_and_tokens(shared: Path) -> None:
    corpus = make(
        shared,
        text_augmentation=TextAugmentation(swap=0.5),
        augment_labels={"sad": 100},
    )
    plain = {
        row: (wave[:n], ids[:m])
        for b in corpus.test_dataloader()
        for row, wave, n, ids, m in zip(
            b.rows.tolist(), b.waveforms, b.samples, b.tokens, b.token_counts, strict=True
        )
    }
    corpus.stores = {"speech": fill(corpus, "speech", 3), "text": fill(corpus, "text", 1)}
    for batch in corpus.test_dataloader():
        assert batch.waveforms is None
        assert batch.tokens is None
        for place, row in enumerate(batch.rows.tolist()):
            wave, ids = plain[row]
            frames, steps = int(batch.speech_frames[place]), int(batch.text_frames[place])
            assert frames == len(wave) // 1000
            assert steps == len(ids)
            if frames:
                states = batch.speech_states[place, :frames]
                assert states.dtype == torch.float32
                np.testing.assert_allclose(states[:, 0], float(wave[1]) % 100, rtol=2e-3)
                assert not states[:, 1].any()  # the plain view
            if steps:
                np.testing.assert_allclose(
                    batch.text_states[place, :steps, 0], float(ids[1]) % 100, rtol=2e-3
                )
    loader, views = corpus.train_dataloader(), {}
    for epoch in (0, 1, 2, 1):
        loader.sampler.set_epoch(epoch)
        drawn = {}
        for batch in loader:
            heard = batch.speech_present & (batch.rows >= 0)
            for place in torch.nonzero(heard).flatten().tolist():
                drawn[int(batch.rows[place])] = int(batch.speech_states[place, 0, 1])
        assert views.setdefault(epoch, drawn) == drawn
    assert {v for d in views.values() for v in d.values()} == {0, 1, 2}
    assert views[0] != views[1]


def test_content_keys_name_contents(shared: Path) -> None:
    corpus = make(shared)
    speech = corpus.content_rows("speech")
    keys = [corpus.content_key(r, "speech") for r in speech]
    assert len(set(keys)) == len(speech)
    cut = make(shared, needs(max_seconds=0.5))
    assert cut.content_key(speech[0], "speech") != keys[0]
    again = make(shared)
    assert [again.content_key(r, "speech") for r in speech] == keys


# ---- bad input --------------------------------------------------------------------------


def test_bad_utterances(tmp_path: Path) -> None:
    table = rows()
    table[0]["broken"] = True
    root = write(tmp_path / "c", table)
    samples, _ = soundfile.read(root / table[1]["speech"])
    samples[5] = np.nan
    soundfile.write(root / table[1]["speech"], samples, 16000, "FLOAT")
    (root / table[2]["speech"]).write_bytes(b"")
    soundfile.write(root / table[9]["speech"], np.zeros(4000), 16000)
    with pytest.raises(CorpusError, match="it is broken"):
        make(root)
    for _ in range(2):
        corpus = make(root, on_bad_utterance="skip")
        reasons = {s.id: s.reason for s in corpus.skipped}
        assert set(reasons) == {"s00_0", "s00_1", "s00_2"}
        assert reasons["s00_0"] == "it is broken"
        assert "NaN" in reasons["s00_1"]
        assert "holds no samples" in reasons["s00_2"]
        assert len(corpus.table) == len(table) - 3
        assert corpus.notes["utterances whose speech is all zeros"] == 1
        assert corpus.notes["rows"] == len(table) - 1
        assert "s00_1" not in ids(corpus, corpus.splits.train)
        lines = "\n".join(corpus.describe_lines())
        assert "skipped s00_1" in lines
        assert "it is broken" in lines
    table[0]["broken"] = table[2]["broken"] = False
    (root / table[2]["speech"]).write_bytes((root / table[3]["speech"]).read_bytes())
    (root / "all.json").write_text(
        json.dumps([{k: v for k, v in r.items() if k != "broken"} for r in table])
    )
    with pytest.raises(AudioError, match="NaN or infinite"):
        make(root)


def test_a_split_without_usable_utterances(tmp_path: Path) -> None:
    table = rows()
    first = make(write(tmp_path / "c", table))
    test = set(ids(first, first.splits.test))
    for row in table:
        if row["id"] in test:
            row["arousal"] = None
    (tmp_path / "c" / "all.json").write_text(json.dumps(table))
    with pytest.raises(ProtocolError, match="the test split is empty for this task") as caught:
        make(tmp_path / "c", needs("speech", target="arousal"))
    assert "arousal" in caught.value.what
    assert str(len(test)) in caught.value.what


def test_a_split_with_one_class(shared: Path) -> None:
    wants = Needs(("speech",), "emotion", ("sad", "disgust"))
    with pytest.raises(ProtocolError, match=r"train split has one class only: all .* are sad") as e:
        make(shared, wants)
    assert "neutral" in e.value.what


def test_a_label_never_seen_in_training_is_said_aloud(shared: Path) -> None:
    corpus = make(shared, Needs(("speech",), "emotion", (*LABELS, "disgust")))
    assert any("no training utterance is disgust" in w for w in corpus.warnings)


def test_no_validation_split(shared: Path) -> None:
    corpus = make(shared, protocol=Protocol(folds=4, validation=0, on_overlap="allow"))
    with pytest.raises(ProtocolError, match="the validation split is empty"):
        corpus.val_dataloader()


def test_shared_speech_is_an_error_and_silence_is_not(tmp_path: Path) -> None:
    table = rows()
    root = write(tmp_path / "c", table)
    for row in table:
        if row["speech"] and row["id"].endswith("_0"):
            soundfile.write(root / row["speech"], np.zeros(8000), 16000)
    strict = Protocol(folds=4, validation=0.3)
    corpus = make(root, protocol=strict)
    assert corpus.notes["utterances whose speech is all zeros"] == 12
    content = (root / "s00_1.wav").read_bytes()
    for speaker in range(1, 12):
        (root / f"s{speaker:02d}_1.wav").write_bytes(content)
    with pytest.raises(ProtocolError, match="audio: train and validation share 1"):
        make(root, protocol=strict)


def test_a_corpus_that_changes_during_training(tmp_path: Path) -> None:
    root = write(tmp_path / "c", rows())
    corpus = make(root, needs("speech"))
    loaders = [corpus.train_dataloader(), corpus.val_dataloader(), corpus.test_dataloader()]
    path = root / "s05_1.wav"
    os.utime(path, ns=(1, 1))
    with pytest.raises(CorpusError, match=r"s05_1.wav: changed since") as caught:
        list(chain(*loaders))
    assert caught.value.fix


def test_batches_before_setup(shared: Path) -> None:
    with pytest.raises(ConfigError, match="asked for batches before setup"):
        Toy(str(shared)).train_dataloader()


def test_constructor_reads_nothing(tmp_path: Path) -> None:
    Toy(str(tmp_path / "absent"))


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
    assert summary["audit"] == corpus.audit.lines()
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


# ---- Lightning --------------------------------------------------------------------------------


class Mean(L.LightningModule):
    """The smallest task: a line through loudness."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Linear(1, 3)
        self.needs = needs()
        self.orders: dict[int, list[list[int]]] = {}
        self.validated: list[int] = []

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.orders.setdefault(self.current_epoch, []).append(batch.rows.tolist())
        logits = self.net(batch.waveforms.abs().mean(1, keepdim=True))
        return torch.nn.functional.cross_entropy(logits, batch.emotion_votes)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.validated += batch.rows.tolist()
        self.log("val/loss", batch.waveforms.mean(), batch_size=len(batch))

    def test_step(self, batch: Batch, index: int) -> None:
        self.log("test/loss", batch.waveforms.mean(), batch_size=len(batch))

    def predict_step(self, batch: Batch, index: int) -> torch.Tensor:
        return batch.rows

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder: Path, epochs: int, **options: Any) -> L.Trainer:
    return L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )


def new(root: Path, **options: Any) -> Toy:
    return Toy(str(root), protocol=ALLOW, batch=BatchOptions(max_utterances=8), **options)


@pytest.mark.filterwarnings("ignore")
def test_a_plain_trainer_and_a_resumed_fit(shared: Path, tmp_path: Path) -> None:
    whole = Mean()
    corpus = new(shared)
    trainer(tmp_path, 3, num_sanity_val_steps=0).fit(whole, datamodule=corpus)
    assert set(whole.orders) == {0, 1, 2}
    assert whole.orders[0] != whole.orders[1]
    assert len({len(order) for order in whole.orders.values()}) == 1
    every = [sorted(chain(*order)) for order in whole.orders.values()]
    assert every[0] == every[1] == every[2] == sorted(seen(make(shared).train_dataloader()))
    assert len(whole.validated) == 3 * len(set(whole.validated))

    first = Mean()
    begun = trainer(tmp_path, 1, num_sanity_val_steps=0)
    begun.fit(first, datamodule=new(shared))
    begun.save_checkpoint(tmp_path / "one.ckpt")
    second = Mean()
    trainer(tmp_path, 3, num_sanity_val_steps=0).fit(
        second, datamodule=new(shared), ckpt_path=tmp_path / "one.ckpt", weights_only=True
    )
    assert second.orders == {e: whole.orders[e] for e in (1, 2)}
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, second.state_dict()[name])

    tested = trainer(tmp_path, 1)
    tested.test(second, datamodule=new(shared), verbose=False)
    predicted = trainer(tmp_path, 1).predict(second, datamodule=new(shared))
    assert sorted(torch.cat(predicted).tolist()) == sorted(seen(make(shared).test_dataloader()))


@pytest.mark.filterwarnings("ignore")
def test_reloading_every_epoch_changes_nothing(shared: Path, tmp_path: Path) -> None:
    orders = []
    for every in (0, 1):
        task = Mean()
        trainer(tmp_path, 2, reload_dataloaders_every_n_epochs=every).fit(
            task, datamodule=new(shared)
        )
        orders.append(task.orders)
    assert orders[0] == orders[1]


def test_a_trainer_that_would_replace_the_batches_is_refused(shared: Path) -> None:
    class Process:
        world_size, current_epoch, lightning_module = 2, 0, None

        class _accelerator_connector:
            use_distributed_sampler = True

    corpus = make(shared)
    corpus.trainer = Process()  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="would replace the corpus's own batches") as caught:
        corpus.setup("fit")
    assert "use_distributed_sampler=False" in caught.value.fix


def test_every_process_reads_its_share(shared: Path) -> None:
    class Process:
        world_size, current_epoch, lightning_module = 2, 0, None

        def __init__(self, rank: int) -> None:
            self.global_rank = rank

    shares = []
    for rank in range(2):
        corpus = make(shared)
        corpus.trainer = Process(rank)  # type: ignore[assignment]
        shares.append([seen(corpus.train_dataloader()), seen(corpus.test_dataloader())])
    alone = make(shared)
    for place, loader in enumerate((alone.train_dataloader(), alone.test_dataloader())):
        assert set(shares[0][place]) | set(shares[1][place]) == set(seen(loader))
    assert not set(shares[0][0]) & set(shares[1][0])


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
