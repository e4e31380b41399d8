import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from sklearn.metrics import recall_score
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from emoflow.data.recording import describe_recording
from emoflow.data.shortcuts import GAIN, shortcut_audit

RNG = np.random.default_rng(0)
SIZE = 1200
LABELS = np.array(RNG.choice(["a", "b", "c"], SIZE, p=[0.7, 0.2, 0.1]), dtype=object)
NAMES = np.array([f"u{n}" for n in range(SIZE)], dtype=object)


def audit(labels=LABELS, **cues):
    return {
        s.cue: s for s in shortcut_audit(np.asarray(labels, object), cues, NAMES[: len(labels)])
    }


def test_what_gives_the_label_away_is_found() -> None:
    origin = np.array([f"corpus {label}" for label in LABELS], dtype=object)
    rate = np.where(LABELS == "c", 44_100.0, 16_000.0)
    found = audit(origin=origin, rate=rate, nothing=RNG.normal(size=SIZE))
    assert found["origin"].uar == 1.0
    assert found["origin"].gain == 1.0
    assert found["rate"].uar == pytest.approx(2 / 3)
    assert found["rate"].loud
    assert found["nothing"].uar == pytest.approx(1 / 3, abs=0.08)
    assert not found["nothing"].loud
    assert "rate alone predicts the emotion with a UAR of 0.67 (floor 0.33" in found["rate"].line()


def test_a_cue_that_says_something_scores_like_a_tree() -> None:
    loudness = RNG.normal(size=SIZE) + 1.5 * (LABELS == "b") - 1.0 * (LABELS == "c")
    found = audit(loudness=loudness)["loudness"]
    tree = DecisionTreeClassifier(class_weight="balanced", min_samples_leaf=40, random_state=0)
    guess = cross_val_predict(tree, loudness[:, None], LABELS.astype(str), cv=5)
    assert found.uar == pytest.approx(
        recall_score(LABELS.astype(str), guess, average="macro"), abs=0.05
    )
    assert found.gain > GAIN


def test_what_cannot_be_judged_is_left_out() -> None:
    nothing = np.full(SIZE, np.nan)
    one = np.array(["only"] * SIZE, dtype=object)
    assert audit(nothing=nothing, one=one, constant=np.ones(SIZE)) == {}
    rare = LABELS.copy()
    rare[:5] = "rare"
    rare[5:9] = None
    found = audit(rare, cue=np.where(rare == "rare", 1.0, RNG.normal(size=SIZE)))["cue"]
    assert found.floor == pytest.approx(1 / 3)
    assert found.utterances == SIZE - 9
    assert audit([], cue=np.array([])) == {}
    assert audit(["a"] * 50, cue=RNG.normal(size=50)) == {}


def test_a_balanced_design_gives_nothing_away() -> None:
    labels = np.array(["a", "b"] * 100, dtype=object)
    found = audit(labels, speaker=np.repeat([f"s{n}" for n in range(10)], 20).astype(object))
    assert "no better than guessing" in found["speaker"].line()
    assert not found["speaker"].loud


def test_order_does_not_matter() -> None:
    values, order = RNG.normal(size=SIZE), RNG.permutation(SIZE)
    first = shortcut_audit(LABELS, {"cue": values}, NAMES)
    assert first == shortcut_audit(LABELS[order], {"cue": values[order]}, NAMES[order])


def test_level_pauses_and_bandwidth_of_a_recording() -> None:
    rate = 16_000
    noise = RNG.normal(0, 0.1, 2 * rate)
    one = describe_recording(noise.astype(np.float32)[:, None], rate)
    assert one.rate == rate
    assert one.loudness == pytest.approx(-20, abs=0.2)
    assert one.silence == 0
    assert one.bandwidth > 7_900
    halves = np.concatenate([noise, 1e-4 * noise]).astype(np.float32)
    assert describe_recording(halves[:, None], rate).silence == pytest.approx(0.5, abs=0.01)
    narrow = sosfilt(butter(20, 3_400, fs=rate, output="sos"), noise).astype(np.float32)
    assert describe_recording(narrow[:, None], rate).bandwidth == pytest.approx(4_000, abs=700)
    stereo = np.stack([noise, noise], axis=1).astype(np.float32)
    assert describe_recording(stereo, rate) == pytest.approx(one, rel=1e-5)
    silent = describe_recording(np.zeros((300, 1), np.float32), rate)
    assert silent == (rate, -120.0, 1.0, 0.0)
