from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from emoflow.corpora.emergency_sound import EmergencySound
from emoflow.errors import ConfigError, CorpusError
from emoflow.testing.emergency_sound import write_emergency_sound
from tests.corpora.emergency_files import STEM, annotation, noise, notes, of_class, place, read
from tests.corpora.fuzz import survives_damage

pytestmark = pytest.mark.usefixtures("own_cache")


# ---- layouts --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("wav", [f"{STEM}_label.wav", f"{STEM}.wav", f"{STEM}_LABEL.WAV"])
def test_names_of_audio(tmp_path: Path, wav: str, form: Any) -> None:
    root = tmp_path / "corpus"
    place(root, annotation(), stem=unicodedata.normalize(form, STEM), wav="")
    name = unicodedata.normalize(form, wav)
    path = noise((root / "Training" / "[원천]8.전기사고_5" / name).with_suffix(".wav"))
    path.rename(path.with_name(name))
    (utterance,) = read(root)
    assert (utterance.id, utterance.speech and utterance.speech.path) == (
        STEM,
        str(path.with_name(name)),
    )


def test_labels_and_audio_that_lack_each_other(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    place(root, annotation())
    place(root, stem="8.전기사고_2", content="not read, since nothing is to hear", wav="")
    place(root, annotation(), stem="8.전기사고_3", wav="")
    noise(root / "Validation" / "[원천]15.실내_5" / "15.실내_9_label.wav")
    assert [u.id for u in read(root)] == [STEM]
    assert notes(root) == {"labels without audio": 2, "wav files without a label": 1}


def test_labels_and_audio_that_repeat(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    place(root, annotation())
    place(root, annotation(note="다시"), split="Validation")
    (utterance,) = read(root)
    assert utterance.text == "불이 났어요"
    assert utterance.speech is not None
    assert "Training" in utterance.speech.path
    assert notes(root) == {
        "label files that repeat another (the first one counts)": 1,
        "wav files that repeat another (the first one counts)": 1,
    }


def test_files_of_other_programs(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    path = place(root, annotation())
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / f"{STEM}.json").write_bytes(b"\0")
    (root / "Training" / "Thumbs.db").write_bytes(b"\0")
    assert [u.id for u in read(root)] == [STEM]
    assert notes(root) == {}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = place(tmp_path / "corpus", annotation())
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    assert read(tmp_path / "corpus")[0].text == "불이 났어요"


# ---- what cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no list of annotations"),
        ({"audio": {}}, "holds no list of annotations"),
        ({"annotations": []}, "holds no list of annotations"),
        ({"annotations": {"0": {}}}, "holds no list of annotations"),
        ({"annotations": [annotation(), "text"]}, "holds no list of annotations"),
        ({"annotations": [annotation(categories={})]}, "no category_02"),
        ({"annotations": [annotation(categories=["전기사고"])]}, "no category_02"),
        ({"annotations": [of_class(" ")]}, "no category_02"),
        ({"annotations": [annotation(area={"start": "x", "end": 1})]}, "its start is 'x', not a"),
        ({"annotations": [annotation(area={"start": 0, "end": [1]})]}, r"its end is \[1\], not a"),
        ({"annotations": [annotation(area={"start": 0, "end": 10**400})]}, "its end is 1000"),
        ({"annotations": [annotation(area={"start": 0, "end": float("nan")})]}, "its end is nan"),
    ],
)
def test_labels_that_say_nothing(tmp_path: Path, content: Any, message: str) -> None:
    root = tmp_path / "corpus"
    place(root, content=content)
    place(root, annotation(), stem="8.전기사고_2")
    with pytest.raises(CorpusError, match=rf"8\.전기사고_236859\.json.*: {message}"):
        read(root)
    corpus = EmergencySound(root=str(root), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["8.전기사고_2"]
    assert [s.id for s in corpus.skipped] == [STEM]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a JSON file"),
        (b'{"annotations": [', "not a JSON file"),
        (b"[" * 100_000, "not a JSON file"),
        (b"\xff\xfe\x00\xd8", "neither UTF-8 nor CP949"),
    ],
)
def test_labels_that_are_not_json(tmp_path: Path, content: bytes, message: str) -> None:
    root = tmp_path / "corpus"
    place(root, annotation()).write_bytes(content)
    place(root, annotation(), stem="8.전기사고_2")
    with pytest.raises(CorpusError, match=rf"8\.전기사고_236859\.json: .*{message}"):
        read(root)
    corpus = EmergencySound(root=str(root), on_bad_utterance="skip")
    assert (len(corpus.table), [s.id for s in corpus.skipped]) == (1, [STEM])


def test_one_bad_annotation_leaves_the_others(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    place(root, annotation(), annotation(area={"start": "?"}), annotation(note=...))
    with pytest.raises(CorpusError, match=r"\.json, annotation 2: its start is '\?'"):
        read(root)
    corpus = EmergencySound(root=str(root), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == [f"{STEM}_1", f"{STEM}_3"]
    assert [s.id for s in corpus.skipped] == [f"{STEM}_2"]


@pytest.mark.parametrize("area", [(0.2, 0.1), (-1, 0.2), (0.1, 0.9), (0.5, 0.6)])
def test_spans_outside_the_file(tmp_path: Path, area: tuple[float, float]) -> None:
    root = tmp_path / "corpus"
    place(root, annotation(area={"start": area[0], "end": area[1]}))
    place(root, annotation(), stem="8.전기사고_2")
    with pytest.raises(CorpusError, match="no sample between"):
        _ = EmergencySound(root=str(root)).table
    corpus = EmergencySound(root=str(root), on_bad_utterance="skip")
    assert (len(corpus.table), [s.id for s in corpus.skipped]) == (1, [STEM])


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        read(tmp_path / "nowhere")
    root = tmp_path / "corpus"
    root.mkdir()
    with pytest.raises(CorpusError, match=r"not the emergency(.|\n)*0 json and 0 wav(.|\n)*give"):
        read(root)
    (root / "[라벨]8.전기사고.zip.part0").touch()
    with pytest.raises(CorpusError, match=r"part0 first: emoflow unpack .*corpus FOLDER; then"):
        read(root)
    place(root, annotation(), wav="")
    with pytest.raises(CorpusError, match="1 json and 0 wav files"):
        read(root)


def test_a_small_corpus_needs_eight(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="count is 7"):
        write_emergency_sound(tmp_path / "corpus", count=7)


def test_damaged_labels(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write_emergency_sound(root, count=8, seed=0)
    path = next(p for p in root.rglob("*.json") if '"start": 0.3' in p.read_text("utf-8-sig"))
    for other in [*root.rglob("*.json"), *root.rglob("*.wav")]:
        if "236005" not in other.name and "236006" not in other.name:
            other.unlink()
    assert len(read(root)) >= 3
    survives_damage(lambda: EmergencySound(root=str(root), on_bad_utterance="skip"), path)
