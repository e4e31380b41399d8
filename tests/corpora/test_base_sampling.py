from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoflow.data.store import FeatureStore
from emoflow.errors import (
    ConfigError,
    EmoflowError,
    LabelError,
)
from emoflow.frontends.augment_text import TextAugmentation
from tests.corpora.toy import Toy, make, needs, rows, seen, write

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
