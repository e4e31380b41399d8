from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from emoflow.errors import ConfigError, CorpusError, ProtocolError
from emoflow.evaluation import TrainingLabels, evaluate, result_table, to_text
from emoflow.evaluation.results import main_subset
from tests.evaluation.fake_run import LABELS, classified, regressed, utterances

TRAIN = [0] * 60 + [1] * 10 + [2] * 20 + [3] * 5 + [4] * 5 + [-1] * 3


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    facts = utterances(300, 6)
    skills = {"speech": 1.7, "speech+text": 2.2, "text": 1.1}
    return pd.concat([classified(facts, s, n, k) for k, (n, s) in enumerate(skills.items())])


@pytest.fixture(scope="module")
def result(rows: pd.DataFrame) -> dict[str, Any]:
    limit = {"macro_f1": 0.8, "ccc_arousal": 0.9}
    return evaluate(rows, target="emotion", labels=LABELS, training=TRAIN, ceiling=limit)


def test_shape(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["subsets"]) == ["speech+text", "speech", "text"]
    names = ["accuracy", "uar", "macro_f1", "weighted_f1", "ece"]
    for scores in result["subsets"].values():
        assert list(scores) == names
        for score in scores.values():
            assert list(score) == ["value", "low", "high"]
            assert score["low"] <= score["high"]
    assert list(result["floor"]) == names
    assert result["ceiling"] == {"macro_f1": 0.8}
    assert (result["utterances"], result["speakers"], result["unlabelled"]) == (298, 6, 2)
    assert result["training"]["counts"]["neutral"] == 60
    assert result["training"]["utterances"] == 100


def test_values_are_those_of_sklearn(rows: pd.DataFrame, result: dict[str, Any]) -> None:
    for name, scores in result["subsets"].items():
        part = rows[(rows["subset"] == name) & rows["emotion"].notna()]
        expected = sk.f1_score(part["emotion"], part["predicted"], average="macro")
        assert scores["macro_f1"]["value"] == pytest.approx(expected, abs=1e-6)
        matrix = sk.confusion_matrix(part["emotion"], part["predicted"], labels=LABELS)
        assert result["details"][name]["confusion"] == matrix.tolist()
        recall = sk.recall_score(part["emotion"], part["predicted"], labels=LABELS, average=None)
        found = [result["details"][name]["per_class"][label]["recall"] for label in LABELS]
        assert found == pytest.approx(list(recall), abs=1e-6)
    truth = rows[(rows["subset"] == "text") & rows["emotion"].notna()]["emotion"]
    assert result["floor"]["accuracy"] == pytest.approx((truth == "neutral").mean(), abs=1e-6)


def test_slices_cover_the_utterances(result: dict[str, Any]) -> None:
    for kind in ("length", "agreement"):
        parts = result["slices"][kind]
        assert len(parts) == 4
        assert sum(part["utterances"] for part in parts) == 298
    assert result["slices"]["agreement"][0]["name"] == "under 50 %"
    assert result["slices"]["agreement"][-1]["name"] == "90 to 100 %"


def test_slices_by_characters_without_speech(rows: pd.DataFrame) -> None:
    text = rows[rows["subset"] == "text"].assign(seconds=np.nan)
    text["text"] = ["가" * (k % 9) for k in range(len(text))]
    found = evaluate(text, target="emotion", labels=LABELS, training=TRAIN, repeats=10)
    assert found["slices"]["length"][0]["name"] == "under 2 characters"
    bare = text.drop(columns=["text", "seconds", "agreement", "speaker"])
    found = evaluate(bare, target="emotion", labels=LABELS, training=TRAIN, repeats=10)
    assert found["slices"] == {}
    assert found["intervals"]["resampled"] == "utterances"
    assert found["speakers"] == 0


def test_values_of_a_regressor() -> None:
    frame = regressed(utterances(200, 5), "arousal", "speech", 0)
    frame.loc[3, "arousal"] = np.nan
    training = TrainingLabels.of_values([2.0, 4.0, np.nan])
    limits = {"speech": {"ccc_arousal": 0.9}, "text": {"ccc_arousal": 0.1}}
    found = evaluate(
        frame, target="arousal", training=training, ceiling=limits, ceiling_source="known"
    )
    known = frame.dropna(subset=["arousal"])
    expected = sk.root_mean_squared_error(known["arousal"], known["predicted_arousal"])
    assert found["subsets"]["speech"]["rmse_arousal"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["floor"]["ccc_arousal"] == 0
    assert found["ceiling"] == {"ccc_arousal": 0.9}
    assert found["ceiling_source"] == "known"
    assert found["training"] == {"utterances": 2, "mean": 3.0}
    assert found["unlabelled"] == 1
    without = evaluate(frame, target="arousal", training=[2.0, 4.0])
    assert "ceiling" not in without
    assert without["floor"] == found["floor"]


def test_a_split_is_picked_and_order_does_not_matter(
    rows: pd.DataFrame, result: dict[str, Any]
) -> None:
    other = rows.assign(split="validation", emotion="sad")
    both = pd.concat([other, rows])
    limit = {"macro_f1": 0.8}
    found = evaluate(
        both, target="emotion", labels=LABELS, training=TRAIN, ceiling=limit, split="test"
    )
    assert found == result


def test_one_speaker_has_no_interval(rows: pd.DataFrame) -> None:
    alone = rows[(rows["subset"] == "text")].assign(speaker="only")
    found = evaluate(alone, target="emotion", labels=LABELS, training=TRAIN)
    assert found["subsets"]["text"]["uar"]["low"] is None


def test_errors(rows: pd.DataFrame) -> None:
    with pytest.raises(CorpusError, match=r"lack the column 'p_sad'[\s\S]*emoflow test"):
        evaluate(rows.drop(columns="p_sad"), target="emotion", labels=LABELS, training=TRAIN)
    with pytest.raises(ProtocolError, match=r"the test split has no utterance with a known"):
        evaluate(
            rows.assign(emotion=None), target="emotion", labels=LABELS, training=TRAIN, split="test"
        )
    with pytest.raises(ConfigError, match="need their labels"):
        evaluate(rows, target="emotion", training=TRAIN)


def test_main_subset() -> None:
    assert main_subset(["text", "speech", "speech+text"]) == "speech+text"
    assert main_subset(["text", "speech"]) == "speech"
    assert main_subset(["mine"]) == "mine"


def test_tables(result: dict[str, Any]) -> None:
    header, rows = result_table(result)
    assert header == ["", "macro F1", "UAR", "accuracy", "weighted F1", "ECE"]
    assert [row[0] for row in rows] == ["speech+text", "speech", "text", "floor", "ceiling"]
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", rows[0][1])
    assert rows[-1][1:3] == ["0.800", "–"]
    lines = to_text(result).splitlines()
    assert len(lines) == 6
    column = lines[0].index("macro F1")
    assert all(line[column - 2 : column] == "  " for line in lines)
