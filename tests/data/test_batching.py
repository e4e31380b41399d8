from __future__ import annotations

import pickle
from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from emoflow.data.batching import LengthBatchSampler
from emoflow.errors import ConfigError

# Seconds from, to, and utterances: KEMDy20
KEMDY20 = [
    (0.7, 4.1, 6080), (4.1, 7.6, 3871), (7.6, 11, 1819), (11, 14.5, 949), (14.5, 18, 422),
    (18, 21.4, 208), (21.4, 25, 90), (25, 28.3, 17), (28.3, 35, 6),
]  # fmt: skip


def kemdy_seconds(count=9000, seed=0):
    random = np.random.default_rng(seed)
    whole = np.concatenate([random.uniform(a, b, n) for a, b, n in KEMDY20])
    return random.choice(whole, count, replace=False)


@st.composite
def cases(draw):
    lengths = draw(st.lists(st.floats(0, 50, width=32), max_size=150))
    return np.array(lengths), {
        "max_utterances": draw(st.integers(1, 9)),
        "max_total": draw(st.none() | st.floats(1, 200)),
        "shuffle": draw(st.booleans()),
        "seed": draw(st.integers(0, 5)),
        "longest_first": draw(st.booleans()),
    }


def ranks(lengths, world_size, epoch=0, **options):
    samplers = [
        LengthBatchSampler(lengths, rank=r, world_size=world_size, **options)
        for r in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return samplers, [list(sampler) for sampler in samplers]


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(1, 4), st.integers(0, 20))
def test_coverage_budget_equal_ranks_and_determinism(case, world_size, epoch):
    lengths, options = case
    samplers, batches = ranks(lengths, world_size, epoch, **options)
    # the same number on every rank, in every epoch
    assert {len(b) for b in batches} == {len(samplers[0])}
    samplers[0].set_epoch(epoch + 1)
    assert len(list(samplers[0])) == len(samplers[0])
    # every utterance once; repeats only when there are only single utterances left
    flat = [row for batch in chain(*batches) for row in batch]
    assert set(flat) == set(range(len(lengths)))
    if len(flat) > len(lengths):
        assert all(len(batch) == 1 for batch in chain(*batches))
        assert len(flat) - len(lengths) < world_size
    for batch in chain(*batches):
        assert 1 <= len(batch) <= options["max_utterances"]
        if options["max_total"] is not None and len(batch) > 1:
            assert max(lengths[batch]) * len(batch) <= options["max_total"] * (1 + 1e-9)
    # a fresh sampler, as after a resume, gives the same
    assert ranks(lengths, world_size, epoch, **options)[1] == batches
    assert 0 <= samplers[0].padded_share < 1


def test_epochs_differ_and_seeds_differ():
    lengths = kemdy_seconds(500)
    plans = {
        (seed, epoch): str(ranks(lengths, 1, epoch, shuffle=True, seed=seed)[1])
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(plans.values())) == 4
    assert ranks(lengths, 1, 0)[1] == ranks(lengths, 1, 7)[1]


def test_small_corpora_get_new_batches_every_epoch():
    lengths = np.random.default_rng(0).normal(3.7, 0.4, 1000)
    seen = Counter()
    for epoch in range(4):
        for batch in ranks(lengths, 1, epoch, shuffle=True)[1][0]:
            seen.update({frozenset(pair) for pair in pairwise(batch)})
    assert np.mean(list(seen.values())) < 1.2


def test_little_padding_on_kemdy20():
    lengths = kemdy_seconds()
    shuffled = np.random.default_rng(1).permutation(9000)[: 9000 // 32 * 32].reshape(-1, 32)
    plain = 1 - lengths[shuffled].sum() / (lengths[shuffled].max(axis=1) * 32).sum()
    training = LengthBatchSampler(lengths, shuffle=True, max_total=240.0)
    assert plain > 0.6
    assert training.padded_share < 0.06
    assert LengthBatchSampler(lengths, max_total=240.0).padded_share < 0.01
    assert len(training) < 1.04 * len(LengthBatchSampler(lengths, max_total=240.0))


def test_evaluation_starts_with_the_longest():
    lengths = kemdy_seconds(300)
    longest = [lengths[b].max() for b in ranks(lengths, 1)[1][0]]
    assert longest == sorted(longest, reverse=True)


def test_longest_first():
    lengths = kemdy_seconds(2000)
    for epoch in range(3):
        samplers, _ = ranks(lengths, 1, epoch, shuffle=True, longest_first=True, max_total=240)
        cost = [lengths[b].max() * len(b) for b in samplers[0].plan()]
        assert cost[0] == max(cost)


def test_batches_of_one_step_are_alike():
    lengths = kemdy_seconds(4000)
    _, batches = ranks(lengths, 4, shuffle=True, max_total=240)
    cost = np.array([[lengths[b].max() * len(b) for b in rank] for rank in batches])
    assert np.median(cost.max(axis=0) / cost.min(axis=0)) < 1.1


def test_an_utterance_beyond_the_budget_stands_alone():
    _, batches = ranks([500.0, 1.0, 1.0, float("nan")], 1, max_total=10)
    assert batches[0] == [[0], [1, 2, 3]]


def test_the_last_batch_is_not_tiny():
    for shuffle in (False, True):
        _, batches = ranks(np.ones(129), 1, shuffle=shuffle)
        assert min(len(b) for b in batches[0]) >= 16


def test_rows_are_given_back():
    sampler = LengthBatchSampler([1, 2, 3], rows=[10, 20, 30], max_utterances=2)
    assert list(sampler) == [[30, 20], [10]]
    assert all(type(row) is int for batch in sampler for row in batch)


def test_empty():
    samplers, batches = ranks([], 2, shuffle=True)
    assert batches == [[], []]
    assert len(samplers[0]) == 0
    assert samplers[0].padded_share == 0


def imbalanced(count=9000):
    random = np.random.default_rng(3)
    classes = random.choice(5, count, p=[0.87, 0.09, 0.02, 0.01, 0.01])
    weights = (1 / np.bincount(classes))[classes]
    return kemdy_seconds(count), classes, weights


@pytest.mark.parametrize("world_size", [1, 3])
def test_balanced_sampling(world_size):
    lengths, classes, weights = imbalanced()
    drawn_in_epoch = []
    for epoch in range(3):
        options = {"shuffle": True, "weights": weights, "max_total": 240.0}
        samplers, batches = ranks(lengths, world_size, epoch, **options)
        assert {len(b) for b in batches} == {len(samplers[0])}
        drawn = np.array([row for batch in chain(*batches) for row in batch])
        assert len(drawn) == len(lengths)
        share = np.bincount(classes[drawn]) / len(drawn)
        assert share == pytest.approx([0.2] * 5, abs=0.002)
        times = np.bincount(drawn, minlength=len(lengths))
        expected = weights / weights.sum() * len(lengths)
        assert (abs(times - expected) < 2).all()
        assert ranks(lengths, world_size, epoch, **options)[1] == batches
        drawn_in_epoch.append(set(drawn[classes[drawn] == 0]))
    first, second = drawn_in_epoch[:2]
    assert len(first & second) / len(first) < 0.4  # 1,800 of 7,800: chance is .23


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 50), st.sampled_from([0.0, 0.1, 1, 7])), min_size=1),
    st.integers(0, 3),
    st.integers(1, 3),
)
def test_weights_of_any_kind(pairs, epoch, world_size):
    lengths, weights = np.array(pairs).T
    if not weights.any():
        weights[0] = 1
    options = {"shuffle": True, "weights": weights, "max_utterances": 4, "max_total": 60.0}
    samplers, batches = ranks(lengths, world_size, epoch, **options)
    drawn = [row for batch in chain(*batches) for row in batch]
    assert {len(b) for b in batches} == {len(samplers[0])}
    assert len(drawn) >= len(lengths)
    assert (weights[drawn] > 0).all()
    for batch in chain(*batches):
        assert len(batch) == 1 or max(lengths[batch]) * len(batch) <= 60 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_utterances": 0}, "data.batch.max_utterances"),
        ({"max_total": 0}, "data.batch.max_seconds"),
        ({"rank": 2, "world_size": 2}, "no rank 2 among 2"),
        ({"seed": -1}, "data.seed"),
        ({"weights": np.ones(3)}, "balanced sampling needs shuffle"),
        ({"weights": np.ones(2), "shuffle": True}, "one finite weight per utterance"),
        ({"weights": np.zeros(3), "shuffle": True}, "not all 0"),
        ({"weights": np.array([1, -1, 1]), "shuffle": True}, "none negative"),
        ({"weights": np.array([1, np.nan, 1]), "shuffle": True}, "finite"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        LengthBatchSampler([1.0, 2.0, 3.0], **options)


def test_with_a_data_loader():
    sampler = LengthBatchSampler(kemdy_seconds(100), shuffle=True, max_utterances=8)
    loader = DataLoader(list(range(100)), batch_sampler=sampler)
    first = [b.tolist() for b in loader]
    loader.batch_sampler.sampler.set_epoch(3)  # as Lightning does
    assert sampler.epoch == 3
    third = [b.tolist() for b in loader]
    assert first != third
    assert len(loader) == len(first) == len(third)
    copy = pickle.loads(pickle.dumps(sampler))
    assert list(copy) == third
