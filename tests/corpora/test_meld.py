from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.meld import MELD
from emoflow.data.audio import read_speech
from emoflow.data.protocol import Protocol
from emoflow.errors import CorpusError, LabelError
from emoflow.testing.text_corpora import write_meld
from emoflow.testing.video import gray_pictures, write_video
from emoflow.types import Speech, Utterance
from tests.corpora.fuzz import survives_damage

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
    "StartTime,EndTime\r\n"
)
TIMES = '4,7,"00:20:57,256","00:21:00,049"'
ABSENT = "utterances whose speech is not extracted from their clip (text only)"

pytest.importorskip("av", reason="clips are read by PyAV")
pytestmark = pytest.mark.usefixtures("own_cache")


def row(said: str, dialogue: object = 0, turn: object = 0, emotion: str = "joy") -> str:
    return f'1,"{said}",Phoebe,{emotion},positive,{dialogue},{turn},{TIMES}\r\n'


def write(root: Path, split: str, *rows: str, encoding: str = "utf-8") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{split}_sent_emo.csv"
    path.write_bytes((HEADER + "".join(rows)).encode(encoding))
    return path


def clip(path: Path, samples: int = 4800) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(samples, 0.1), 16_000)
    return path


def read(root: Path, **options: object) -> tuple[MELD, list[Utterance]]:
    corpus = MELD(root=str(root), **options)  # type: ignore[arg-type]
    return corpus, list(corpus.table)


def test_a_row_says_it_all(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "dev", row("Oh my God, he\u2019s lost it.", 3, 14))
    corpus, (one,) = read(root)
    assert one.key == "meld/dev_dia3_utt14"
    assert (one.speaker, one.session, one.emotion) == ("Phoebe", "dev_dia3", "happy")
    assert one.text == "Oh my God, he\u2019s lost it."
    assert one.sentence == "ohmygodheslostit"
    assert one.extra == {
        "sentiment": "positive",
        "season": "4",
        "episode": "7",
        "start_time": "00:20:57,256",
        "end_time": "00:21:00,049",
    }
    assert (one.speech, one.votes, one.arousal, one.sex) == (None, None, None, None)
    assert corpus.notes == {"splits whose table is absent": 2, ABSENT: 1}


def test_ids_that_recur_in_other_splits_and_the_official_split(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    for split in ("train", "dev", "test"):
        write(root, split, row(f"In {split}."), row("Again.", 0, 1, "anger"))
    corpus, utterances = read(tmp_path, protocol=Protocol(name="official"))
    assert len(utterances) == len({u.id for u in utterances}) == 6
    assert corpus.official_split()["meld/dev_dia0_utt1"] == "validation"
    assert corpus.splits.counts == {"train": 2, "validation": 2, "test": 2, "left_out": 0}


@pytest.mark.parametrize(
    ("said", "encoding"),
    [
        ("\u201cIt\u2019s\u2026\u201d \u2014 caf\u00e9", "utf-8"),
        ("\u201cIt\u2019s\u2026\u201d \u2014 caf\u00e9", "utf-8-sig"),
        ("\u201cIt\u2019s\u2026\u201d \u2014 caf\u00e9", "cp1252"),
        ("\x93It\x92s\x85\x94 \x97 caf\u00e9", "utf-8"),
        ("\u00e2\u20ac\u0153It\u00e2\u20ac\u2122s\u00e2\u20ac\u00a6\u00e2\u20ac\x9d "
         "\u00e2\u20ac\u201d caf\u00e9", "utf-8"),
        ("\u00e2\x80\x9cIt\u00e2\x80\x99s\u00e2\x80\u00a6\u00e2\x80\x9d "
         "\u00e2\x80\x94 caf\u00e9", "utf-8"),
    ],
    ids=["plain", "bom", "cp1252", "controls", "garbled as cp1252", "garbled as latin-1"],
)  # fmt: skip
def test_curly_quotes_in_every_copy(tmp_path: Path, said: str, encoding: str) -> None:
    root = tmp_path / "corpus"
    write(root, "train", row(said), encoding=encoding)
    corpus, (one,) = read(root)
    assert one.text == "\u201cIt\u2019s\u2026\u201d \u2014 caf\u00e9"
    odd = corpus.notes.get("cells whose punctuation was garbled and is put right", 0)
    assert odd == (said[0] != "\u201c")


def test_speech_below_and_beside_the_root(tmp_path: Path) -> None:
    root = tmp_path / "test-corpus" / "MELD"  # folders above do not count
    for split in ("train", "dev", "test"):
        write(root, split, row(f"In {split}."))
    files = {
        "train": clip(root / "clips" / "train_splits" / "wav" / "DIA0_utt0.WAV"),
        "dev": clip(root.parent / "dev_splits_complete" / "dia0_utt0.flac"),
        "test": clip(root.parent / "output_repeated_splits_test" / "dia00_utt0.wav"),
    }
    corpus, utterances = read(root)
    found = {u.id.partition("_")[0]: u.speech.path for u in utterances if u.speech}
    assert found == {split: str(path) for split, path in files.items()}
    assert corpus.notes == {}
    files["dev"].unlink()
    corpus, utterances = read(root)  # a change beside the root is noticed
    assert corpus.notes == {ABSENT: 1}


def test_clips_that_are_broken_absent_or_nobodys(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "train", row("One."), row("Two.", 0, 1), row("Broken.", 125, 3))
    write(root, "dev", row("Absent.", 110, 7))
    write(root, "test", row("Three."))
    clip(root / "train_splits" / "dia0_utt0.wav")
    (root / "train_splits" / "dia0_utt1.mp4").write_bytes(b"video")
    clip(root / "train_splits" / "dia125_utt3.wav", 0)
    clip(root / "train_splits" / "again" / "dia0_utt0.wav")
    clip(root / "train_splits" / "dia9_utt9.wav")
    clip(root / "train_to_test" / "dia0_utt0.wav")
    (root / "train_splits" / "._dia0_utt1.wav").write_bytes(b"hidden")
    clip(root / "test" / "final_videos_testdia0_utt0.wav")
    corpus, utterances = read(root)
    assert [u.id for u in utterances if u.speech] == ["train_dia0_utt0"]
    assert corpus.notes == {
        ABSENT: 4,
        "files of extracted speech without any sound": 1,
        "clips that cannot be read": 1,
        "audio files that repeat an utterance (the first one counts)": 1,
        "audio files that lie in no split's folder": 1,
        "audio files without a row": 1,
    }


def test_speech_in_the_clips_themselves(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "train", *(row("Said.", 0, turn) for turn in range(5)))
    wave = np.full(16_384, 0.1, np.float32)
    folder = root / "train_splits"
    for turn in range(4):
        write_video(folder / f"dia0_utt{turn}.mp4", gray_pictures([90] * 30), wave)
    write_video(folder / "dia0_utt4.mp4", gray_pictures([90] * 30), None)
    write_video(folder / "again" / "dia0_utt3.mkv", None, wave)
    extracted = clip(folder / "z" / "dia0_utt1.wav")  # goes before the clip
    clip(folder / "dia0_utt2.wav", 0)
    corpus, utterances = read(root)
    found = {u.id: u.speech and Path(u.speech.path) for u in utterances}
    assert found == {
        "train_dia0_utt0": folder / "dia0_utt0.mp4",
        "train_dia0_utt1": extracted,
        "train_dia0_utt2": folder / "dia0_utt2.mp4",
        "train_dia0_utt3": folder / "dia0_utt3.mp4",
        "train_dia0_utt4": None,
    }
    assert corpus.table.column("seconds")[0] == pytest.approx(1.024)
    assert read_speech(utterances[0].speech or Speech("")).shape == (16_384,)
    assert corpus.notes == {
        "splits whose table is absent": 2,
        "files of extracted speech without any sound": 1,
        "audio files that repeat an utterance (the first one counts)": 1,
        "clips that cannot be read": 1,
        ABSENT: 1,
    }


def test_rows_that_repeat_are_empty_or_have_no_words(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    rows = [row("First."), row("Second."), "\r\n", row(" ", 1), row("None.", 2, 0, "")]
    write(root, "train", *rows)
    write(root, "dev", f"1,No one.,,{' NEUTRAL '},neutral,0,0,{TIMES}\r\n")
    write(root / "copy", "dev", row("Another."))
    corpus, utterances = read(root)
    found = {u.id: u for u in utterances}
    assert found["train_dia0_utt0"].text == "First."
    assert found["train_dia1_utt0"].text == ""
    assert found["train_dia1_utt0"].sentence == "train_dia1_utt0"
    assert found["train_dia2_utt0"].emotion is None
    notes = {kind: count for kind, count in corpus.notes.items() if kind != ABSENT}
    assert notes == {
        "copies of a split's table (the first one counts)": 1,
        "splits whose table is absent": 1,
        "rows that repeat an utterance (the first one counts)": 1,
        "utterances without words": 1,
        "utterances without an emotion": 1,
    }
    assert len(found) == 4


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,too,short\r\n", "more or fewer cells"),
        (row("One.").replace("4,7", "4,7,8"), "more or fewer cells"),
        (row("One.", "x", 0), "Dialogue_ID is 'x', not a number"),
        (row("One.", 0, "1.0"), "Utterance_ID is '1.0', not a number"),
        (row("One.", 0, ""), "Utterance_ID is '', not a number"),
        (row("One\r\ntwo."), "quotation mark is missing"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, bad: str, reason: str) -> None:
    root = tmp_path / "corpus"
    write(root, "train", row("Good.", 1), bad)
    with pytest.raises(CorpusError, match=rf"train_sent_emo\.csv, row 3: .*{reason}"):
        read(root)
    corpus, utterances = read(root, on_bad_utterance="skip")
    assert [u.id for u in utterances] == ["train_dia1_utt0"]
    assert [s.id for s in corpus.skipped] == ["train row 3"]


def test_labels(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    emotions = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "Disgust ")
    write(root, "train", *(row("One.", n, 0, e) for n, e in enumerate(emotions)))
    assert {u.emotion for u in read(root)[1]} == set(MELD.labels)
    found = {u.emotion for u in read(root, label_map={"happy": "good", "anger": "bad"})[1]}
    assert found == {*MELD.labels, "good", "bad"} - {"happy", "angry"}
    write(root, "dev", row("One.", 0, 0, "puzzled"))
    with pytest.raises(LabelError, match=r"dev_sent_emo\.csv, row 2: unknown emotion 'puzzled'"):
        read(root, on_bad_utterance="skip")


def test_wrong_tables_and_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        list(MELD(root=str(tmp_path / "nowhere")).utterances())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not MELD: no train_sent_emo\.csv(.|\n)*data\.root"):
        read(tmp_path / "empty")
    root = tmp_path / "corpus"
    write(root, "train", row("One.")).write_text("Utterance,Speaker\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"train_sent_emo\.csv: no column Emotion, Dialogue_ID"):
        read(root)
    write(root, "train").write_bytes(HEADER.encode() + b"\xff\x81")
    with pytest.raises(CorpusError, match="neither UTF-8 nor CP1252"):
        read(root)


def test_a_table_that_is_cut_off(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    path = write(root, "train", row("One."), row("Two.", 1))
    path.write_bytes(path.read_bytes()[:-4])
    corpus, _ = read(root)
    assert corpus.notes["tables whose last row does not end (is the file cut off?)"] == 1


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), odd=st.booleans())
def test_what_was_planted_is_found(seed: int, odd: bool) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "MELD"
        planted = {u.id: u for u in write_meld(root, count=21, seed=seed, odd=odd)}
        found = list(MELD(root=str(root)).utterances())
        assert len(found) == len(planted)
        assert {u.id: u for u in found} == planted


def test_the_table_holds_what_was_planted(tmp_path: Path) -> None:
    planted = {u.id: u for u in write_meld(tmp_path / "MELD", seed=3)}
    corpus, utterances = read(tmp_path / "MELD")
    for found in utterances:
        if found.speech is not None:
            found = found.with_(speech=planted[found.id].speech)  # its end is filled in
        assert found == planted.pop(found.id)
    assert planted == {}
    assert corpus.notes["cells whose punctuation was garbled and is put right"] > 20
    splits = Counter(corpus.official_split().values())
    assert splits == {"train": 14, "validation": 14, "test": 14}


def test_damage(tmp_path: Path) -> None:
    root = tmp_path / "MELD"
    write_meld(root, count=24, odd=False)
    for split in ("dev", "test"):
        (root / f"{split}_sent_emo.csv").unlink()
    for folder in ("dev_splits_complete", "output_repeated_splits_test"):
        shutil.rmtree(root / folder)
    make = lambda: MELD(root=str(root), on_bad_utterance="skip")  # noqa: E731
    survives_damage(make, root / "train_sent_emo.csv")
