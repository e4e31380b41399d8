from pathlib import Path

import pytest

from emoflow.cli import main
from emoflow.corpora import Corpus, EmotionTTS, KEMDy20, Manifest
from emoflow.corpora.manifest_writer import write_manifest_of
from emoflow.errors import ConfigError
from emoflow.testing import write_demo_corpus, write_emotiontts, write_manifest
from emoflow.types import Rating, Utterance

pytestmark = pytest.mark.usefixtures("own_cache")


def _same(corpus: Corpus, path: Path) -> None:
    assert write_manifest_of(corpus, path) == len(corpus.table)
    again = Manifest(root=str(path))
    assert list(again.table) == list(corpus.table)
    assert again.official_split() == corpus.official_split()


def test_kemdy20_with_raters_votes_signals_and_empty_texts(tmp_path: Path) -> None:
    root = write_demo_corpus(tmp_path / "corpus", sessions=2, utterances_per_speaker=12)
    corpus = KEMDy20(root=str(root), on_bad_utterance="skip")
    assert any(u.text == "" for u in corpus.table)
    assert any(u.emotion is None and u.votes for u in corpus.table)
    _same(corpus, tmp_path / "out.parquet")


def test_other_layouts(tmp_path: Path) -> None:
    tts = EmotionTTS(root=str(write_emotiontts(tmp_path / "tts")))
    _same(tts, tmp_path / "tts.parquet")
    table = write_manifest(tmp_path / "own", speakers=3, utterances_per_speaker=4)
    _same(Manifest(root=str(table)), tmp_path / "own.parquet")


class Planted(Corpus):
    """Whatever a test plants."""

    name = "planted"
    planted: tuple[Utterance, ...] = ()

    def files(self):
        return ()

    def utterances(self):
        yield from self.planted


def test_own_labels_mixed_extras_and_awkward_names(tmp_path: Path) -> None:
    class Own(Planted):
        planted = (
            Utterance(
                id="a",
                corpus="planted",
                text=' 쉼표, "따옴표"\n두 줄 '.strip(),
                emotion="기쁨",
                votes={"기쁨": 2.0, "상처": 1.0},
                raters=(Rating("R1", "상처", 2.0, None), Rating("R2")),
                extra={"turn": 3, "mixed": 1, "split": "not the split", "list": [1, "b"], "e": ""},
            ),
            Utterance(id="b", corpus="planted", text="", extra={"mixed": "x", "votes_x": 1.5}),
        )

    _same(Own(root=str(tmp_path)), tmp_path / "out.parquet")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    corpus = EmotionTTS(root=str(write_emotiontts(tmp_path / "tts")))
    (tmp_path / "out.parquet").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"out\.parquet: is there already"):
        write_manifest_of(corpus, tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == b"mine"
    with pytest.raises(ConfigError, match=r"is a \.parquet file"):
        write_manifest_of(corpus, tmp_path / "out.csv")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_emotiontts(tmp_path / "tts")
    next(root.glob("*/nea/transcript/nea00001.txt")).unlink()
    next(root.glob("*/nea/script/nea00001.txt")).unlink()
    out = tmp_path / "out.parquet"
    words = ["manifest", "--config", "emotiontts.yaml", "--data.root", str(root)]
    assert main([*words, str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"wrote 36 utterances of emotiontts to {out}" in printed
    assert "note: 1 utterances without a transcript" in printed
    assert len(Manifest(root=str(out)).table) == 36
    assert main(words) == 1
    assert "end the command with the new file" in capsys.readouterr().err
