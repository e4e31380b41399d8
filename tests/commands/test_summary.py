from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emoflow.commands.summary import print_summary
from tests.evaluation.fake_run import write_run, write_subsets_run


def metrics(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return metrics(write_subsets_run(tmp_path_factory.mktemp("run")))


def shown(content: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_summary(Path("RUN"), {"": content})
    return capsys.readouterr().out.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def interval(score: dict[str, float]) -> str:
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def test_seven_subsets(
    seven: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines, test = shown(seven, capsys), seven["splits"]["test"]
    header = next(line for line in lines if "macro_f1" in line)
    assert cells(header) == [
        "test", "macro_f1", "retrained", "ceiling", "uar", "accuracy", "weighted_f1", "ece",
    ]  # fmt: skip
    found = {cells(line)[0]: cells(line)[1:] for line in lines if line.startswith("│")}
    assert list(found) == [*test["subsets"], "floor"]
    for name, scores in test["subsets"].items():
        own = seven["retrained"].get(name)
        assert found[name] == [
            interval(scores["macro_f1"]),
            f"{own['macro_f1']['value']:.3f}" if own else "",
            f"{test['ceilings'][name]['macro_f1']:.3f}",
            *(f"{scores[m]['value']:.3f}" for m in ("uar", "accuracy", "weighted_f1", "ece")),
        ]
    said = [line for line in lines if " macro F1 to " in line]
    verbs = {"speech": "adds", "text": "adds", "signals": "add"}
    assert said == [
        f"{gain['modality']} {verbs[gain['modality']]} {interval(gain['metrics']['macro_f1'])} "
        f"macro F1 to {gain['to']}"
        for gain in test["gains"][:3]
    ]


@pytest.mark.parametrize("columns", [80, 90, 100])
def test_a_narrow_terminal_cuts_nothing(
    seven: dict[str, Any],
    columns: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(seven, capsys)
    assert not any("…" in line for line in lines)
    assert max(len(line) for line in lines if line.startswith("│")) <= columns
    assert interval(seven["splits"]["test"]["subsets"]["text+signals"]["macro_f1"]) in "".join(
        lines
    )


def test_neither_ceilings_nor_other_nets(
    seven: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    test = {k: v for k, v in seven["splits"]["test"].items() if k not in ("ceilings", "gains")}
    content = seven | {"retrained": {}, "splits": {"test": test}}
    lines = shown(content, capsys)
    header = next(line for line in lines if "macro_f1" in line)
    assert cells(header)[:3] == ["test", "macro_f1", "uar"]
    (ceiling,) = (cells(line) for line in lines if line.startswith("│ ceiling"))
    value = f"{test['ceiling']['macro_f1']:.3f}"
    assert ceiling[1:] == [value, value, value, "–", "–"]
    assert not any(" to " in line for line in lines)


def test_one_subset_shows_every_metric_with_its_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    content = metrics(write_run(tmp_path) / "stages" / "arousal")
    lines, test = shown(content, capsys), content["splits"]["test"]
    table = [cells(line) for line in lines if line[:1] in ("│", "┃")]
    names = ["rmse_arousal", "ccc_arousal"]
    assert table == [
        ["test", *names],
        ["speech", *(interval(test["subsets"]["speech"][name]) for name in names)],
        ["floor", *(f"{test['floor'][name]:.3f}" for name in names)],
        ["ceiling", "–", "0.900"],
    ]
    assert lines[-3:] == [
        f"{'report':<8} RUN/report.html",
        f"{'metrics':<8} RUN/metrics.json",
        f"{'weights':<8} RUN/checkpoints/best.ckpt",
    ]


def test_speakers_are_counted_where_they_are_known(
    seven: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    test = seven["splits"]["test"]
    title = next(line for line in shown(seven, capsys) if "test utterances" in line)
    assert f"{test['utterances']} test utterances of {test['speakers']} speakers, pro" in title
    unknown = {**seven, "splits": {"test": {**test, "speakers": 0}}}
    title = next(line for line in shown(unknown, capsys) if "test utterances" in line)
    assert f"{test['utterances']} test utterances, protocol" in title
