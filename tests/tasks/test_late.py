from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from emoflow.errors import CheckpointError
from emoflow.nets import LateFusion, MergedNet, NetConfig
from emoflow.tasks import CombineLate, EmotionClassifier, WarmStart
from emoflow.tasks.checkpoints import read_checkpoint
from tests.conftest import ENCODERS
from tests.tasks.test_base import LABELS, POOLED, corpus, net, trainer

FLAT = {"layers": 0}


def late(kind: str = "stacked", head: object = POOLED) -> EmotionClassifier:
    sides = {m: {"encoder": ENCODERS[m], "attention": FLAT} for m in ("speech", "text")}
    plain = {
        "class_path": "MergedNetConfig",
        "init_args": {**sides, "fusion": "late", "late": kind, "head": head},
    }
    return EmotionClassifier(LABELS, net=NetConfig.from_plain(NetConfig.complete(plain)))


@pytest.fixture(scope="module")
def pretrained(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pretrained")
    for modality in ("speech", "text"):
        torch.manual_seed(0)
        fit = trainer(max_epochs=2)
        fit.fit(EmotionClassifier(LABELS, net=net(modality)), corpus(demo_root))
        fit.save_checkpoint(folder / f"{modality}.ckpt")
    return {m: str(folder / f"{m}.ckpt") for m in ("speech", "text")}


def test_late_fusion_of_pretrained_nets_decides_as_they_do(
    pretrained: dict[str, str], demo_root: Path
) -> None:
    task, data = late("mean"), corpus(demo_root)
    fit = trainer(max_epochs=1, callbacks=[WarmStart(pretrained)])
    fit.fit(task, data)  # nothing learns, and nothing fails
    assert not any(p.requires_grad for p in task.parameters())
    for modality, path in pretrained.items():
        state = read_checkpoint(path)["state_dict"]
        own = task.state_dict()
        for name, value in state.items():
            part = name.removeprefix("net.")
            if part.startswith("head."):
                part = f"fusion.heads.{modality}.{part.removeprefix('head.')}"
            elif part.startswith("output."):
                part = f"fusion.outputs.{modality}.{part.removeprefix('output.')}"
            if not part.startswith("class_weights"):
                torch.testing.assert_close(own[f"net.{part}"], value, rtol=0, atol=0)
    trainer().test(task, data, verbose=False)
    one = EmotionClassifier.load_from_checkpoint(pretrained["text"])
    trainer().test(one, data, verbose=False)
    alone, within = one.predictions["text"], task.predictions["text"]
    there = np.isin(within["rows"], alone["rows"])
    np.testing.assert_allclose(within["outputs"][there], alone["outputs"], atol=1e-5)
    pair = task.predictions["speech+text"]["outputs"]
    mean = (task.predictions["speech"]["outputs"] + within["outputs"]) / 2
    both = ~np.isclose(task.predictions["speech"]["outputs"], 1 / len(LABELS)).all(1)
    both &= ~np.isclose(within["outputs"], 1 / len(LABELS)).all(1)
    np.testing.assert_allclose(pair[both], mean[both], atol=1e-5)


def test_the_combination_is_found_on_validation_alone(
    pretrained: dict[str, str], demo_root: Path
) -> None:
    task, data = late(), corpus(demo_root)
    assert CombineLate.waits(task)
    assert not CombineLate.waits(late("mean"))
    trainer(max_epochs=1, callbacks=[WarmStart(pretrained)]).fit(task, data)
    assert isinstance(task.net, MergedNet)
    fusion = task.net.fusion
    assert isinstance(fusion, LateFusion)
    assert not bool(fusion.fitted)
    before = {n: p.clone() for n, p in task.named_parameters()}

    def refuse() -> None:
        raise AssertionError("another split was read")

    data.train_dataloader = data.test_dataloader = refuse  # type: ignore[method-assign, assignment]
    losses = []
    for _ in range(2):
        quiet = trainer(callbacks=[CombineLate()])
        quiet.validate(task, data, verbose=False)  # scored before the combination is found
        losses.append(float(quiet.callback_metrics["val/loss"]))
    assert bool(fusion.fitted)
    assert losses[1] < losses[0]
    assert all(torch.equal(p, before[n]) for n, p in task.named_parameters())


def test_nets_that_do_not_fit_are_refused(pretrained: dict[str, str], demo_root: Path) -> None:
    def fit(task: EmotionClassifier) -> None:
        trainer(max_epochs=1, callbacks=[WarmStart(pretrained)]).fit(task, corpus(demo_root))

    turned = late()
    turned = EmotionClassifier(LABELS[::-1], net=turned.net_config)
    with pytest.raises(CheckpointError, match="its labels are neutral, happy, sad, angry, this"):
        fit(turned)
    with pytest.raises(CheckpointError, match="its head part does not fit this net's"):
        fit(late(head={**POOLED, "width": 9}))


def test_a_frozen_head_stays_as_it_is_while_the_rest_learns(
    pretrained: dict[str, str], demo_root: Path
) -> None:
    task = late("mean", head={**POOLED, "norm": False})
    only_text = WarmStart({"text": pretrained["text"]})
    trainer(max_epochs=1, callbacks=[only_text]).fit(task, corpus(demo_root))
    assert isinstance(task.net, MergedNet)
    state = read_checkpoint(pretrained["text"])["state_dict"]
    head = task.net.fusion.heads["text"]
    assert not head.training
    for name, value in head.state_dict().items():
        assert torch.equal(state[f"net.head.{name}"], value)
    speech = task.net.fusion.outputs["speech"].weight
    assert speech.requires_grad
