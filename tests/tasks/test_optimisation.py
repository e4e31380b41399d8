import math

import pytest
import torch
from torch import nn

from emoflow.errors import ConfigError
from emoflow.tasks import Optimisation


def _factors(options: Optimisation, steps: int = 100, per_epoch: int = 10) -> list[float]:
    return [options.factor(s, steps=steps, steps_per_epoch=per_epoch) for s in range(steps + 1)]


def test_warm_up_rises_from_near_zero_to_the_full_rate() -> None:
    factors = _factors(Optimisation(schedule="constant", warm_up=0.1))
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[:11] == sorted(factors[:11])
    assert set(factors[10:]) == {1.0}


def test_exponential_falls_by_the_decay_every_epoch() -> None:
    factors = _factors(Optimisation(schedule="exponential", decay=0.6, warm_up=0.0))
    assert [factors[s] for s in (0, 9, 10, 25)] == pytest.approx([1, 1, 0.6, 0.36])


def test_cosine_and_linear_end_at_the_final_share() -> None:
    for schedule in ("cosine", "linear"):
        factors = _factors(Optimisation(schedule=schedule, warm_up=0.0, final=0.1))
        assert factors[0] == 1.0
        assert factors[-1] == pytest.approx(0.1)
    half = _factors(Optimisation(schedule="cosine", warm_up=0.0))[50]
    assert half == pytest.approx((1 + math.cos(math.pi / 2)) / 2)


def test_vectors_get_no_weight_decay_and_frozen_weights_no_updates() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    net[2].requires_grad_(False)
    built = Optimisation(weight_decay=0.1).build(
        [(net.parameters(), 1.0)], steps=10, steps_per_epoch=5
    )
    groups = built["optimizer"].param_groups
    assert [(g["weight_decay"], len(g["params"])) for g in groups] == [(0.1, 1), (0.0, 3)]


def test_nothing_left_to_train_says_so() -> None:
    net = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        Optimisation().build([(net.parameters(), 1.0)], steps=1, steps_per_epoch=1)


def test_a_group_can_learn_more_slowly() -> None:
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    built = Optimisation(learning_rate=1e-2, warm_up=0.0).build(
        [(layers[0].parameters(), 1.0), (layers[1].parameters(), 0.1)], steps=9, steps_per_epoch=3
    )
    rates = sorted({g["lr"] for g in built["optimizer"].param_groups})
    assert rates == pytest.approx([1e-3, 1e-2])


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0.0), ("warm_up", 1.0)])
def test_impossible_options_say_so(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Optimisation(**{name: value})


def test_a_schedule_pickles_with_its_optimiser() -> None:
    built = Optimisation().build(
        [([nn.Parameter(torch.zeros(2, 2))], 1.0)], steps=4, steps_per_epoch=2
    )
    state = built["lr_scheduler"]["scheduler"].state_dict()
    assert all(isinstance(v, (int, float, list, bool, str, type(None))) for v in state.values())
