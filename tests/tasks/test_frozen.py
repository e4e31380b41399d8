from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoflow.errors import ConfigError
from emoflow.nets import NetConfig
from emoflow.tasks import EmotionClassifier, KeepFrozen
from tests.conftest import ENCODERS
from tests.tasks.test_base import LABELS, NETS, POOLED, corpus, trainer


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))


def merged(seed: int = 0, *, attention: int = 1, augmentation: Any = None) -> EmotionClassifier:
    """A merged net with both towers frozen."""
    layers = {"layers": attention, "heads": 2, "feed_forward": 16}
    speech = ENCODERS["speech"]
    if augmentation is not None:
        speech = {**speech, "init_args": {**speech["init_args"], "augmentation": augmentation}}
    towers = {
        m: {"encoder": encoder, "attention": layers, "frozen": True}
        for m, encoder in (("speech", speech), ("text", ENCODERS["text"]))
    }
    plain = {
        "class_path": "MergedNetConfig",
        "init_args": {**towers, "fusion": "joint", "attention": layers, "head": POOLED},
    }
    torch.manual_seed(seed)
    return EmotionClassifier(LABELS, net=NetConfig.from_plain(NetConfig.complete(plain)))


class Calls:
    """Counts how often frozen encoders compute."""

    def __init__(self, task: EmotionClassifier) -> None:
        self.count = 0
        for tower in (task.net.speech, task.net.text):
            tower.encoder.register_forward_hook(self.hook)

    def hook(self, *_: Any) -> None:
        self.count += 1


def fit(
    task: EmotionClassifier, root: Path, epochs: int = 1, views: int = 1, **options: Any
) -> Any:
    data = corpus(root, **options)
    trainer(max_epochs=epochs, callbacks=[KeepFrozen(views)]).fit(task, data)
    return data


def test_stored_states_give_the_outputs_of_computed_ones(demo_root: Path) -> None:
    task = merged()
    found = []
    for callbacks in ([], [KeepFrozen()]):
        calls = Calls(task)
        runner = trainer(callbacks=callbacks)
        runner.test(task, corpus(demo_root), verbose=False)
        found.append({k: dict(v) for k, v in task.predictions.items()})
        assert calls.count > 0
    for subset in ("speech+text", "speech", "text"):
        computed, stored = (one[subset] for one in found)
        assert stored["rows"].tolist() == computed["rows"].tolist()
        np.testing.assert_allclose(stored["outputs"], computed["outputs"], atol=2e-3)


def test_batches_carry_the_frozen_towers_states(demo_root: Path) -> None:
    task = merged()
    data = fit(task, demo_root)
    batch = next(iter(data.val_dataloader()))
    assert batch.waveforms is None
    assert batch.tokens is None
    (raw,) = data.content_batches(batch.rows.tolist(), "speech")
    task.eval()
    with torch.no_grad():
        values, counts = task.net.speech(raw.waveforms, raw.samples)
    place = {row: i for i, row in enumerate(raw.rows.tolist())}
    for i, row in enumerate(batch.rows.tolist()):
        steps = int(counts[place[row]])
        assert int(batch.speech_frames[i]) == steps
        np.testing.assert_allclose(
            batch.speech_states[i, :steps], values[place[row], :steps], atol=2e-3
        )


def test_states_are_computed_once_and_never_again(demo_root: Path) -> None:
    first = merged()
    calls = Calls(first)
    data = fit(first, demo_root, epochs=1)
    once = calls.count
    assert once > 0
    again = merged()
    calls = Calls(again)
    fit(again, demo_root, epochs=3)
    assert calls.count == 0
    rows = data.content_rows("speech")
    keys = {data.content_key(row, "speech") for row in rows}
    assert not data.stores["speech"][0].missing(sorted(keys))


def test_other_weights_have_another_store(demo_root: Path) -> None:
    first, other = merged(), merged()
    with torch.no_grad():
        next(other.net.text.encoder.parameters()).view(-1)[0] += 1e-3
    stores = fit(first, demo_root).stores
    calls = Calls(other)
    others = fit(other, demo_root).stores
    assert calls.count > 0
    assert others["text"][0].folder != stores["text"][0].folder
    assert others["speech"][0].folder == stores["speech"][0].folder


def test_only_the_frozen_encoder_is_stored_where_attention_learns(demo_root: Path) -> None:
    task = merged()
    for parameter in task.net.text.attention.parameters():
        parameter.requires_grad_(True)
    before = [p.clone() for p in task.net.text.attention.parameters()]
    fit(task, demo_root, epochs=2)
    after = list(task.net.text.attention.parameters())
    assert task.net.text.frozen_part is task.net.text.encoder
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_frozen_tower_stays_as_it_is_in_training(demo_root: Path) -> None:
    task = merged()
    before = {k: v.clone() for k, v in task.net.state_dict().items()}
    fit(task, demo_root, epochs=2)
    task.train()
    assert task.net.training
    for tower in (task.net.speech, task.net.text):
        assert not any(module.training for module in tower.modules())
    changed = {k for k, v in task.net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not {name for name in changed if name.startswith(("speech.", "text."))}


def batches(data: Any, epoch: int) -> Iterator[tuple[int, np.ndarray]]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    for batch in loader:
        for i, row in enumerate(batch.rows.tolist()):
            yield row, batch.speech_states[i, : int(batch.speech_frames[i])].numpy()


def test_views_are_drawn_per_epoch_and_validation_sees_the_plain_one(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    augmentation = {"mask_mels": [4, 8], "mask_frames": 4, "mask_fill": "middle", "masks": 1}
    data = fit(merged(augmentation=augmentation), demo_root, views=3)
    stores = data.stores["speech"]
    assert len(stores) == 3
    assert len(data.stores["text"]) == 1  # nothing in it augments
    chosen: list[dict[int, int]] = []
    for epoch in range(4):
        drawn = dict(batches(data, epoch))
        again = dict(batches(data, epoch))
        views = {}
        for row, states in drawn.items():
            np.testing.assert_array_equal(states, again[row])
            key = data.content_key(row, "speech")
            (views[row],) = (v for v in range(3) if np.array_equal(states, stores[v][key]))
        chosen.append(views)
    assert chosen[0] != chosen[1]
    assert {v for views in chosen for v in views.values()} == {0, 1, 2}
    for batch in data.val_dataloader():
        for i, row in enumerate(batch.rows.tolist()):
            plain = stores[0][data.content_key(row, "speech")]
            np.testing.assert_array_equal(
                batch.speech_states[i, : int(batch.speech_frames[i])], plain
            )
            key = data.content_key(row, "speech")
            assert stores[1].missing([key]) == [key]  # views are for training only

    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "another"))
    # other batches, the same views
    anew = fit(merged(augmentation=augmentation), demo_root, 1, 3, utterances=5).stores["speech"]
    assert anew[1].folder != stores[1].folder
    for row in data.content_rows("speech", training_only=True)[:20]:
        key = data.content_key(row, "speech")
        for view in range(3):
            np.testing.assert_allclose(anew[view][key], stores[view][key], atol=2e-3)


def test_a_net_without_frozen_parts_reads_the_corpus_itself(demo_root: Path) -> None:
    net = NetConfig.from_plain(NetConfig.complete(NETS["text"]))
    data = fit(EmotionClassifier(LABELS, net=net), demo_root)
    assert data.stores == {}


def test_views_must_be_a_number_from_one_on() -> None:
    with pytest.raises(ConfigError, match=r"views is 0\n.*1 \(no augmentation\) or more"):
        KeepFrozen(0)
