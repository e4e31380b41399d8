from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

from emoflow.errors import EmoflowError
from emoflow.evaluation.compare import compare
from emoflow.evaluation.compare_page import write_comparison
from emoflow.evaluation.compare_words import cautions, how_tested, verdict
from tests.evaluation.compare_runs import LABELS, facts, named, probabilities, values, write_run
from tests.evaluation.test_report import Page

ROWS = facts()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs: good and bad classifiers of all, one that lacks utterances, and a regressor."""
    home = tmp_path_factory.mktemp("runs")
    everyone = ROWS["key"].tolist()
    write_run(
        home / "bad",
        probabilities(ROWS, 0.3, 1),
        config={"net": {"init_args": {"width": 8, "drop": [0, 1]}}},
    )
    write_run(
        home / "good",
        probabilities(ROWS, 2.0, 2),
        config={"net": {"init_args": {"width": 16, "drop": [0, 1]}}},
    )
    less = probabilities(ROWS, 1.9, 3).drop(index=range(10, 30)).sample(frac=1, random_state=1)
    write_run(home / "text", less, subset="text", test=everyone, config={"net": {"tokens": True}})
    write_run(home / "values" / "a", values(ROWS, 0.3, 1))
    write_run(home / "values" / "b", values(ROWS, 1.0, 2))
    return home


@pytest.fixture(scope="module")
def three(home: Path) -> dict[str, Any]:
    return compare([home / "bad", home / "good", home / "text"], repeats=2000).result


def metric(pair: dict[str, Any], name: str = "macro_f1") -> dict[str, Any]:
    found: dict[str, Any] = pair["metrics"][name]
    return found


def predictions(home: Path, name: str) -> pd.DataFrame:
    rows = pd.read_parquet(home / name / "predictions.parquet").set_index("key")
    return rows[rows["emotion"].notna()]


def test_scores_are_scikit_learns_on_the_shared_utterances(
    home: Path, three: dict[str, Any]
) -> None:
    frames = [predictions(home, name) for name in ("bad", "good", "text")]
    shared = frames[0].index.intersection(frames[2].index)
    assert three["utterances"] == len(shared) == 139
    assert [run["alone"] for run in three["runs"]] == [20, 20, 0]
    for run, rows in zip(three["runs"], frames, strict=True):
        truth, guess = rows.loc[shared, "emotion"], rows.loc[shared, "predicted"]
        expected = {
            "accuracy": sk.accuracy_score(truth, guess),
            "uar": sk.balanced_accuracy_score(truth, guess),
            "macro_f1": sk.f1_score(truth, guess, average="macro"),
            "weighted_f1": sk.f1_score(truth, guess, average="weighted"),
        }
        for name, value in expected.items():
            assert run["metrics"][name]["value"] == pytest.approx(value, abs=1e-6)
        matrix = sk.confusion_matrix(truth, guess, labels=LABELS)
        assert run["confusion"] == matrix.tolist()
        most = np.mean(truth == "neutral")  # what training saw most often
        assert run["floor"]["accuracy"] == pytest.approx(most, abs=1e-6)
        assert run["ceiling"] == {"macro_f1": 0.88, "uar": 0.9}
    one, two = (rows.loc[shared, "predicted"] == truth for rows in frames[:2])
    pair = three["pairs"][0]
    assert list(pair["agreement"].values())[:4] == [
        (two & one).sum(), (two & ~one).sum(), (~two & one).sum(), (~two & ~one).sum(),
    ]  # fmt: skip


def test_scores_of_a_whole_run_are_those_of_its_metrics(home: Path) -> None:
    found = compare([home / "bad", home / "good"], repeats=10).result
    for run in found["runs"]:
        written = json.loads((home / run["name"] / "metrics.json").read_text())["splits"]["test"]
        assert run["metrics"] == written["subsets"]["speech"]
        assert run["floor"] == written["floor"]
        assert run["per_class"] == written["details"]["speech"]["per_class"]


def test_a_planted_difference_is_found_and_no_other(three: dict[str, Any]) -> None:
    names = [(pair["run"], pair["against"]) for pair in three["pairs"]]
    assert names == [("good", "bad"), ("text", "bad"), ("text", "good")]
    good, text, close = map(metric, three["pairs"])
    assert good["better"] == "good"
    assert text["better"] == "text"
    ends = f"{good['value']:.3f} [{good['low']:.3f}, {good['high']:.3f}]"
    assert good["verdict"] == f"good is better: macro F1 higher by {ends}"
    assert good["p"] < good["p_holm"] < 0.01
    assert good["beyond"] == pytest.approx(2 / 2001, abs=1e-6)
    assert close["better"] is None
    assert close["verdict"].startswith("no difference in macro F1 that 8 speakers can show: ")
    assert close["low"] < 0 < close["high"]


def test_the_order_of_the_runs_changes_nothing_but_the_sign(home: Path) -> None:
    one = compare([home / "bad", home / "text"], repeats=500).result["pairs"][0]
    two = compare([home / "text", home / "bad"], repeats=500).result["pairs"][0]
    for name in one["metrics"]:
        a, b = metric(one, name), metric(two, name)
        assert (a["value"], a["low"]) == pytest.approx((-b["value"], -b["high"]), abs=1e-6)
        assert (a["p"], a["beyond"], a["better"]) == (b["p"], b["beyond"], b["better"])


def test_the_baseline_stands_first(home: Path) -> None:
    runs = [home / "bad", home / "good"]
    for baseline in ("good", home / "good"):
        found = compare(runs, baseline=baseline, repeats=10).result
        assert [run["name"] for run in found["runs"]] == ["good", "bad"]
    added = compare(runs, baseline=home / "text", repeats=10).result
    assert added["baseline"] == "text"
    assert len(added["runs"]) == 3


def test_of_errors_less_is_better(home: Path) -> None:
    found = compare([home / "values" / "b", home / "values" / "a"], repeats=500).result
    assert found["leading"] == "ccc_arousal"
    (pair,) = found["pairs"]
    error = metric(pair, "rmse_arousal")
    assert error["value"] < 0
    assert error["better"] == metric(pair, "ccc_arousal")["better"] == "a"
    expected = f"{-error['value']:.3f} [{-error['high']:.3f}, {-error['low']:.3f}]"
    assert error["verdict"] == f"a is better: RMSE arousal lower by {expected}"
    assert "agreement" not in pair


def test_any_number_of_emotions(tmp_path: Path) -> None:
    frames = {"poor": named(ROWS, 0.4, 1), "fair": named(ROWS, 0.1, 2)}
    found = compare([write_run(tmp_path / n, rows) for n, rows in frames.items()], repeats=300)
    pair, runs = found.result["pairs"][0], found.result["runs"]
    assert metric(pair)["better"] == metric(pair, "micro_f1")["better"] == "fair"
    right = {n: (rows["emotions"] == rows["predicted"]).to_numpy() for n, rows in frames.items()}
    assert pair["agreement"]["only run right"] == (right["fair"] & ~right["poor"]).sum()
    for run, rows in zip(runs, frames.values(), strict=True):
        happy = (rows[c].str.contains("happy") for c in ("emotions", "predicted"))
        assert run["per_class"]["happy"]["recall"] == pytest.approx(
            sk.recall_score(*happy), abs=1e-6
        )
    turned = frames["fair"].copy()  # by a run whose labels are in another order
    for column in ("emotions", "predicted"):
        turned[column] = ["|".join(text.split("|")[::-1]) for text in turned[column]]
    other = write_run(tmp_path / "turned" / "fair", turned, labels=LABELS[::-1])
    same = compare([tmp_path / "poor", other], repeats=300).result["pairs"][0]
    assert same["metrics"] == pair["metrics"]
    assert same["agreement"] == pair["agreement"]
    path = write_comparison(found, tmp_path / "page.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert f"happy {runs[0]['per_class']['happy']['support']} " in page.section("Recall")
    assert "Confusion" not in page.text


def test_what_differs_between_the_configs(three: dict[str, Any]) -> None:
    assert three["config"] == {
        "net.drop": {"bad": [0, 1], "good": [0, 1]},
        "net.width": {"bad": 8, "good": 16},
        "net.tokens": {"text": True},
    }
    assert "made" not in str(three["config"])  # the names of a run tell nothing of it


def test_cautions(home: Path, three: dict[str, Any], tmp_path: Path) -> None:
    assert cautions(three) == [
        "compared on the 139 utterances that all runs share; left out: 20 utterances of bad, "
        "20 utterances of good, which other runs lack"
    ]
    assert "corrected for 3 pairs of runs (Holm)" in how_tested(three)
    rows = facts(speakers=5)
    few = [
        write_run(tmp_path / name, probabilities(rows, skill, 1))
        for name, skill in (("low", 0.0), ("high", 5.0), ("copy", 5.0))
    ]
    found = compare(few, repeats=200).result
    assert metric(found["pairs"][2])["verdict"] == "macro F1 is the same"
    assert [line.partition(":")[0] for line in cautions(found)] == [
        "5 speakers are few",
        "copy and high predict exactly the same",
    ]
    nobody = [
        write_run(tmp_path / f"nobody{k}", probabilities(ROWS, k, k).drop(columns="speaker"))
        for k in (0, 3)
    ]
    found = compare(nobody, repeats=200).result
    assert found["resampling"]["resampled"] == "utterances"
    assert "the speakers are not known" in cautions(found)[0]
    assert metric(found["pairs"][0])["better"] == "nobody3"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.03, 0.01, 0.05, 0.004, 0.012), "new is better: UAR higher by 0.030 [0.010, 0.050]"),
        ((-0.03, -0.05, -0.01, 0.004, 0.012), "old is better: UAR higher by 0.030 [0.010, 0.050]"),
        (
            (-0.01, -0.04, 0.02, 0.4, 1.0),
            "no difference in UAR that 7 speakers can show: -0.010 [-0.040, 0.020]",
        ),
        (
            (0.03, 0.01, 0.05, 0.03, 0.09),
            "no difference in UAR that 7 speakers can show: +0.030 [0.010, 0.050], p 0.09 after "
            "the correction for 3 pairs",
        ),
        (
            (0.03, 0.01, 0.05, 0.08, 0.24),
            "no difference in UAR that 7 speakers can show: +0.030 [0.010, 0.050]; the interval "
            "leaves 0 out, but over so few speakers it is too narrow: p 0.08",
        ),
        ((0.03, None, None, None, None), "no difference in UAR that 7 speakers can show: +0.030"),
        ((0.0, 0.0, 0.0, 1.0, 1.0), "UAR is the same"),
    ],
)
def test_verdicts(numbers: tuple[float | None, ...], words: str) -> None:
    found = dict(zip(("value", "low", "high", "p", "p_holm"), numbers, strict=True))
    pair = {"run": "new", "against": "old", "metrics": {"uar": found}}
    assert verdict(pair, "uar", 7, "speakers", 3) == words


def test_a_run_that_only_guesses_is_named(home: Path, tmp_path: Path) -> None:
    rows = facts()
    guess = rows.assign(predicted="neutral", p_neutral=0.7, p_happy=0.1, p_sad=0.1, p_angry=0.1)
    found = compare([home / "bad", write_run(tmp_path / "guess", guess)], repeats=10).result
    floor = sk.f1_score(
        *(guess.loc[rows["emotion"].notna(), c] for c in ("emotion", "predicted")), average="macro"
    )
    said = f"guess is no better than a guess from the training labels (macro F1 {floor:.3f})"
    assert cautions(found) == [said]


def test_the_same_splits_under_another_name(home: Path, tmp_path: Path) -> None:
    copy = write_run(tmp_path / "copy", probabilities(ROWS, 1.0, 4), name="file")
    found = compare([home / "bad", copy], repeats=10).result
    assert "protocols file and speakers name the same splits" in cautions(found)


def test_runs_that_cannot_be_compared(home: Path, tmp_path: Path) -> None:
    other = probabilities(facts(seed=5), 1.0, 1)
    moved = other.assign(key=[f"made/{i + 100:04d}" for i in range(len(other))])
    write_run(tmp_path / "fold1", moved, fold=1)
    write_run(tmp_path / "theirs", moved.assign(key="x" + moved["key"]), corpus="theirs")
    write_run(tmp_path / "three", probabilities(ROWS, 1.0, 1), labels=LABELS[:3], test=ROWS["key"])
    wrong = probabilities(ROWS, 1.0, 1)
    wrong.loc[7, "emotion"] = next(x for x in LABELS if x != wrong.loc[7, "emotion"])
    write_run(tmp_path / "wrong", wrong)
    write_run(tmp_path / "bare", probabilities(ROWS, 1.0, 1))
    (tmp_path / "bare" / "predictions.parquet").unlink()
    (tmp_path / "open").mkdir()
    elsewhere = probabilities(ROWS, 1.0, 1).iloc[:40]
    rest = probabilities(ROWS, 1.0, 1).iloc[40:]
    for name, rows in (("front", elsewhere), ("back", rest)):
        write_run(tmp_path / name, rows, test=ROWS["key"])
    bad = home / "bad"
    for runs, words in (
        ([bad], r"one run cannot be compared[\s\S]*two run folders"),
        ([bad, home / "good" / ".." / "bad"], r"bad is given twice[\s\S]*every run once"),
        ([bad, tmp_path / "none"], r"none: there is no such folder"),
        ([bad, tmp_path / "open"], r"open: there is no metrics\.json, so this is no finished run"),
        ([bad, tmp_path / "bare"], r"predictions\.parquet is missing[\s\S]*emoflow test --run"),
        (
            [bad, tmp_path / "fold1"],
            r"bad and fold1 were fitted under different protocols: fold 0 and 1; of 160 and 160 "
            r"test utterances they share 60\n[\s\S]*data\.protocol\.name to file",
        ),
        (
            [bad, tmp_path / "theirs"],
            r"corpus made and theirs;[\s\S]* share 0\n[\s\S]*runs of one corpus",
        ),
        (
            [bad, home / "values" / "a"],
            r"bad predicts emotion and a predicts arousal[\s\S]*of one target",
        ),
        (
            [bad, tmp_path / "three"],
            r"do not tell the same emotions apart: only bad has angry[\s\S]*task\.labels",
        ),
        ([bad, tmp_path / "wrong"], r"do not agree on the true emotion of 'made/0007'"),
        (
            [tmp_path / "front", tmp_path / "back"],
            r"front and back share no utterance with a known emotion",
        ),
    ):
        with pytest.raises(EmoflowError, match=words):
            compare(runs, repeats=10)
    both = [bad, home / "good"]
    with pytest.raises(EmoflowError, match=r"not scored on face, only on speech[\s\S]*--subset"):
        compare(both, subset="face")
    with pytest.raises(EmoflowError, match=r"the train split has not been scored[\s\S]*test"):
        compare(both, split="train")
    with pytest.raises(EmoflowError, match=r"nobody: neither a folder nor [\s\S]*of bad, good"):
        compare(both, baseline="nobody")


def test_names_are_the_ends_of_paths_that_tell_runs_apart(tmp_path: Path) -> None:
    rows = probabilities(ROWS, 1.0, 1)
    places = [tmp_path / end for end in ("a/stages/x", "b/stages/x", "y")]
    for place in places:
        write_run(place, rows)
    found = compare(places, repeats=10).result
    assert [run["name"] for run in found["runs"]] == ["a/stages/x", "b/stages/x", "y"]


def test_another_subset(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = write_run(tmp_path / name, probabilities(ROWS, 2.0, 1), subset="speech+text")
        rows = pd.read_parquet(folder / "predictions.parquet")
        less = probabilities(ROWS, 0.2, 9).assign(split="test", subset="text")
        pd.concat([less, rows]).to_parquet(folder / "predictions.parquet")
        metrics = json.loads((folder / "metrics.json").read_text())
        subsets = metrics["splits"]["test"]["subsets"]
        metrics["splits"]["test"]["subsets"] = {"text": {}, **subsets}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    runs = [tmp_path / "one", tmp_path / "two"]
    found = {
        subset: compare(runs, subset=subset, repeats=10).result["runs"][0]
        for subset in (None, "text")
    }
    assert found[None]["subset"] == "speech+text"
    assert found["text"]["subset"] == "text"
    assert found["text"]["metrics"]["uar"]["value"] < found[None]["metrics"]["uar"]["value"] - 0.2
