from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emoflow.errors import ConfigError
from emoflow.nets import AttentionConfig, SelfAttention, States
from emoflow.nets.attention import CrossAttention


def pair(norm: str, activation: str) -> tuple[SelfAttention, nn.TransformerEncoder]:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(
        24, 4, 40, 0.1, activation, batch_first=True, norm_first=norm == "pre"
    )
    last = nn.LayerNorm(24) if norm == "pre" else None
    stack = nn.TransformerEncoder(theirs, 2, last, enable_nested_tensor=False).eval()
    for parameter in stack.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    config = AttentionConfig(2, 4, 40, norm=norm, activation=activation)  # type: ignore[arg-type]
    mine = SelfAttention(24, config).eval()
    for layer, other in zip(mine.layers, stack.layers, strict=True):
        layer.take(other)
    if last is not None:
        mine.last_norm.load_state_dict(stack.norm.state_dict())
    return mine, stack


@pytest.mark.parametrize(
    ("norm", "activation"), itertools.product(("post", "pre"), ("relu", "gelu"))
)
def test_equals_torchs_encoder(norm: str, activation: str) -> None:
    mine, theirs = pair(norm, activation)
    values, counts = torch.randn(3, 9, 24), torch.tensor([9, 4, 1])
    beyond = torch.arange(9) >= counts[:, None]
    expected = theirs(values, src_key_padding_mask=beyond)
    got = mine(States(values, counts)).values
    torch.testing.assert_close(got[~beyond], expected[~beyond], atol=1e-5, rtol=1e-5)
    full = torch.full((3,), 9)
    torch.testing.assert_close(
        mine(States(values, full)).values, theirs(values), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("norm", ["post", "pre"])
@torch.no_grad()
def test_attention_to_another_sequence_equals_torchs(norm: str) -> None:
    mine, theirs = pair(norm, "relu")
    cross = CrossAttention(24, mine.config).eval()
    cross.own.load_state_dict(mine.state_dict())
    states = States(torch.randn(3, 9, 24), torch.tensor([9, 4, 0]))
    source = States(torch.randn(3, 5, 24), torch.tensor([5, 2, 0]))
    beyond = torch.arange(5) >= source.counts[:, None]
    expected = states.values
    for layer in theirs.layers:
        asks = layer.norm1(expected) if norm == "pre" else expected
        heard = layer.self_attn(asks, source.values, source.values, key_padding_mask=beyond)[0]
        expected = expected + heard if norm == "pre" else layer.norm1(expected + heard)
        wide = layer.norm2(expected) if norm == "pre" else expected
        fed = layer.linear2(layer.linear1(wide).relu())
        expected = expected + fed if norm == "pre" else layer.norm2(expected + fed)
    if theirs.norm is not None:
        expected = theirs.norm(expected)
    got = cross(states, source)
    torch.testing.assert_close(got.values[0], expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.values[1, :4], expected[1, :4], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.values[2], states.values[2])  # nothing to attend to
    assert cross(states, None) is states


def test_gradients_equal_torchs_in_training() -> None:
    mine, theirs = pair("post", "relu")
    for stack in (mine, theirs):
        for module in stack.train().modules():
            for name in ("probability", "p"):
                if hasattr(module, name):
                    setattr(module, name, 0.0)
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = 0.0
    values = torch.randn(2, 6, 24)
    results = []
    for stack, argument in ((mine, States(values, torch.tensor([6, 6]))), (theirs, values)):
        out = stack(argument)
        (out.values if isinstance(out, States) else out).square().sum().backward()
        results.append(stack.layers[0])
    torch.testing.assert_close(
        results[0].project_in.weight.grad,
        results[1].self_attn.in_proj_weight.grad,
        atol=1e-4,
        rtol=1e-4,
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(0, 3))
def test_padding_and_its_content_change_nothing(counts: list[int], extra: int) -> None:
    torch.manual_seed(1)
    net = SelfAttention(8, AttentionConfig(2, 2, 16, positions="sinusoidal")).eval()
    longest = max(counts) + extra
    if longest == 0:
        return
    values = torch.randn(len(counts), longest, 8)
    values[torch.arange(longest) >= torch.tensor(counts)[:, None]] = torch.nan
    out = net(States(values, torch.tensor(counts))).values
    assert out.isfinite().all()
    for row, count in enumerate(counts):
        if count:
            alone = net(States(values[row : row + 1, :count], torch.tensor([count]))).values
            torch.testing.assert_close(out[row, :count], alone[0], atol=1e-5, rtol=1e-5)


def test_no_layers_pass_unchanged() -> None:
    states = States(torch.randn(2, 3, 5), torch.tensor([3, 2]))
    assert SelfAttention(5, AttentionConfig(layers=0))(states) is states


def test_positions_break_the_symmetry() -> None:
    values = torch.randn(1, 1, 8).expand(1, 4, 8)
    counts = torch.tensor([4])
    for positions, differ in (("none", False), ("sinusoidal", True)):
        config = AttentionConfig(1, 2, 16, positions=positions)  # type: ignore[arg-type]
        out = SelfAttention(8, config).eval()(States(values, counts)).values
        assert torch.allclose(out[0, 0], out[0, 3], atol=1e-5) is not differ


def test_published_parameter_count() -> None:
    stack = SelfAttention(768, AttentionConfig())
    layer = 4 * (768 * 768 + 768) + 2 * 768 * 1024 + 1024 + 768 + 4 * 768
    assert sum(p.numel() for p in stack.parameters()) == 7 * layer == 27_580_672


def test_impossible_stacks_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 heads do not divide the width 10"):
        SelfAttention(10, AttentionConfig())
    with pytest.raises(ConfigError, match="even width"):
        SelfAttention(5, AttentionConfig(heads=1, positions="sinusoidal"))
    with pytest.raises(ConfigError, match="-1 layers"):
        AttentionConfig(layers=-1)


def test_bfloat16_autocast_is_close_and_compiles_into_one_graph() -> None:
    net = SelfAttention(16, AttentionConfig(2, 4, 32)).eval()
    states = States(torch.randn(2, 6, 16), torch.tensor([6, 3]))
    expected = net(states).values
    with torch.autocast("cpu", torch.bfloat16):
        near = net(states).values.float()
    torch.testing.assert_close(near[0], expected[0], atol=0.1, rtol=0.1)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(states).values[0], expected[0])
