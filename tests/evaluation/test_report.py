from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from emoflow.errors import CorpusError
from emoflow.evaluation import write_report
from tests.evaluation.fake_run import write_run, write_subsets_run


class Page(HTMLParser):
    """Collects text, attributes and headings; fails on tags that are not closed."""

    _VOID = ("meta", "img", "br", "line", "circle")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def section(self, title: str) -> str:
        """Text from a heading on."""
        return self.text[self.text.index(title) :]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    path = write_report(run)
    assert path == run / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_stands_alone(page: Page) -> None:
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object"}
    for tag, attributes in page.tags:
        assert "href" not in attributes
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/png;base64,")
            assert attributes["alt"]


def test_says_what_was_trained_on_what_under_which_protocol(page: Page) -> None:
    assert "Emotions from speech and text, trained on 9,111 utterances of KEMDy20" in page.text
    assert "tested on 898 utterances of 16 speakers" in page.text
    assert "Protocol “sessions”, fingerprint 3f9a1c023f9a" in page.text
    assert "212 of 900 test utterances share their words" in page.section("What the audit found")
    assert "EmotionClassifier" in page.section("Training")


def test_numbers_are_those_of_the_metrics(run: Path, page: Page) -> None:
    test = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    result = page.section("Every metric of every subset")
    for scores in [*test["subsets"].values()]:
        for score in scores.values():
            assert f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in result
    assert "floor majority class" + "".join(f" {v:.3f}" for v in _ordered(test["floor"])) in result
    limit = "0.830 0.850 0.900 0.900 –"
    assert f"ceiling leave one rater out {limit}" in page.section("Result on the test split")
    assert f"ceiling leave one rater out, all modalities {limit}" in result
    happy = test["details"]["speech+text"]["per_class"]["happy"]
    assert f"happy {happy['recall']:.3f} {happy['precision']:.3f}" in page.section("Classes")
    for part in test["slices"]["length"] + test["slices"]["agreement"]:
        assert f"{part['name']} {part['utterances']} utterances" in page.text


def _ordered(scores: dict[str, float]) -> list[float]:
    return [scores[n] for n in ("macro_f1", "uar", "accuracy", "weighted_f1", "ece")]


def test_everything_promised_is_there(page: Page) -> None:
    alts = " ".join(str(a.get("alt")) for tag, a in page.tags if tag == "img")
    for picture in ("Confusion matrix of 5", "valence-arousal", "Learning curve", "confidence"):
        assert picture in alts
    assert "Stage before: arousal" in page.text
    assert "CCC arousal" in page.section("Stage before: arousal")
    assert page.text.index("Stage before: arousal") < page.text.index("Stage before: valence")
    skipped = page.section("Skipped and noted")
    assert "2 utterances could not be used" in skipped
    assert "Sess07_script03_User013M_004 the file holds no samples wav/Session07/" in skipped
    assert "ties 634" in skipped
    assert "1 warning" in page.text
    assert "네., 그렇죠." in page.text
    assert "root: <KEMDy20>" in page.text  # escaped, not a tag
    assert "packages.torch 2.11.0" in page.text
    assert "speaker-dependent" not in page.text


def test_a_random_split_is_stamped(tmp_path: Path) -> None:
    run = write_run(tmp_path, protocol="random", stages=False)
    html = write_report(run).read_text(encoding="utf-8")
    assert 'class="banner red"' in html
    text = Page(html).text
    assert text.index("speaker-dependent") < text.index("Result on the test split")
    assert "coloured by the predicted emotion" in html  # without stages the plane shows labels


def test_a_stage_has_a_report_of_its_own(run: Path, page: Page) -> None:
    found = Page(write_report(run / "stages" / "valence").read_text(encoding="utf-8"))
    assert "Valence from text" in found.text
    assert "CCC valence" in found.text
    assert "Predicted against true valence" in " ".join(str(a.get("alt")) for _, a in found.tags)


@pytest.fixture(scope="module")
def subsets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Metrics of a run over seven subsets, less what is not about subsets."""
    run = write_subsets_run(tmp_path_factory.mktemp("subsets"))
    metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    metrics["splits"]["test"] |= {"labels": [], "slices": {}}
    return metrics


def test_every_subset_of_modalities(subsets: dict[str, Any], tmp_path: Path) -> None:
    html = write_report(tmp_path, subsets).read_text(encoding="utf-8")
    page, test = Page(html), subsets["splits"]["test"]
    assert "Emotions from speech, text and signals" in page.text
    found = page.section("Every subset of modalities")
    found = found[: found.index("What a modality adds")]
    for name, scores in test["subsets"].items():
        value, ceiling = scores["macro_f1"]["value"], test["ceilings"][name]["macro_f1"]
        way = (value - test["floor"]["macro_f1"]) / (ceiling - test["floor"]["macro_f1"])
        cells = [_cell(scores["macro_f1"])]
        for kind in ("retrained", "retrained_difference"):
            own = subsets[kind].get(name)
            cells.append(_cell(own["macro_f1"], sign=kind[9:]) if own else "–")
        cells += [f"{ceiling:.3f}", f"{100 * way:.0f} %"]
        assert f"{name} {' '.join(cells)}" in found
    assert f"floor {test['floor']['macro_f1']:.3f}" in found
    alts = [attributes.get("alt") for tag, attributes in page.tags if tag == "img"]
    assert "macro F1 of every subset of modalities" in alts


def _cell(score: dict[str, float], sign: str = "") -> str:
    value = f"{score['value']:+.3f}" if sign else f"{score['value']:.3f}"
    return f"{value} [{score['low']:.3f}, {score['high']:.3f}]".replace("-0.000", "0.000")


def test_what_a_modality_adds(subsets: dict[str, Any], tmp_path: Path) -> None:
    html = write_report(tmp_path, subsets).read_text(encoding="utf-8")
    found = Page(html).section("What a modality adds")
    gains = subsets["splits"]["test"]["gains"]
    bold = 0
    for gain in gains:
        to, score = gain["to"].replace("+", " and "), gain["metrics"]["macro_f1"]
        possible = gain["ceiling"]["macro_f1"]
        assert f"{gain['modality']} {to} {_cell(score, '+')} {possible:+.3f}" in found
        sure = score["low"] > 0 or score["high"] < 0
        assert (f"<b>{score['value']:+.3f}</b>" in html) == sure
        bold += sure
    assert 0 < bold < len(gains)


def test_subsets_without_ceilings_intervals_or_other_nets(
    subsets: dict[str, Any], tmp_path: Path
) -> None:
    content = {k: v for k, v in subsets.items() if not k.startswith("retrained")}
    test = dict(content["splits"]["test"])
    for name in ("ceiling", "ceilings", "ceiling_source", "gains"):
        del test[name]
    content["splits"] = {"test": test}
    found = Page(write_report(tmp_path, content).read_text(encoding="utf-8")).section(
        "Every subset"
    )
    found = found[: found.index("Every metric of every subset")]
    assert "trained on it alone" not in found
    assert "ceiling" not in found
    assert "What a modality adds" not in found
    flat = subsets["splits"]["test"] | {"ceiling": {"macro_f1": 0.95}, "ceilings": None}
    content["splits"] = {"test": flat}
    text = Page(write_report(tmp_path, content).read_text(encoding="utf-8")).text
    assert "The ceiling (known) is that of all modalities, shown at every subset." in text


def test_of_many_gains_those_to_the_full_set_stand_first(
    subsets: dict[str, Any], tmp_path: Path
) -> None:
    content = json.loads(json.dumps(subsets))
    content["splits"]["test"]["gains"] *= 2  # as many as there are with faces
    html = write_report(tmp_path, content).read_text(encoding="utf-8")
    first, rest = html.split("<summary>To smaller subsets</summary>")
    first = first[first.index("What a modality adds") :]
    assert first.count('<th scope="row"') == 6
    assert "text and signals" in first
    assert rest[: rest.index("</details>")].count('<th scope="row"') == 12


def test_one_subset_has_no_part_on_subsets(run: Path) -> None:
    text = Page(write_report(run / "stages" / "arousal").read_text(encoding="utf-8")).text
    assert "subset" not in text


def test_works_with_metrics_alone(run: Path, tmp_path: Path) -> None:
    content = json.loads((run / "metrics.json").read_text())
    content["splits"]["test"] |= {"labels": [], "slices": {}}
    text = Page(write_report(tmp_path, content).read_text(encoding="utf-8")).text
    assert "Stage before: valence" in text
    assert not (tmp_path / "metrics.json").exists()
    text = Page(write_report(tmp_path, without_scores(run)).read_text(encoding="utf-8")).text
    assert "has not been scored yet" in text
    assert Page(write_report(tmp_path, {"version": "0"}).read_text(encoding="utf-8"))


def test_same_run_same_page(run: Path) -> None:
    stage = run / "stages" / "arousal"
    assert write_report(stage).read_bytes() == write_report(stage).read_bytes()


def without_scores(run: Path) -> Any:
    content = json.loads((run / "metrics.json").read_text())
    return {k: v for k, v in content.items() if k not in ("splits", "stages")}


def test_texts_are_escaped(run: Path, tmp_path: Path) -> None:
    content = without_scores(run)
    content["experiment"] = "<b>a & b</b>"
    content["warnings"] = ["<script>alert(1)</script>"]
    content["corpus"]["skipped"][0]["reason"] = "<i>"
    html = write_report(tmp_path, content).read_text(encoding="utf-8")
    assert not re.search(r"<script|<b>a|<i>", html)
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in html


def test_errors_tell_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no metrics\.json[\s\S]*emoflow fit --resume"):
        write_report(tmp_path)
    (tmp_path / "metrics.json").write_text("{broken")
    with pytest.raises(CorpusError, match=r"metrics\.json: cannot be read[\s\S]*emoflow test"):
        write_report(tmp_path)
    (tmp_path / "metrics.json").write_text('{"experiment": "x"}')
    (tmp_path / "predictions.parquet").write_text("no parquet")
    with pytest.raises(CorpusError, match=r"predictions\.parquet: cannot be read"):
        write_report(tmp_path)


def test_many_skips_are_cut_and_counted(run: Path, tmp_path: Path) -> None:
    content = without_scores(run)
    skip = {"id": "u", "file": "u.wav", "reason": "empty"}
    content["corpus"]["skipped"] = [skip] * 1200
    text = Page(write_report(tmp_path, content).read_text(encoding="utf-8")).text
    assert "1,200 utterances could not be used" in text
    assert "and 1,150 more" in text
