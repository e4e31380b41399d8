from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.collate import Collator, Loaded, pad
from emoflow.data.store import FeatureStore
from emoflow.types import Needs


class Tokens:
    pad_id = 7
    vocabulary_size = 10


def wave(count):
    return np.linspace(-1, 1, count, dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.none() | st.integers(0, 9), min_size=1, max_size=6),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([np.float16, np.float32, np.float64, np.int16, np.int32]),
    st.sampled_from([torch.float32, torch.int64]),
)
def test_pad(lengths, width, source, dtype):
    random = np.random.default_rng(0)
    trailing = () if width is None else (width,)
    arrays = [
        None if n is None else random.integers(-9, 9, size=(n, *trailing)).astype(source)
        for n in lengths
    ]
    padded, counts = pad(arrays, dtype=dtype, value=5, width=width)
    assert padded.dtype == dtype
    assert padded.shape == (len(lengths), max(1, *(n or 0 for n in lengths), 0), *trailing)
    assert counts.tolist() == [n or 0 for n in lengths]
    for row, array, count in zip(padded.numpy(), arrays, counts, strict=True):
        assert (row[count:] == 5).all()
        if array is not None:
            np.testing.assert_array_equal(row[:count], array)


def test_pad_takes_lists():
    padded, counts = pad([[1, 2], [3]], dtype=torch.int64, value=9)
    assert padded.tolist() == [[1, 2], [3, 9]]
    assert counts.tolist() == [2, 1]


def test_views_of_a_store_are_copied_without_a_word(tmp_path):
    values = np.arange(6, dtype=np.float16).reshape(3, 2)
    with FeatureStore.open({}, 2, root=tmp_path) as store:
        store.append("a", values)
        store.append("b", values[:0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        padded, counts = pad([store["a"], store["b"]], dtype=torch.float32, width=2)
    np.testing.assert_array_equal(padded[0], values)
    assert counts.tolist() == [3, 0]
    padded[:] = 9
    np.testing.assert_array_equal(store["a"], values)


def test_strided_read_only_arrays():
    strided = np.arange(8, dtype=np.float32).reshape(4, 2)[:, 0]
    strided.flags.writeable = False
    assert pad([strided], dtype=torch.float32)[0].tolist() == [[0, 2, 4, 6]]


def test_speech_and_text():
    needs = Needs(("speech", "text"), "emotion", ("sad", "angry"), tokenizer=Tokens())
    batch = Collator(needs)(
        [
            Loaded(4, wave(5), [2, 3, 4], emotion=1),
            Loaded(9, None, [2], emotion=0),
            Loaded(2, wave(2), None),
        ]
    )
    assert batch.rows.tolist() == [4, 9, 2]
    assert batch.waveforms.shape == (3, 5)
    assert batch.waveforms.dtype == torch.float32
    assert batch.samples.tolist() == [5, 0, 2]
    assert batch.speech_present.tolist() == [True, False, True]
    assert batch.tokens.tolist() == [[2, 3, 4], [2, 7, 7], [7, 7, 7]]
    assert batch.token_counts.tolist() == [3, 1, 0]
    assert batch.text_present.tolist() == [True, True, False]
    assert batch.emotion.tolist() == [1, 0, -1]
    assert batch.arousal is None
    assert batch.valence is None
    assert batch.emotion_votes is None
    assert batch.speech_states is None
    assert len(batch) == 3


def test_only_what_was_asked_for():
    loaded = [Loaded(0, wave(3), [1], emotion=1, arousal=2.5, valence=None)]
    batch = Collator(Needs(("speech",), "arousal"))(loaded)
    assert batch.tokens is None
    assert batch.text_present is None
    assert batch.emotion is None
    assert batch.arousal.tolist() == [2.5]
    assert batch.valence is None
    whole = Collator(Needs(("text",)))(loaded)
    assert whole.waveforms is None
    assert whole.emotion.tolist() == [1]
    assert whole.arousal.tolist() == [2.5]
    assert math.isnan(whole.valence.item())


def test_a_modality_nobody_has():
    batch = Collator(Needs(("speech", "text")))([Loaded(0), Loaded(1)])
    assert batch.waveforms.shape == (2, 1)
    assert batch.tokens.shape == (2, 1)
    assert not batch.speech_present.any()
    assert not batch.text_present.any()


def test_states_from_stores():
    states = np.ones((4, 3), np.float16)
    collator = Collator(Needs(("speech", "text"), "valence"), {"speech": 3, "text": 2})
    batch = collator([Loaded(0, speech_states=states, valence=1.0), Loaded(1)])
    assert batch.waveforms is None
    assert batch.samples is None
    assert batch.tokens is None
    assert batch.speech_states.shape == (2, 4, 3)
    assert batch.speech_states.dtype == torch.float32
    assert batch.speech_frames.tolist() == [4, 0]
    assert batch.speech_present.tolist() == [True, False]
    assert batch.text_states.shape == (2, 1, 2)
    assert batch.text_frames.tolist() == [0, 0]


def test_votes_become_shares():
    loaded = [
        Loaded(0, emotion=0, votes=np.array([3.0, 1, 0])),
        Loaded(1, emotion=2),
        Loaded(2, emotion=1, votes=np.zeros(3)),
        Loaded(3),
    ]
    batch = Collator(Needs((), "emotion"))(loaded)
    assert batch.emotion_votes.tolist() == [[0.75, 0.25, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert batch.emotion.tolist() == [0, 2, 1, -1]


def test_it_pickles_and_batches_move():
    collator = pickle.loads(pickle.dumps(Collator(Needs(("speech",)))))
    batch = collator([Loaded(0, wave(3))])
    assert batch.to("cpu").waveforms.tolist() == batch.waveforms.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_waveforms_of_any_kind_become_float32(dtype):
    batch = Collator(Needs(("speech",)))([Loaded(0, np.array([1, 0, -1], dtype))])
    assert batch.waveforms.dtype == torch.float32
    assert batch.waveforms.tolist() == [[1, 0, -1]]
