from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from emoflow.errors import EmoflowError
from emoflow.evaluation import (
    TrainingLabels,
    ceiling_from_ratings,
    ceiling_from_votes,
    classification_metrics,
    label_floor,
    rater_ceiling,
    regression_metrics,
)
from emoflow.types import Rating


def test_floor_is_sklearns_prior() -> None:
    random = np.random.default_rng(0)
    train = random.choice(4, 300, p=[0.2, 0.5, 0.2, 0.1])
    test = random.choice(4, 100)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((300, 1)), train)
    expected = classification_metrics(test, dummy.predict_proba(np.zeros((100, 1))))
    found = label_floor(TrainingLabels.of_classes([*train, -1], 4), test)
    assert found == pytest.approx(expected)
    assert found["uar"] == 0.25


def test_kemdy20s_floor_as_printed() -> None:
    counts = (11_120, 121, 1183, 156, 144, 61, 43)
    truth = np.repeat(np.arange(7), counts)
    found = label_floor(TrainingLabels.of_classes(truth, 7), truth)
    assert found["accuracy"] == pytest.approx(0.867, abs=5e-4)
    assert found["weighted_f1"] == pytest.approx(0.805, abs=5e-4)
    assert found["macro_f1"] == pytest.approx(0.133, abs=5e-4)


def test_floor_of_values_is_the_training_mean() -> None:
    random = np.random.default_rng(0)
    train, test = random.normal(3, 1, 50), random.normal(3.2, 1, 40)
    dummy = DummyRegressor().fit(np.zeros((50, 1)), train)
    expected = regression_metrics(test, dummy.predict(np.zeros((40, 1))), "arousal")
    found = label_floor(TrainingLabels.of_values([*train, np.nan]), test, "arousal")
    assert found == pytest.approx(expected)
    assert found["ccc_arousal"] == 0


def test_a_floor_needs_training_labels_of_its_kind() -> None:
    with pytest.raises(EmoflowError, match="no training utterance has a label"):
        label_floor(TrainingLabels.of_classes([-1], 3), [0])
    with pytest.raises(EmoflowError, match="training mean"):
        label_floor(TrainingLabels.of_classes([1], 3), [0.0], "valence")


def panel(seed: int, utterances: int = 60, raters: int = 6) -> list[tuple[Rating, ...]]:
    random = np.random.default_rng(seed)
    names = ("neutral", "sad", "happy", "fear")
    rated = []
    for _ in range(utterances):
        true = random.choice(4, p=[0.5, 0.2, 0.2, 0.1])
        votes = np.where(random.random(raters) < 0.6, true, random.integers(4, size=raters))
        arousal = random.normal(3, 1) + random.normal(0, 0.5, raters)
        rated.append(
            tuple(Rating(f"r{k}", names[v], float(arousal[k]), None) for k, v in enumerate(votes))
        )
    return rated


def plain_pairs(rated: list[tuple[Rating, ...]], labels: list[str]) -> tuple[list[int], list[int]]:
    """Leave one rater out, one by one."""
    truth, said = [], []
    for ratings in rated:
        for k, rating in enumerate(ratings):
            others = Counter(r.emotion for j, r in enumerate(ratings) if j != k).most_common()
            single = len(others) == 1 or others[0][1] > others[1][1]
            if single and others[0][0] in labels:
                truth.append(labels.index(others[0][0]))
                known = rating.emotion in labels
                said.append(labels.index(rating.emotion) if known else len(labels))  # type: ignore[arg-type]
    return truth, said


@pytest.mark.parametrize("labels", [["neutral", "sad", "happy", "fear"], ["happy", "neutral"]])
def test_ceiling_of_votes_is_that_of_a_plain_loop(labels: list[str]) -> None:
    from sklearn.metrics import f1_score, recall_score

    rated = panel(0)
    truth, said = plain_pairs(rated, labels)
    kept = range(len(labels))
    found = rater_ceiling(rated, "emotion", labels)
    assert found is not None
    assert found["accuracy"] == pytest.approx(np.mean(np.array(truth) == said))
    assert found["uar"] == pytest.approx(recall_score(truth, said, labels=kept, average="macro"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, labels=kept, average="macro"))
    assert found["weighted_f1"] == pytest.approx(
        f1_score(truth, said, labels=kept, average="weighted")
    )


def test_ceiling_of_values_is_that_of_a_plain_loop() -> None:
    rated = panel(1)
    rated[3] = rated[3][:1]  # a single rater has nobody to be compared with
    rated[4] = (*rated[4][:3], Rating("r9", "sad", None, None))
    truth, said = [], []
    for ratings in rated:
        given = [r.arousal for r in ratings if r.arousal is not None]
        for k, value in enumerate(given):
            if len(given) > 1:
                truth.append(np.mean([v for j, v in enumerate(given) if j != k]))
                said.append(value)
    found = rater_ceiling(rated, "arousal")
    assert found == pytest.approx(regression_metrics(truth, said, "arousal"))


def test_without_raters_there_is_no_ceiling() -> None:
    assert rater_ceiling([None, ()], "emotion", ["sad"]) is None
    assert rater_ceiling([None, (Rating("a", arousal=1.0),)], "arousal") is None
    assert rater_ceiling(panel(0), "valence") is None
    assert rater_ceiling([], "emotion", ["sad"]) is None


def test_agreement_without_doubt_is_a_ceiling_of_one() -> None:
    votes = np.array([[5, 0], [0, 5], [5, 0]])
    assert set(ceiling_from_votes(votes).values()) == {1.0}
    found = ceiling_from_ratings([[1, 1, 1], [4, 4, 4]], "valence")
    assert found == pytest.approx({"rmse_valence": 0, "ccc_valence": 1})


def test_ties_of_the_others_are_left_out() -> None:
    # Of 2:1 the two have a tie (1:1) against them, the one has a majority of 2.
    assert ceiling_from_votes([[2, 1]]) == {
        "accuracy": 0.0,
        "uar": 0.0,
        "macro_f1": 0.0,
        "weighted_f1": 0.0,
    }
