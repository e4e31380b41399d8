from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.nets.states import States, join, key_mask, without_padding

lengths = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(lengths, st.integers(1, 3), st.integers(1, 3))
def test_join_leaves_no_gap(counts: list[tuple[int, int]], more: int, extra: int) -> None:
    first_counts = torch.tensor([a for a, _ in counts])
    second_counts = torch.tensor([b for _, b in counts])
    first = States(torch.randn(len(counts), int(first_counts.max()) + more, 3), first_counts)
    second = States(torch.randn(len(counts), int(second_counts.max()) + extra, 3), second_counts)
    values, total = join(first, second)
    assert total.tolist() == [a + b for a, b in counts]
    for row, (a, b) in enumerate(counts):
        expected = torch.cat((first.values[row, :a], second.values[row, :b]))
        assert torch.equal(values[row, : a + b], expected)
        assert values[row, a + b :].abs().sum() == 0


def test_join_while_compiling_gives_the_same_real_steps() -> None:
    first = States(torch.randn(2, 4, 3), torch.tensor([2, 4]))
    second = States(torch.randn(2, 3, 3), torch.tensor([3, 0]))
    compiled = torch.compile(join, fullgraph=True, backend="eager")(first, second)
    eager = join(first, second)
    assert compiled.values.shape[1] == 7
    assert torch.equal(compiled.values[:, : eager.values.shape[1]], eager.values)


def test_no_mask_without_padding() -> None:
    values = torch.randn(2, 3, 1)
    assert key_mask(States(values, torch.tensor([3, 3]))) is None
    mask = key_mask(States(values, torch.tensor([3, 1])))
    assert mask is not None
    assert mask.tolist() == [[True] * 3, [True, False, False]]


def test_without_padding_wipes_whatever_stands_there() -> None:
    values = torch.full((1, 3, 2), torch.nan)
    values[:, :1] = 1
    wiped = without_padding(States(values, torch.tensor([1]))).values
    assert torch.equal(wiped[0], torch.tensor([[1.0, 1.0], [0, 0], [0, 0]]))
