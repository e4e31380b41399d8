from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import nn

from emoflow.errors import ConfigError
from emoflow.nets import (
    AttentionConfig,
    JamoTextConfig,
    MergedNet,
    MergedNetConfig,
    NetConfig,
    PretrainedTextConfig,
    SpeechNet,
    SpeechNetConfig,
    SpeechTowerConfig,
    States,
    TextNetConfig,
    TextTowerConfig,
)
from emoflow.types import Batch
from tests.nets.conftest import NETS, POOLED, SMALL, SPEECH, TINY_BERT, make_batch, one

Build = Callable[..., nn.Module]
THREE = tuple(name for name in NETS if name.startswith("three"))
COMPILED = ("joint", "jamo", "compact speech, normed", "signals", "waveform", *THREE[-2:])
"""Between them they have every part."""
MERGED = ("joint", "joint, projected", "concatenated", "into text", "stacked", *THREE)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
def test_padding_never_changes_an_output(config: NetConfig, build: Build) -> None:
    net, batch = build(config), make_batch()
    together = net(batch)
    assert together.shape == (3, 3)
    close(net(make_batch(extra=5)), together)
    for row in range(3):
        close(net(one(batch, row))[0], together[row])


@torch.no_grad()
def test_padding_may_hold_anything(config: NetConfig, build: Build) -> None:
    net, batch = build(config), make_batch()
    expected = net(batch)
    assert batch.waveforms is not None
    assert batch.tokens is not None
    for row in range(3):
        batch.waveforms[row, int(batch.samples[row]) :] = torch.nan  # type: ignore[index]
        batch.tokens[row, int(batch.token_counts[row]) :] = 10**9  # type: ignore[index]
    close(net(batch), expected)


@torch.no_grad()
def test_order_and_companions_do_not_matter(config: NetConfig, build: Build) -> None:
    net = build(config)
    first = make_batch((8_000, 20_000), (2, 9))
    turned = make_batch((8_000, 20_000), (2, 9))
    for name in ("waveforms", "samples", "tokens", "token_counts", "signals", "signals_known"):
        setattr(turned, name, getattr(turned, name).flip(0))
    close(net(turned).flip(0), net(first))


def test_every_parameter_that_should_learn_gets_a_gradient(config: NetConfig, build: Build) -> None:
    net = build(config).train()
    torch.manual_seed(1)
    net(make_batch()).square().sum().backward()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("training", [False, True])
def test_an_absent_modality_cannot_reach_the_output(
    name: str, training: bool, build: Build
) -> None:
    config = NETS[name]
    net = build(config)
    assert isinstance(net, MergedNet)
    for module in net.modules() if training else ():
        if type(module).__name__ in ("Dropout", "SpeechAugment", "FrequencyMask"):
            module.eval()
    net.training = training
    present = torch.tensor([True, False, True])
    outputs = []
    for filler in (0.0, float("nan"), 1e6):
        torch.manual_seed(0)
        batch = make_batch()
        assert batch.waveforms is not None
        assert batch.tokens is not None
        batch.waveforms[1] = filler
        batch.tokens[0] = int(filler) if filler == 1e6 else 3
        batch.speech_present = present
        batch.text_present = torch.tensor([False, True, True])
        assert batch.signals is not None
        batch.signals[2] = filler
        batch.signals_known[2] = bool(filler)  # type: ignore[index]
        batch.signals_present = torch.tensor([True, True, False])
        outputs.append(net(batch))
    assert outputs[0].isfinite().all()
    close(outputs[1], outputs[0])
    close(outputs[2], outputs[0])
    if training:
        outputs[1].sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", MERGED)
def test_a_left_out_modality_equals_a_missing_one(name: str, build: Build) -> None:
    net, batch = build(NETS[name]), make_batch()
    gone = torch.zeros(3, dtype=torch.bool)
    speech_only = replace(batch, text_present=gone, signals_present=gone)
    missing = replace(
        batch, tokens=None, token_counts=None, text_present=None, signals=None, signals_present=None
    )
    close(net(speech_only), net(missing))
    mixed = replace(speech_only, text_present=torch.tensor([False, False, True]))
    close(net(mixed)[:2], net(missing)[:2])
    assert not torch.allclose(net(batch), net(missing))
    nothing = replace(speech_only, speech_present=torch.zeros(3, dtype=torch.bool))
    assert net(nothing).isfinite().all()
    close(net(nothing)[0], net(nothing)[1])


def test_modality_dropout_drops_about_its_share_and_never_all(build: Build) -> None:
    net = build(replace(NETS["three, joint"], modality_dropout=0.6))  # type: ignore[type-var]
    assert isinstance(net, MergedNet)
    torch.manual_seed(3)
    counts = torch.full((6_000,), 2)
    no_speech = counts.clone()
    no_speech[:2_000] = 0
    values = torch.zeros(6_000, 2, 1)
    sides = {"speech": States(values, no_speech), "text": States(values, counts),
             "signals": States(values, counts)}  # fmt: skip
    dropped = net._drop(sides)
    kept = torch.stack([side.counts > 0 for side in dropped.values()], dim=1)
    assert kept.any(dim=1).all()
    two, three = kept[:2_000], kept[2_000:]
    assert not two[:, 0].any()
    assert (~two[:, 1]).float().mean() == pytest.approx(0.3, abs=0.03)
    assert (~two[:, 2]).float().mean() == pytest.approx(0.3, abs=0.03)
    codes = (three * torch.tensor([1, 2, 4])).sum(1)
    shares = torch.bincount(codes, minlength=8) / 4_000
    expected = torch.tensor([0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4])
    torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", MERGED)
def test_every_subset_at_once_equals_one_by_one(name: str, build: Build) -> None:
    net = build(NETS[name])
    assert isinstance(net, MergedNet)
    batch = replace(make_batch(), text_present=torch.tensor([True, False, True]))
    subsets = [m for size in (1, 2, 3) for m in combinations(net.modalities, size)]
    together = net.per_subset(batch, subsets)
    for subset, outputs in zip(subsets, together, strict=True):
        close(outputs, net(batch.keep(subset)))


def test_a_net_of_fewer_modalities() -> None:
    config = NETS["three, gated"]
    assert isinstance(config, MergedNetConfig)
    assert config.only(("speech", "text", "signals")) == config
    pair = config.only(["signals", "text"])
    assert pair.modalities == ("text", "signals")
    assert pair.speech is None
    assert NetConfig.from_plain(pair.to_plain()) == pair
    with pytest.raises(ConfigError, match="no side for face"):
        config.only(["face"])
    with pytest.raises(ConfigError, match="always reads speech"):
        SpeechNetConfig().only(["text"])
    with pytest.raises(ConfigError, match="without any side"):
        replace(config, speech=None, text=None, signals=None)


def test_a_batch_without_the_nets_modality_is_refused(build: Build) -> None:
    empty = Batch(rows=torch.arange(2))
    with pytest.raises(ConfigError, match="the batch holds no speech"):
        build(NETS["published speech"])(empty)
    with pytest.raises(ConfigError, match="no speech and no text"):
        build(NETS["joint"])(empty)


KOBERT = {
    "model_type": "bert", "vocab_size": 8002, "hidden_size": 768, "num_hidden_layers": 12,
    "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512,
    "pad_token_id": 1,
}  # fmt: skip


def test_published_parameter_counts() -> None:
    with torch.device("meta"):
        speech = SpeechNetConfig().build(1)
        text = TextNetConfig(PretrainedTextConfig(architecture=KOBERT)).build(1)
        merged = MergedNetConfig(
            text=TextTowerConfig(PretrainedTextConfig(architecture=KOBERT))
        ).build(5)
    assert isinstance(speech, SpeechNet)
    layer_1024 = 4 * (768**2 + 768) + 2 * 768 * 1024 + 1024 + 768 + 4 * 768
    layer_3072 = 4 * (768**2 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    gru = 185_088
    assert count(speech) == 5_312 + 7 * layer_1024 + gru + 65 == 27_771_137
    kobert = count(text.text.encoder)  # type: ignore[operator, union-attr, arg-type]
    assert kobert == 91_596_288
    assert count(text) == kobert + 5 * layer_1024 + gru + 65
    lstm = 4 * (768 * 128 + 128 * 128 + 256) + 4 * (2 * 128 * 128 + 256)
    assert count(merged) == (5_312 + 12 * layer_1024 + kobert + 2 * layer_3072 + lstm + 5 * 128 + 5)


# ---- towers -------------------------------------------------------------------------


def tower_net(**changes: object) -> MergedNet:
    config = MergedNetConfig(
        SpeechTowerConfig(SPEECH, SMALL),
        TextTowerConfig(PretrainedTextConfig(architecture=TINY_BERT), SMALL),
        attention=SMALL,
        head=POOLED,
    )
    torch.manual_seed(0)
    net = replace(config, **changes).build(2)  # type: ignore[arg-type]
    return net


def test_frozen_parts() -> None:
    net = tower_net()
    assert net.speech.frozen_part is None
    assert net.text.frozen_part is net.text.encoder
    net.train()
    assert net.text.attention.training
    assert not any(m.training for m in net.text.encoder.modules())
    net.text.freeze()
    net.speech.freeze()
    assert net.text.frozen_part is net.text
    net.train()
    assert not any(m.training for m in net.speech.modules())
    assert net.fusion.training
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.requires_grad} == {"fusion"}


def test_frozen_by_config() -> None:
    net = tower_net(speech=SpeechTowerConfig(SPEECH, SMALL, frozen=True))
    assert net.speech.frozen_part is net.speech


@torch.no_grad()
@pytest.mark.parametrize("freeze", [False, True])
def test_stored_states_give_the_same_output(freeze: bool) -> None:
    net = tower_net().eval()
    if freeze:
        net.speech.freeze()
        net.text.freeze()
    batch = make_batch()
    expected = net(batch)
    changes: dict[str, object] = {}
    for modality, inputs in (
        ("text", (batch.tokens, batch.token_counts)),
        ("speech", (batch.waveforms, batch.samples)),
    ):
        part = getattr(net, modality).frozen_part
        if part is None:
            continue
        values, counts = part(*inputs)
        assert values.shape[-1] == part.width
        values = values.clone()
        values[torch.arange(values.shape[1]) >= counts[:, None]] = torch.nan
        changes |= {f"{modality}_states": values, f"{modality}_frames": counts}
    stored = replace(batch, tokens=None, **changes)  # type: ignore[arg-type]
    close(net(stored), expected)
    halved = {k: v.half() if v.is_floating_point() else v for k, v in changes.items()}  # type: ignore[attr-defined]
    torch.testing.assert_close(
        net(replace(batch, **halved)),
        expected,
        atol=2e-2,
        rtol=2e-2,  # type: ignore[arg-type]
    )


def test_stored_states_need_a_frozen_tower_of_their_width() -> None:
    net = tower_net()
    batch = make_batch()
    batch.speech_states = torch.zeros(3, 4, 32)
    batch.speech_frames = torch.tensor([4, 4, 4])
    with pytest.raises(ConfigError, match="not frozen"):
        net(batch)
    net.speech.freeze()
    batch.speech_states = torch.zeros(3, 4, 31)
    with pytest.raises(ConfigError, match="31 wide, the tower is 32 wide"):
        net(batch)
    with pytest.raises(ConfigError, match="neither its inputs nor stored states"):
        net.text()


def test_towers_of_unimodal_nets_fit_the_merged_net() -> None:
    merged = tower_net()
    speech = SpeechNetConfig(SPEECH, SMALL, POOLED).build(1)
    assert isinstance(speech, SpeechNet)
    merged.speech.load_state_dict(speech.speech.state_dict())
    text = TextNetConfig(PretrainedTextConfig(architecture=TINY_BERT), SMALL).build(1)
    merged.text.load_state_dict(
        {k[5:]: v for k, v in text.state_dict().items() if k.startswith("text.")}
    )


def test_impossible_merges_are_refused() -> None:
    with pytest.raises(ConfigError, match="no fusion 'early'"):
        MergedNetConfig(fusion="early")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="modality_dropout is 2"):
        MergedNetConfig(modality_dropout=2)
    with pytest.raises(ConfigError, match="heads do not divide"):
        TextNetConfig(JamoTextConfig(width=30), AttentionConfig(heads=4)).build(1)


@torch.no_grad()
def test_a_net_in_bfloat16_runs(config: NetConfig, build: Build) -> None:
    net, batch = build(config), make_batch()
    expected = net(batch)
    got = net.to(torch.bfloat16)(batch)
    assert got.dtype == torch.bfloat16
    assert (got.float() - expected).abs().max() < 0.1


@torch.no_grad()
def test_autocast(config: NetConfig, build: Build) -> None:
    net, batch = build(config), make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        near = net(batch).float()
    assert (near - net(batch)).abs().max() < 0.1


@torch.no_grad()
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_nets_give_the_same(name: str, build: Build) -> None:
    net, batch = build(NETS[name]), make_batch()
    close(torch.compile(net, backend="eager")(batch), net(batch))
