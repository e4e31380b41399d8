from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.esd import ESD
from emoflow.data.protocol import Protocol
from emoflow.errors import ConfigError, CorpusError
from emoflow.testing.esd import write_esd
from tests.corpora.fuzz import survives_damage
from tests.corpora.planted import by_id, hear

pytestmark = pytest.mark.usefixtures("own_cache")


def said(root: Path, content: bytes, speaker: str = "0011") -> ESD:
    """Return a corpus of two utterances of a speaker with this transcript."""
    hear(root, f"{speaker}/Angry/{speaker}_000351.wav", f"{speaker}/Sad/{speaker}_001051.wav")
    (root / speaker / f"{speaker}.txt").write_bytes(content)
    return ESD(root=str(root), language="both")


def texts(corpus: ESD) -> list[str | None]:
    return [u.text for u in sorted(corpus.utterances(), key=lambda u: u.id)]


@given(st.integers(0, 10_000), st.sampled_from(["english", "chinese", "both"]))
@settings(max_examples=8, deadline=None)
def test_what_was_planted_is_found(
    tmp_path_factory: pytest.TempPathFactory, seed: int, language: str
) -> None:
    root = tmp_path_factory.mktemp("esd") / "corpus"
    planted = write_esd(root, seed=seed, count=1 + seed % 4, language=language)  # type: ignore[arg-type]
    corpus = ESD(root=str(root), language=language)  # type: ignore[arg-type]
    assert by_id(list(corpus.utterances())) == by_id(planted)


def test_the_table_holds_what_was_planted(tmp_path: Path) -> None:
    planted = by_id(write_esd(tmp_path / "corpus"))
    corpus = ESD(root=str(tmp_path))
    found = by_id(list(corpus.table))
    assert found.keys() == planted.keys()
    for name, utterance in found.items():
        assert utterance.speech is not None
        assert 0.2 < (utterance.speech.end or 0) < 0.4
        assert utterance.with_(speech=planted[name].speech) == planted[name]
    assert len(found) == 6 * 5 * 3
    assert Counter(u.text is None for u in found.values()) == {False: 78, True: 12}
    notes = dict(corpus.notes)
    assert notes.pop("transcripts that name another emotion than the folder (it counts)") >= 6
    assert notes == {
        "files that repeat an utterance (the first one counts)": 6,
        "broken transcript lines (no id at the start, or two ids)": 6,
        "transcript lines that repeat an utterance (the first one counts)": 6,
        "transcript lines without a known emotion": 6,
        "transcript lines without a text": 6,
        "transcript lines without an audio file": 6,
        "utterances in another emotion's folder than their number's": 6,
        "utterances without a transcript": 12,
    }
    assert corpus.skipped == ()


def test_a_tidy_corpus_has_no_notes(tmp_path: Path) -> None:
    planted = write_esd(tmp_path / "corpus", odd=False, language="both")
    corpus = ESD(root=str(tmp_path / "corpus"), language="both")
    assert by_id(list(corpus.utterances())) == by_id(planted)
    assert dict(corpus.notes) == {}
    assert len(corpus.table) == 120


@pytest.mark.parametrize(
    ("speaker", "encoding"),
    [
        ("0001", "gb2312"),
        ("0003", "utf-16"),
        ("0003", "utf-8"),
        ("0011", "utf-8-sig"),
        ("0012", "utf-16"),
        ("0016", "latin-1"),
        ("0016", "cp1252"),
    ],
)
def test_each_encoding_is_read(tmp_path: Path, speaker: str, encoding: str) -> None:
    text = "打远一看，它们很美" if speaker < "0011" else "My naïve café."
    text += "…" if encoding == "cp1252" else ""
    content = f"{speaker}_000351\t{text}\tAngry\r\n\r\n{speaker}_001051\tB\tSad\r\n"
    corpus = said(tmp_path, content.encode(encoding), speaker)
    assert texts(corpus) == [text, "B"]
    assert dict(corpus.notes) == {}


def test_big_endian_text(tmp_path: Path) -> None:
    content = b"\xfe\xff" + "0012_000351\tA\tAngry\n0012_001051\tB\tSad".encode("utf-16-be")
    assert texts(said(tmp_path, content, "0012")) == ["A", "B"]


@pytest.mark.parametrize(
    ("line", "text", "note"),
    [
        ("0011_000351\tI am sad\tAngry", "I am sad", None),
        ("0011_000351 \t I am  sad \t ANGRY ", "I am sad", None),
        ("0011_000351   I am sad   Angry", "I am sad", None),
        ("0011_000351\tI am sad Angry", "I am sad", None),
        ("0011_000351\tI am\tsad, you\tknow\tAngry", "I am sad, you know", None),
        ("0011_000351\tI am sad\t生气", "I am sad", None),
        ("0011_000351\tI am sad", "I am sad", "transcript lines without a known emotion"),
        ("0011_000351\tI am\tso sad", "I am so sad", "transcript lines without a known emotion"),
        ("0011_000351\tI am sad\tAngri", "I am sad", "transcript lines without a known emotion"),
        ("0011_000351\tI am sad\tHappy", "I am sad", "transcripts that name another emotion"),
        ("0011_000351\t\tAngry", None, "transcript lines without a text"),
        ("0011_000351", None, "transcript lines without a text"),
        ("0011_0003\tI am sad\tAngry", None, "broken transcript lines"),
        ("0011_000351\tI am\tAng0011_000352\tYou\tAngry", None, "broken transcript lines"),
        ("0011_000352\tI am sad\tAngry", None, "transcript lines without an audio file"),
        ("", None, "utterances without a transcript"),
    ],
)
def test_lines(tmp_path: Path, line: str, text: str | None, note: str | None) -> None:
    corpus = said(tmp_path, f"{line}\n0011_001051\tB\tSad\n".encode())
    assert texts(corpus) == [text, "B"]
    assert any(kind.startswith(note) for kind in corpus.notes) if note else not corpus.notes
    assert corpus.notes.get("utterances without a transcript", 0) == (text is None)
    assert all(u.emotion == ("angry" if u.id == "0011_000351" else "sad") for u in corpus.table)


def test_lines_that_come_twice(tmp_path: Path) -> None:
    lines = b"0011_000351\t\tAngry\n0011_000351\tA\tAngry\n0011_000351\tB\tAngry\n"
    corpus = said(tmp_path, lines + b"0011_001051\tC\tSad")
    assert texts(corpus) == ["A", "C"]
    kind = "transcript lines that repeat an utterance (the first one counts)"
    assert corpus.notes[kind] == 1


def test_broken_characters_cost_no_utterance(tmp_path: Path) -> None:
    content = "0012_000351\tA\tAngry\n0012_001051\tB\tSad".encode("utf-16")
    corpus = said(tmp_path, content + b"\x00", "0012")
    assert texts(corpus)[0] == "A"
    assert corpus.notes["transcript files decoded with loss"] == 1
    content = "0001_000351\t你好啊\tAngry\n0001_001051\t我\tSad".encode()
    broken = content.replace(b"\xe5\xa5\xbd", b"\xe5\xa5")
    corpus = said(tmp_path / "utf", broken, "0001")
    assert texts(corpus) == ["你\ufffd啊", "我"]
    assert corpus.notes["transcript files decoded with loss"] == 1


def test_a_transcript_that_is_no_file(tmp_path: Path) -> None:
    corpus = said(tmp_path, b"")
    (tmp_path / "0011" / "0011.txt").unlink()
    (tmp_path / "0011" / "0011.txt").symlink_to(tmp_path / "gone")
    assert texts(corpus) == [None, None]
    assert corpus.notes["transcript files that cannot be read"] == 1
    assert corpus.notes["utterances without a transcript"] == 2


def test_numbers_and_folders(tmp_path: Path) -> None:
    hear(
        tmp_path,
        "0011/neutral/train/0011_000350.WAV",
        "surprise/0020/0020_001401.flac",
        "0011/Happy/0011_000999.wav",
    )
    found = by_id(list(ESD(root=str(tmp_path)).utterances()))
    facts = {u.id: (u.emotion, u.sentence, u.sex, u.speaker) for u in found.values()}
    assert facts == {
        "0011_000350": ("neutral", "english 349", "male", "0011"),
        "0020_001401": ("surprise", "english 0", "male", "0020"),
        "0011_000999": ("happy", "english 298", "male", "0011"),
    }


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    hear(
        tmp_path,
        "0011/Happy/0011_000701.wav",
        "0011/Happy/0011_001751.wav",
        "0011/Happy/0011_000000.wav",
        "0011/Fear/0011_000001.wav",
        "0021/Happy/0021_000701.wav",
    )
    corpus = ESD(root=str(tmp_path), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["0011_000701"]
    assert {s.id: s.reason for s in corpus.skipped} == {
        "0011_000000": "its number 0 is not one of 1 to 1750",
        "0011_001751": "its number 1751 is not one of 1 to 1750",
        "0011_000001": "it lies in no folder called Neutral, Angry, Happy, Sad or Surprise",
        "0021_000701": "its speaker is not one of 0001 to 0020",
    }
    with pytest.raises(CorpusError, match=r"0011_000000\.wav.*its number 0 is not one of"):
        _ = ESD(root=str(tmp_path)).table


def test_a_copy_in_its_own_emotions_folder_is_the_right_one(tmp_path: Path) -> None:
    hear(tmp_path, "0011/Angry/0011_000701.wav", "0011/Happy/0011_000701.wav")
    corpus = ESD(root=str(tmp_path))
    assert [u.emotion for u in corpus.table] == ["happy"]
    assert corpus.notes["files that repeat an utterance (the first one counts)"] == 1


def test_the_official_split(tmp_path: Path) -> None:
    hear(
        tmp_path,
        *(f"0011/Angry/0011_{n:06}.wav" for n in (351, 370, 371, 400, 401, 700)),
        "0012/Angry/train/0012_000351.wav",
        "0012/Angry/evaluation/0012_000352.wav",
        "0012/Sad/Test/0012_001400.wav",
    )
    corpus = ESD(root=str(tmp_path), protocol=Protocol(name="official", on_overlap="allow"))
    assert corpus.official_split() == {
        "esd/0011_000351": "validation",
        "esd/0011_000370": "validation",
        "esd/0011_000371": "test",
        "esd/0011_000400": "test",
        "esd/0011_000401": "train",
        "esd/0011_000700": "train",
        "esd/0012_000351": "train",
        "esd/0012_000352": "validation",
        "esd/0012_001400": "test",
    }
    counts = corpus.splits.counts
    assert counts == {"train": 3, "validation": 3, "test": 3, "left_out": 0}
    assert corpus.notes["utterances in another split's folder than their number's"] == 2


def test_the_generated_split_holds_sentences_out(tmp_path: Path) -> None:
    write_esd(tmp_path / "corpus")
    corpus = ESD(root=str(tmp_path / "corpus"), protocol=Protocol(name="official"))
    splits = corpus.splits
    assert splits.counts == {"train": 30, "validation": 30, "test": 30, "left_out": 0}
    sentences = [
        set(corpus.table.column("sentence", rows))
        for rows in (splits.train, splits.validation, splits.test)
    ]
    assert len(set.union(*sentences)) == sum(len(part) for part in sentences)


def test_the_language_is_an_option(tmp_path: Path) -> None:
    hear(tmp_path, "0001/Happy/0001_000701.wav")
    with pytest.raises(CorpusError, match=r"speakers 0011 to 0020(.|\n)*data\.language"):
        _ = ESD(root=str(tmp_path)).table
    assert len(ESD(root=str(tmp_path), language="chinese").table) == 1
    hear(tmp_path, "0011/Happy/0011_000701.wav")
    both = ESD(root=str(tmp_path), language="both")
    sentences = {u.sentence: u.extra["language"] for u in both.table}
    assert sentences == {"chinese 0": "chinese", "english 0": "english"}
    assert (both.known["utterances"], ESD.known["utterances"]) == (35_000, 17_500)
    with pytest.raises(ConfigError, match=r"data\.language: there is no 'german'"):
        _ = ESD(root=str(tmp_path), language="german").table  # type: ignore[arg-type]


def test_a_label_map_renames(tmp_path: Path) -> None:
    hear(tmp_path, "0011/Happy/0011_000701.wav")
    assert ESD(root=str(tmp_path), label_map={"Happy": "joyful"}).table[0].emotion == "joyful"


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        _ = ESD(root=str(tmp_path / "nowhere")).table
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not ESD(.|\n)*holds 0001"):
        _ = ESD(root=str(tmp_path / "empty")).table
    hear(tmp_path / "flat", "0011_000701.wav")
    with pytest.raises(CorpusError, match="not ESD"):
        _ = ESD(root=str(tmp_path / "flat")).table


@pytest.mark.parametrize(
    ("speaker", "encoding"), [("0011", "utf-8"), ("0012", "utf-16"), ("0001", "gb18030")]
)
def test_damaged_transcripts(tmp_path: Path, speaker: str, encoding: str) -> None:
    root = tmp_path / "corpus"
    names = [f"{speaker}/Sad/{speaker}_{n:06}.wav" for n in range(1051, 1057)]
    hear(root, *names)
    text = "我们，喜欢大海" if speaker == "0001" else "Every sailor sees the sea, naïve"
    lines = [f"{name[9:20]}\t{text}\tSad\r\n" for name in names]
    table = root / speaker / f"{speaker}.txt"
    table.write_bytes("".join(lines).encode(encoding))

    def corpus() -> ESD:
        return ESD(root=str(root), language="both", on_bad_utterance="skip")

    survives_damage(corpus, table, count=350)
    assert texts(corpus()) == [text] * 6
