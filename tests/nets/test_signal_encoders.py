from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from emoflow.errors import ConfigError
from emoflow.nets import (
    HeadConfig,
    SignalFeaturesEncoderConfig,
    SignalNetConfig,
    SignalSequenceConfig,
    Standardise,
)
from emoflow.types import Batch
from tests.nets.conftest import make_batch, one, settle

READINGS = SignalNetConfig(
    SignalSequenceConfig(channels=(8, 16)), head=HeadConfig(kind="gru", width=8)
)


def parts(sizes: tuple[int, ...], seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for size in sizes:
        values = 40 + 3 * torch.randn(size, 2, 4, generator=generator)
        found.append((values, torch.rand(size, 2, 4, generator=generator) < 0.6))
    return found


def test_mean_and_deviation_are_those_of_what_is_known() -> None:
    standard, given = Standardise(4, "numbers"), parts((5, 1, 9))
    standard.fit(given)
    values = torch.cat([v for v, _ in given]).double().flatten(0, 1).numpy()
    known = torch.cat([k for _, k in given]).flatten(0, 1).numpy()
    columns = [values[known[:, n], n] for n in range(4)]
    np.testing.assert_allclose(standard.mean, [c.mean() for c in columns], rtol=1e-6)
    np.testing.assert_allclose(standard.scale, [c.std(ddof=1) for c in columns], rtol=1e-5)
    before = standard.mean.clone()
    standard.fit(parts((3,), seed=9))  # only once
    assert torch.equal(standard.mean, before)


def test_unknown_numbers_never_count() -> None:
    nothing = Standardise(4, "biosignals")
    with pytest.raises(ConfigError, match="no training utterance has biosignals"):
        nothing.fit([(torch.full((3, 4), torch.nan), torch.zeros(3, 4, dtype=torch.bool))])
    values = torch.tensor([[1.0, torch.nan], [3.0, torch.nan], [5.0, 7.0]])
    known = torch.tensor([[True, False], [True, False], [True, True]])
    standard = Standardise(2, "biosignals")
    standard.fit([(values, known)])
    assert standard.mean.tolist() == [3.0, 7.0]
    assert standard.scale.tolist() == [2.0, 1.0]  # what never varies is only shifted


@torch.no_grad()
def test_readings_padding_and_unknown_numbers_do_not_matter() -> None:
    torch.manual_seed(0)
    net = settle(READINGS.build(3))
    batch = make_batch(readings=True)
    together = net(batch)
    torch.testing.assert_close(net(make_batch(readings=True, extra=9)), together)
    for row in range(3):
        alone = net(one(batch, row))[0]
        torch.testing.assert_close(alone, together[row], atol=1e-5, rtol=1e-5)
    assert batch.signals is not None
    assert batch.signals_known is not None
    assert batch.signal_steps is not None
    torch.testing.assert_close(
        net(replace(batch, signals=batch.signals.masked_fill(~batch.signals_known, 1e5))), together
    )
    behind = torch.arange(batch.signals.shape[1]) >= batch.signal_steps[:, None]
    batch.signals[behind] = torch.nan
    batch.signals_known[behind] = True
    torch.testing.assert_close(net(batch), together)


def test_the_published_net_has_three_layers() -> None:
    net = SignalNetConfig(SignalFeaturesEncoderConfig(hidden=(64, 32))).build(7)
    shapes = [tuple(p.shape) for n, p in net.named_parameters() if n.endswith("weight")]
    assert shapes == [(64, 62), (32, 64), (7, 32)]  # 31 features and which of them are known


def test_features_are_scaled_by_the_training_batches_and_clipped() -> None:
    config = SignalFeaturesEncoderConfig(clip=2.0)
    encoder = config.build_encoder()
    encoder.fit_inputs([make_batch(seed=s) for s in range(8)])
    values = encoder.standard.mean + encoder.standard.scale * torch.linspace(-9, 9, 31)
    inputs = torch.cat((values, torch.ones(31)))[None, None]
    scaled = encoder.scaled(inputs, torch.tensor([1]))[0, 0]
    torch.testing.assert_close(scaled[:31], torch.linspace(-9, 9, 31).clamp(-2, 2))
    assert scaled[31:].tolist() == [1.0] * 31


def test_what_is_missing_is_said() -> None:
    net = SignalNetConfig().build(2)
    with pytest.raises(ConfigError, match="mean and deviation of what it makes of biosignals"):
        net(make_batch())
    with pytest.raises(ConfigError, match="the batch holds no signals"):
        net(Batch(rows=torch.arange(2)))
    with pytest.raises(ConfigError, match="3 numbers of biosignals per step, the net reads 31"):
        net(make_batch(readings=True))
    with pytest.raises(ConfigError, match="widths"):
        SignalFeaturesEncoderConfig(hidden=())
    with pytest.raises(ConfigError, match="no middle"):
        SignalSequenceConfig(kernel=4)
