from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from emoflow.nets import HeadConfig, LateFusion
from emoflow.nets.late import LateKind

MEAN = HeadConfig(kind="mean")


def fusion(kind: LateKind, outputs: int = 3, count: int = 2) -> LateFusion:
    names = ("speech", "text", "signals")[:count]
    torch.manual_seed(0)
    return LateFusion(dict.fromkeys(names, MEAN), dict.fromkeys(names, 4), outputs, kind)


def drawn(
    count: int, seed: int = 0, noise: tuple[float, ...] = (1.0, 3.0)
) -> tuple[Tensor, Tensor]:
    """Decisions of modalities about three classes, the later ones worse, and the truth."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (count,), generator=generator)
    clear = 2.0 * F.one_hot(truth, 3)
    sides = [clear + n * torch.randn(count, 3, generator=generator) for n in noise]
    return torch.stack(sides, dim=1), truth


def test_the_mean_is_that_of_the_probabilities_that_are_present() -> None:
    decisions, _ = drawn(6)
    present = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1], [1, 1]]).bool()
    found = fusion("mean").combine(decisions, present).softmax(-1).numpy()
    shares = decisions.softmax(-1).numpy()
    np.testing.assert_allclose(found[0], shares[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(found[1], shares[1, 0], atol=1e-6)
    np.testing.assert_allclose(found[2], shares[2, 1], atol=1e-6)
    np.testing.assert_allclose(found[3], [1 / 3] * 3, atol=1e-6)


@pytest.mark.parametrize("kind", ["weighted", "stacked"])
def test_until_a_combination_is_found_it_is_the_mean(kind: LateKind) -> None:
    decisions, _ = drawn(9)
    present = torch.ones(9, 2, dtype=torch.bool)
    mean = fusion("mean").combine(decisions, present)
    torch.testing.assert_close(fusion(kind).combine(decisions, present), mean)


@pytest.mark.parametrize("kind", ["mean", "weighted", "stacked"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_what_is_absent_never_reaches_the_result(kind: LateKind, outputs: int) -> None:
    net = fusion(kind, outputs)
    net.powers.copy_(torch.tensor([0.3, 1.7]))
    net.offsets.normal_(generator=torch.Generator().manual_seed(1))
    net.fitted.fill_(True)
    decisions = drawn(4)[0][..., :outputs]
    present = torch.tensor([[True, False]] * 4)
    expected = net.combine(decisions, present)
    for filler in (0.0, 1e9, float("nan")):
        decisions[:, 1] = filler
        torch.testing.assert_close(net.combine(decisions, present), expected)
    assert net.combine(decisions, torch.zeros_like(present)).isfinite().all()


def test_weights_prefer_the_modality_that_knows_more() -> None:
    decisions, truth = drawn(600)
    present = torch.ones(600, 2, dtype=torch.bool)

    def loss(outputs: Tensor) -> Tensor:
        return F.cross_entropy(outputs, truth)

    losses = {}
    fresh, fresh_truth = drawn(4_000, seed=1)
    everyone = torch.ones(4_000, 2, dtype=torch.bool)
    for kind in ("mean", "weighted", "stacked"):
        net = fusion(kind)
        net.fit_combination(decisions, present, loss)
        assert bool(net.fitted) == (kind != "mean")
        losses[kind] = float(F.cross_entropy(net.combine(fresh, everyone), fresh_truth))
        again = fusion(kind)
        again.fit_combination(decisions, present, loss)
        assert torch.equal(again.powers, net.powers)
    assert losses["stacked"] < losses["weighted"] < losses["mean"]
    # The independent reference sees both modalities' log probabilities and every class.
    features = [d.log_softmax(-1).flatten(1).numpy() for d in (decisions, fresh)]
    reference = LogisticRegression(max_iter=2_000).fit(features[0], truth.numpy())
    best = -np.log(reference.predict_proba(features[1])[np.arange(4_000), fresh_truth.numpy()])
    assert losses["stacked"] < best.mean() + 0.02


def test_a_stacked_combination_is_good_for_every_subset() -> None:
    decisions, truth = drawn(900, noise=(1.0, 2.0, 3.0))
    present = torch.ones(900, 3, dtype=torch.bool)
    net = fusion("stacked", count=3)
    net.fit_combination(decisions, present, lambda out: F.cross_entropy(out, truth))
    fresh, fresh_truth = drawn(4_000, seed=1, noise=(1.0, 2.0, 3.0))
    scores = {}
    for subset in ((0,), (1,), (2,), (0, 1), (0, 1, 2)):
        there = torch.zeros(4_000, 3, dtype=torch.bool)
        there[:, list(subset)] = True
        predicted = net.combine(fresh, there).argmax(-1)
        scores[subset] = float((predicted == fresh_truth).float().mean())
        if len(subset) == 1:  # no worse than what the modality says by itself
            own = fresh[:, subset[0]].argmax(-1)
            assert scores[subset] > float((own == fresh_truth).float().mean()) - 0.02
    assert scores[0, 1, 2] >= scores[0, 1] > scores[0,] > scores[1,] > scores[2,]


def test_values_are_weighed_and_shifted() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(500, generator=generator)
    sides = torch.stack(
        [
            truth + 1.0 + 0.2 * torch.randn(500, generator=generator),
            truth - 2.0 + 1.0 * torch.randn(500, generator=generator),
        ],
        dim=1,
    )[..., None]
    present = torch.ones(500, 2, dtype=torch.bool)
    errors = {}
    for kind in ("mean", "weighted", "stacked"):
        net = fusion(kind, outputs=1)
        net.fit_combination(sides, present, lambda out: F.mse_loss(out[:, 0], truth))
        errors[kind] = float(F.mse_loss(net.combine(sides, present)[:, 0], truth))
    assert errors["stacked"] < 0.06 < errors["weighted"] < errors["mean"]
