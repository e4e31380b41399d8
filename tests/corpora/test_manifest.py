from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from emoflow.corpora import Manifest
from emoflow.errors import AudioError, ConfigError, CorpusError, LabelError
from emoflow.types import Rating, Speech, Utterance

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two audio files of two seconds: a.wav at 16 kHz and sub/b.flac at 44.1."""
    folder = tmp_path / "own"
    (folder / "sub").mkdir(parents=True)
    generator = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", generator.normal(0, 0.1, 32_000), 16_000)
    soundfile.write(folder / "sub" / "b.flac", generator.normal(0, 0.1, (88_200, 2)), 44_100)
    return folder


def read(root: Path, **options: Any) -> dict[str, Utterance]:
    table = Manifest(root=str(root), **options).table
    return {table[n].id: table[n] for n in range(len(table))}


def csv_of(folder: Path, lines: Iterable[str], encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


ROWS = [
    {
        "id": "one",
        "path": "a.wav",
        "start": 0.5,
        "end": 1.25,
        "text": "안녕, 반가워",
        "speaker": "kim",
        "session": "1",
        "emotion": "Happy ",
        "arousal": 3.5,
        "valence": None,
        "sex": "여",
        "age": "30s",
        "split": "train",
        "place": "home",
    },
    {"id": "two", "path": "sub/b.flac", "text": "안녕 반가워!", "sex": "M", "split": "Test"},
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same(folder: Path, ending: str) -> None:
    path = folder / f"manifest.{ending}"
    frame = pd.DataFrame(ROWS)
    if ending == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    found = read(folder)
    one, two = found["one"], found["two"]
    assert one.key == "manifest/one"
    assert one.speech == Speech(str(folder / "a.wav"), 0.5, 1.25)
    assert (one.text, one.speaker, one.session, one.age) == ("안녕, 반가워", "kim", "1", "30s")
    assert (one.emotion, one.arousal, one.valence, one.sex) == ("happy", 3.5, None, "female")
    assert one.extra == {"place": "home"}
    assert (two.sex, two.speaker, two.emotion, two.arousal) == ("male", None, None, None)
    assert two.extra == {}
    assert one.sentence == two.sentence is not None
    corpus = Manifest(root=str(path))
    assert corpus.official_split() == {"manifest/one": "train", "manifest/two": "test"}


def test_a_row_is_at_least_speech_or_text(folder: Path) -> None:
    path = csv_of(folder, ["speech", "a.wav", "sub/b.flac"])
    assert sorted(read(path)) == ["a.wav", "sub/b.flac"]
    assert Manifest(root=str(path)).official_split() is None
    path = csv_of(folder, ["text,emotion", "안녕,happy", "", '"그래, 잘 가",sad'])
    found = read(path)
    assert {u.text for u in found.values()} == {"안녕", "그래, 잘 가"}
    assert all(u.speech is None for u in found.values())
    path = csv_of(folder, ["path,start,end", "a.wav,0,0.5", "a.wav,0.5,1"])
    assert sorted(read(path)) == ["a.wav@0", "a.wav@0.5"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_encodings(folder: Path, encoding: str) -> None:
    path = csv_of(folder, ["id,text", "x,뷁 네"], encoding)
    assert read(path)["x"].text == "뷁 네"


def test_votes_raters_signals_and_faces(folder: Path) -> None:
    raters = [{"rater": "A", "emotion": "joy", "arousal": 2}, {"valence": 5}]
    row = {
        "id": "x",
        "text": "네",
        "votes": {"happy": 3, "sad": 1, "fear": 0},
        "raters": raters,
        "signals": {"EDA": "eda.csv"},
        "face": "x.png",
    }
    path = folder / "own.jsonl"
    path.write_text(json.dumps(row))
    found = read(path)["x"]
    assert found.votes == {"happy": 3, "sad": 1}
    assert found.raters == (Rating("A", "happy", 2.0, None), Rating("2", None, None, 5.0))
    assert found.signals == {"EDA": str(folder / "eda.csv")}
    assert found.face == str(folder / "x.png")
    path = csv_of(folder, ["id,text,votes_happy,votes_sad,signal_EDA", "x,네,2,,e.csv"])
    found = read(path)["x"]
    assert (found.votes, found.signals) == ({"happy": 2}, {"EDA": str(folder / "e.csv")})
    assert found.extra == {}


def test_own_labels_and_corpora(folder: Path) -> None:
    path = csv_of(folder, ["id,text,emotion,corpus", "x,네,당황,calls"])
    with pytest.raises(LabelError, match="row 2: unknown emotion '당황'"):
        read(path, on_bad_utterance="skip")
    found = read(path, label_map={"당황": "embarrassed"})["x"]
    assert (found.emotion, found.key) == ("embarrassed", "calls/x")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,wav", "x,a.wav"], r"no column speech, path or text; it has id, wav(.|\n)*known are"),
        (["id,text,Text", "x,a,b"], r"two columns are called 'text'"),
        (["id,text", "x,so, what"], r"row 2: 3 cells below 2 columns(.|\n)*double quotes"),
        ([""], "no column speech, path or text; it has none"),
        (["id,text"], "no utterances found"),
        (["id,text,arousal", "x,a,high"], r"row 2: arousal is 'high', not a number"),
        (["id,text,arousal", "x,a,inf"], "arousal is inf"),
        (["id,text,sex", "x,a,?"], r"row 2: sex is '\?'"),
        (["id,path", "x,none.wav"], r"none\.wav: no such file"),
        (["id,path,start", "x,a.wav,5"], r"no sample between 5 s and its end"),
        (["id,text", "x,a", "x,b"], "x: its id occurs a second time"),
        (["id,text", "x,"], "no modality"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, lines: list[str], message: str) -> None:
    path = csv_of(folder, lines)
    with pytest.raises(CorpusError, match=message):
        read(path)


def test_bad_rows_are_skipped_and_counted(folder: Path) -> None:
    path = csv_of(folder, ["id,path,arousal", "x,a.wav,high", "y,none.wav,1", "z,a.wav,1"])
    corpus = Manifest(root=str(path), on_bad_utterance="skip")
    assert [corpus.table[n].id for n in range(len(corpus.table))] == ["z"]
    assert sorted(s.id for s in corpus.skipped) == ["x", "y"]


def test_pointers_instead_of_audio(folder: Path) -> None:
    (folder / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(AudioError, match=r"git-lfs pointer(.|\n)*git lfs pull"):
        read(csv_of(folder, ["path", "a.wav"]))


@pytest.mark.parametrize("content", ["[1]", "{", "네"])
def test_lines_that_are_no_objects(folder: Path, content: str) -> None:
    path = folder / "own.jsonl"
    path.write_text('{"text": "a"}\n' + content)
    with pytest.raises(CorpusError, match=r"own\.jsonl, row 2: not"):
        read(path)


def test_wrong_roots(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere: no such file(.|\n)*table's file"):
        read(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"holds none, of manifest\.csv"):
        read(folder)
    with pytest.raises(CorpusError, match=r"a manifest ends in \.csv"):
        read(folder / "a.wav")
    (folder / "broken.parquet").write_bytes(b"PAR")
    with pytest.raises(CorpusError, match="not a Parquet file"):
        read(folder / "broken.parquet")
    csv_of(folder, ["text", "a"])
    (folder / "manifest.jsonl").write_text("{}")
    with pytest.raises(CorpusError, match=r"holds several: manifest\.csv, manifest\.jsonl"):
        read(folder)
    (folder / "bad.csv").write_bytes(b"text\n\xff\xfe\xff")
    with pytest.raises(CorpusError, match="neither UTF-8 nor CP949"):
        read(folder / "bad.csv")


def test_a_changed_table_is_read_again(folder: Path) -> None:
    path = csv_of(folder, ["id,text", "x,네"])
    assert list(read(path)) == ["x"]
    csv_of(folder, ["id,text", "x,네", "y,아니요"])
    assert sorted(read(path)) == ["x", "y"]


def test_videos_without_pyav_are_no_reason_to_skip(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the index would lack them still when PyAV is there."""
    (folder / "film.mp4").write_bytes(b"film")
    monkeypatch.setitem(sys.modules, "av", None)
    path = csv_of(folder, ["id,speech,text", "1,a.wav,hello", "2,film.mp4,hello"])
    with pytest.raises(ConfigError, match=r"emoflow\[video\]"):
        read(path, on_bad_utterance="skip")
    monkeypatch.undo()
    with pytest.raises(AudioError, match=r"film\.mp4"):
        read(path)
