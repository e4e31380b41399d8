from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from emoflow.errors import CorpusError, ProtocolError
from emoflow.evaluation import TrainingLabels, evaluate, subset_difference
from emoflow.evaluation.subsets import subset_rank
from tests.evaluation.fake_run import LABELS, ceilings, every_subset, regressed, utterances

MODALITIES = ("speech", "text", "signals")
TASK: dict[str, Any] = {"target": "emotion", "labels": LABELS}
TRAINING = TrainingLabels(100, (60, 10, 20, 5, 5))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return every_subset(utterances(240, 6), MODALITIES)


@pytest.fixture(scope="module")
def result(rows: pd.DataFrame) -> dict[str, Any]:
    return evaluate(rows, **TASK, training=TRAINING, ceiling=ceilings(MODALITIES), repeats=200)


def of(rows: pd.DataFrame, subset: str) -> pd.DataFrame:
    return rows[(rows["subset"] == subset) & rows["emotion"].notna()]


def test_every_pair_that_differs_by_one_modality(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["subsets"]) == [
        "speech+text+signals", "speech+text", "speech+signals", "text+signals",
        "speech", "text", "signals",
    ]  # fmt: skip
    assert [(gain["modality"], gain["to"]) for gain in result["gains"]] == [
        ("speech", "text+signals"), ("text", "speech+signals"), ("signals", "speech+text"),
        ("speech", "text"), ("text", "speech"),
        ("speech", "signals"), ("signals", "speech"),
        ("text", "signals"), ("signals", "text"),
    ]  # fmt: skip


def test_a_gain_is_the_difference_of_the_two_scores(
    rows: pd.DataFrame, result: dict[str, Any]
) -> None:
    for gain in result["gains"]:
        larger = "+".join(m for m in MODALITIES if m in (gain["modality"], *gain["to"].split("+")))
        one, two = result["subsets"][larger], result["subsets"][gain["to"]]
        assert list(gain["metrics"]) == list(one)
        for metric, score in gain["metrics"].items():
            difference = one[metric]["value"] - two[metric]["value"]
            assert score["value"] == pytest.approx(difference, abs=2e-6)
            assert score["low"] <= score["high"]
        f1 = [
            sk.f1_score(part["emotion"], part["predicted"], average="macro")
            for part in (of(rows, larger), of(rows, gain["to"]))
        ]
        assert gain["metrics"]["macro_f1"]["value"] == pytest.approx(f1[0] - f1[1], abs=1e-6)


def test_the_interval_is_that_of_a_plain_paired_bootstrap(
    rows: pd.DataFrame, result: dict[str, Any]
) -> None:
    gain = next(g for g in result["gains"] if (g["modality"], g["to"]) == ("text", "speech"))
    one, two = of(rows, "speech+text"), of(rows, "speech")
    people = list(dict.fromkeys(one["speaker"]))
    places = [np.flatnonzero(one["speaker"] == name) for name in people]
    found = []
    for draw in np.random.default_rng(0).integers(len(people), size=(200, len(people))):
        chosen = np.concatenate([places[k] for k in draw])
        found.append(
            np.mean(one["predicted"].to_numpy()[chosen] == one["emotion"].to_numpy()[chosen])
            - np.mean(two["predicted"].to_numpy()[chosen] == two["emotion"].to_numpy()[chosen])
        )
    low, high = np.percentile(found, [2.5, 97.5])
    score = gain["metrics"]["accuracy"]
    assert (score["low"], score["high"]) == pytest.approx((low, high), abs=1e-6)


def test_ceilings_and_what_they_allow(rows: pd.DataFrame, result: dict[str, Any]) -> None:
    known = ceilings(MODALITIES)
    assert list(result["ceilings"]) == list(result["subsets"])
    for name, limit in result["ceilings"].items():
        assert limit == pytest.approx(known[name], abs=1e-6)
    assert result["ceiling"] == result["ceilings"]["speech+text+signals"]
    gain = next(g for g in result["gains"] if (g["modality"], g["to"]) == ("signals", "speech"))
    allowed = known["speech+signals"]["uar"] - known["speech"]["uar"]
    assert gain["ceiling"]["uar"] == pytest.approx(allowed, abs=1e-6)
    some = evaluate(
        rows, **TASK, training=TRAINING, repeats=2,
        ceiling={"speech": {"uar": 0.7, "ccc_arousal": 1}, "speech+text": {"accuracy": 0.9}},
    )  # fmt: skip
    assert some["ceilings"] == {"speech+text": {"accuracy": 0.9}, "speech": {"uar": 0.7}}
    assert "ceiling" not in some
    assert not any("ceiling" in gain for gain in some["gains"])
    flat = evaluate(rows, **TASK, training=TRAINING, repeats=2, ceiling={"uar": 0.7})
    assert flat["ceiling"] == {"uar": 0.7}
    assert "ceilings" not in flat


def test_a_modality_that_adds_nothing(rows: pd.DataFrame) -> None:
    speech = rows[rows["subset"] == "speech"]
    frame = pd.concat([speech, speech.assign(subset="speech+signals")])
    (gain,) = evaluate(frame, **TASK, training=TRAINING, repeats=50)["gains"]
    assert (gain["modality"], gain["to"]) == ("signals", "speech")
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert gain["metrics"] == dict.fromkeys(gain["metrics"], nothing)


def test_rows_are_paired_by_their_names(rows: pd.DataFrame, result: dict[str, Any]) -> None:
    shuffled = [
        part if name == "speech+text+signals" else part.sample(frac=1, random_state=k)
        for k, (name, part) in enumerate(rows.groupby("subset"))
    ]
    again = evaluate(pd.concat(shuffled), **TASK, training=TRAINING, repeats=200)
    assert again["gains"][:3] == [
        {k: v for k, v in gain.items() if k != "ceiling"} for gain in result["gains"][:3]
    ]
    renamed = rows.rename(columns={"key": "id"})
    assert (
        evaluate(renamed, **TASK, training=TRAINING, repeats=200)["gains"][0]["metrics"]
        == (result["gains"][0]["metrics"])
    )
    assert "gains" not in evaluate(rows.drop(columns="key"), **TASK, training=TRAINING, repeats=2)


def test_errors_of_regressors_are_subtracted_the_same_way() -> None:
    facts = utterances(120, 5)
    good, bad = (
        regressed(facts, "valence", "speech+text", 1),
        regressed(facts, "valence", "text", 2),
    )
    bad["predicted_valence"] += 1
    (gain,) = evaluate(
        pd.concat([good, bad]), target="valence", training=TrainingLabels(9, mean=3.0), repeats=50
    )["gains"]
    expected = [
        sk.root_mean_squared_error(one["valence"], one["predicted_valence"]) for one in (good, bad)
    ]
    assert gain["metrics"]["rmse_valence"]["value"] == pytest.approx(
        expected[0] - expected[1], abs=1e-6
    )
    assert gain["metrics"]["rmse_valence"]["high"] < 0 < gain["metrics"]["ccc_valence"]["low"]


def test_one_net_against_another(rows: pd.DataFrame) -> None:
    other = every_subset(utterances(240, 6), MODALITIES, seed=1, trained=0.5)
    found = subset_difference(rows, other.sample(frac=1, random_state=0), "text", **TASK)
    one, two = of(rows, "text"), of(other, "text")
    for metric, score in (("accuracy", sk.accuracy_score), ("uar", sk.balanced_accuracy_score)):
        expected = score(one["emotion"], one["predicted"]) - score(two["emotion"], two["predicted"])
        assert found[metric]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["accuracy"]["low"] > 0  # type: ignore[operator]
    same = subset_difference(rows, rows, "text", repeats=20, **TASK)
    assert {v for score in same.values() for v in score.values()} == {0.0}


def test_rows_that_cannot_be_paired(rows: pd.DataFrame) -> None:
    first = rows["key"].iloc[0]
    lost = rows[~((rows["subset"] == "text") & (rows["key"] == first))]
    with pytest.raises(
        ProtocolError, match=rf"do not hold the same utterances: 1 only in \S+, such as '{first}'"
    ):
        evaluate(lost, **TASK, training=TRAINING, repeats=2)
    text = rows[rows["subset"] == "text"]
    with pytest.raises(ProtocolError, match=rf"'{first}' stands there more than once[\s\S]*once"):
        evaluate(pd.concat([rows, text.iloc[:1]]), **TASK, training=TRAINING, repeats=2)
    wrong = text.assign(emotion=["sad" if e == "happy" else e for e in text["emotion"]])
    with pytest.raises(
        ProtocolError, match=r"do not agree on the true emotion of .*: happy and sad"
    ):
        subset_difference(text, wrong, "text", **TASK)
    with pytest.raises(ProtocolError, match="first predictions from face have no utterance"):
        subset_difference(rows, rows, "face", **TASK)
    with pytest.raises(CorpusError, match=r"lack the column 'p_sad'[\s\S]*emoflow test"):
        subset_difference(rows, rows.drop(columns="p_sad"), "text", **TASK)
    with pytest.raises(CorpusError, match=r"lack a column 'key'[\s\S]*emoflow test"):
        subset_difference(rows, rows.drop(columns="key"), "text", **TASK)


def test_rank_goes_by_size_then_modality() -> None:
    names = ["+".join(s) for k in (1, 2, 3) for s in combinations(("speech", "text", "face"), k)]
    assert sorted([*reversed(names), "mine"], key=subset_rank) == [
        "speech+text+face", "speech+text", "speech+face", "text+face",
        "speech", "text", "face", "mine",
    ]  # fmt: skip
