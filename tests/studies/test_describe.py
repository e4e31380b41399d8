from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from emoflow.cli import main
from emoflow.corpora import KEMDy20
from emoflow.data.protocol import Protocol
from emoflow.errors import ConfigError
from emoflow.studies import contents
from emoflow.studies.describe import describe
from emoflow.studies.facts import gather_facts
from emoflow.studies.raters import raters
from emoflow.studies.sections import count_by
from tests.commands.test_loggers import config
from tests.corpora.toy import ALLOW, Toy, rows, write


class Page(HTMLParser):
    """The files inside a page, and what it would fetch from elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.inside: list[tuple[str, bytes]] = []
        self.elsewhere: list[str] = []
        self.names: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "download":
                self.names.append(str(value))
            if name in ("src", "href"):
                found = re.fullmatch(r"data:([a-z/]+);base64,(.*)", str(value))
                if found:
                    self.inside.append((found[1], base64.b64decode(found[2])))
                else:
                    self.elsewhere.append(str(value))

    def of(self, kind: str) -> list[bytes]:
        return [content for name, content in self.inside if name == kind]


@pytest.fixture(scope="module")
def demo(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = KEMDy20(str(demo_root), protocol=Protocol(name="sessions", folds=5, validation=0.3))
    return describe(corpus, tmp_path_factory.mktemp("describe") / "demo").parent


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_the_page_needs_nothing_else(demo: Path) -> None:
    page = Page(demo / "describe.html")
    assert page.elsewhere == []
    pictures = [Image.open(io.BytesIO(p)) for p in page.of("image/png")]
    assert len(pictures) > 15
    assert all(len(p.convert("L").getcolors(2**16) or ()) > 3 for p in pictures)  # none is blank
    assert "<script" not in page.source


def test_the_tables_in_the_page_are_the_files(demo: Path) -> None:
    page = Page(demo / "describe.html")
    files = {p.name: p.read_bytes() for p in (demo / "tables").iterdir()}
    assert dict(zip(page.names, page.of("text/csv"), strict=True)) == files
    expected = {"emotions", "emotions_by_speaker", "emotions_by_sex", "arousal_valence", "lengths"}
    expected |= {"agreement", "ties", "recordings", "present", "duplicates", "extremes"}
    assert expected <= {Path(name).stem for name in files}


def test_emotions_are_counted_with_ties_for_each(demo: Path, demo_root: Path) -> None:
    corpus = KEMDy20(str(demo_root))
    votes = corpus.table.column("votes")
    emotion = corpus.table.column("emotion")
    count: dict[str, int] = {}
    for one, counted in zip(emotion, votes, strict=True):
        most = max(counted.values())
        for label in [one] if one else [k for k, v in counted.items() if v == most]:
            count[label] = count.get(label, 0) + 1
    frame = table(demo, "emotions").set_index("emotion")
    assert frame["utterances"].to_dict() == count
    parts = [s for s in ("train", "validation", "test", "left out") if s in frame]
    assert (frame[parts].sum(axis=1) == frame["utterances"]).all()
    speakers = table(demo, "emotions_by_speaker").set_index("speaker")
    assert speakers.sum().to_dict() == count
    tied = sum(one is None for one in emotion)
    assert table(demo, "ties")["utterances"].sum() >= tied > 0


def test_lengths_are_those_of_pandas(demo: Path, demo_root: Path) -> None:
    corpus = KEMDy20(str(demo_root))
    seconds = pd.Series(corpus.table.column("seconds"))
    texts = [t for t in corpus.table.column("text") if t is not None]
    frame = table(demo, "lengths").set_index(["quantity", "group"])
    known = frame.loc[("seconds", "all")]
    assert known["mean"] == pytest.approx(seconds.mean())
    assert known["sd"] == pytest.approx(seconds.std())
    assert known["95 %"] == pytest.approx(seconds.quantile(0.95))
    assert frame.loc[("words", "all"), "mean"] == pytest.approx(
        np.mean([len(t.split()) for t in texts])
    )


def test_agreement_is_that_of_the_raters(tmp_path: Path) -> None:
    """Two raters: kappa with pooled margins, by hand; next to Cohen's of sklearn."""
    random = np.random.default_rng(0)
    table_rows = rows(speakers=6, each=8)
    for row in table_rows:
        a, b = random.choice(["sad", "happy"], 2, p=[0.4, 0.6])
        b = a if random.random() < 0.5 else b
        row["raters"] = [a, b]
        row["emotion"], row["votes"] = None, None

    class Rated(Toy):
        def utterances(self) -> Any:
            from emoflow.types import Rating

            said = {row["id"]: row.pop("raters") for row in table_rows}
            (Path(self.root) / "all.json").write_text(json.dumps(table_rows))
            for one in super().utterances():
                pair = tuple(Rating(n, e) for n, e in zip("xy", said[one.id], strict=True))
                yield one.with_(raters=pair)

    pairs = [row["raters"] for row in table_rows]
    write(tmp_path / "toy", [{k: v for k, v in r.items() if k != "raters"} for r in table_rows])
    tables = raters(gather_facts(Rated(str(tmp_path / "toy"), protocol=ALLOW))).tables
    found = tables["agreement"].set_index("rating").loc["emotion"]
    equal = np.mean([a == b for a, b in pairs])
    share = np.mean([one == "sad" for pair in pairs for one in pair])
    chance = share**2 + (1 - share) ** 2
    assert found["unanimous"] == pytest.approx(equal)
    assert found["Fleiss kappa"] == pytest.approx((equal - chance) / (1 - chance))
    cohen = cohen_kappa_score(*zip(*pairs, strict=True))
    assert found["Fleiss kappa"] == pytest.approx(cohen, abs=0.02)


def test_examples_are_heard_as_they_are_and_come_from_training(demo: Path, demo_root: Path) -> None:
    page = Page(demo / "describe.html")
    corpus = KEMDy20(str(demo_root), protocol=Protocol(name="sessions", folds=5, validation=0.3))
    training = set(corpus.splits.keys["train"])
    shown = re.findall(r"<figcaption>[^<]* · (kemdy20/[^<]+?)<", page.source)
    assert shown
    assert set(shown) <= training
    sounds = page.of("audio/flac")
    assert len(sounds) == len(shown)
    for key, sound in zip(shown, sounds, strict=True):
        samples, rate = soundfile.read(io.BytesIO(sound))
        path = corpus.table[int(corpus.table.rows([key])[0])].speech.path
        original, _ = soundfile.read(path)
        assert rate == 16000
        np.testing.assert_allclose(samples, original[: 6 * 16000], atol=2e-4)


def test_words_of_the_test_split_are_not_told(tmp_path: Path) -> None:
    table_rows = rows(speakers=8, each=40)
    for row in table_rows:
        row["text"] = (
            f"{row['id']} secret{row['speaker']}" if row["emotion"] == "sad" else row["id"]
        )
        row["speech"] = None
    root = write(tmp_path / "toy", table_rows)
    corpus = Toy(str(root), protocol=Protocol(folds=4, validation=0.3, on_overlap="allow"))
    found = contents.words(gather_facts(corpus)).tables["words"]
    heldout = {
        f"secret{s}"
        for name in ("validation", "test")
        for s in corpus.table.column("speaker", corpus.splits.rows(name))
    }
    words = set(found["word"])
    assert words & {f"secrets{n:02d}" for n in range(8)}
    assert not words & heldout


def test_further_columns_group_where_they_are_few_and_plain(tmp_path: Path) -> None:
    table_rows = rows(speakers=4, each=8)
    for number, row in enumerate(table_rows):
        row["extra"] = {"place": "가나다"[number % 3], "take": number % 2, "number": number}
        row["extra"] |= {"boxes": [[number, 1.5]], "first": "sad", "level": number / 3}
        if number % 5 == 0:
            row["extra"] = {}
    facts = gather_facts(Toy(str(write(tmp_path / "toy", table_rows)), protocol=ALLOW))
    assert set(facts.groupings) == {"split", "speaker", "session", "place", "take", "number"}
    places = count_by(facts, "place")
    assert set(places) == {"가", "나", "다"}
    sad = facts.labels.index("sad")
    for place, counts in places.items():
        here = [r for r in table_rows if r["extra"].get("place") == place]
        alone = [r for r in here if r["emotion"] == "sad"]
        tied = [r for r in here if r["emotion"] is None]  # sad and fear
        assert counts[sad] == len(alone) + len(tied)


def test_duplicates_are_found(tmp_path: Path) -> None:
    table_rows = rows()
    table_rows[8]["sentence"] = table_rows[0]["sentence"]
    root = write(tmp_path / "toy", table_rows)
    (root / table_rows[16]["speech"]).write_bytes((root / table_rows[0]["speech"]).read_bytes())
    tables = contents.duplicates(gather_facts(Toy(str(root), protocol=ALLOW))).tables
    found = tables["duplicates"].set_index("what")
    assert found.loc["equal recordings", ["groups", "utterances"]].tolist() == [1, 2]
    assert found.loc["equal sentences", ["groups", "utterances"]].tolist() == [1, 2]
    groups = tables["duplicate_groups"].set_index("what")
    assert groups.loc["equal recordings", "for example"] == "toy/s00_0, toy/s02_0"


def test_text_alone_and_hangul_labels(tmp_path: Path, recwarn: Any) -> None:
    path = tmp_path / "comments.csv"
    said = [("정말 기쁘다", "기쁨이"), ("너무 슬프다", "슬픔이")]
    lines = [f"{k},오늘은 {said[k % 2][0]} {k},{said[k % 2][1]}" for k in range(60)]
    path.write_text("id,text,emotion\n" + "\n".join(lines), encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    content = config(path, "csv")
    content["data"] = {
        "class_path": "Manifest",
        "init_args": {
            "root": str(path),
            "label_map": {"기쁨이": "기쁨이", "슬픔이": "슬픔이"},
            "protocol": {"name": "speakers"},
        },
    }
    mine.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert main(["describe", "--config", str(mine), "--out", str(tmp_path / "out")]) == 0
    page = Page(tmp_path / "out" / "describe.html")
    assert "the protocol cannot split this corpus" in page.source  # it knows no speakers
    assert page.of("audio/flac") == []
    words = table(tmp_path / "out", "words")
    assert {"정말", "기쁘다"} <= set(words[words["emotion"] == "기쁨이"]["word"])
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_nothing_is_written_over(tmp_path: Path, capsys: Any) -> None:
    root = write(tmp_path / "toy", rows(speakers=4, each=4))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="there is something in it"):
        describe(Toy(str(root), protocol=ALLOW), tmp_path)
    assert main(["describe"]) == 0
    assert "usage: emoflow describe" in capsys.readouterr().out
    assert main(["describe", "--out", str(tmp_path)]) == 1
    assert "which config?" in capsys.readouterr().err
