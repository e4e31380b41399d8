from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.conversation_voice import ConversationVoice
from emoflow.data.protocol import Protocol
from emoflow.errors import ConfigError, CorpusError, LabelError, ProtocolError
from emoflow.testing.conversation_voice import write_conversation_voice
from emoflow.testing.folders import write_audio
from emoflow.types import Needs, Rating, Speech, Utterance
from tests.corpora.conversation_tables import HEADER, ONE, TWO, notes, only, row, table
from tests.corpora.fuzz import survives_damage
from tests.corpora.planted import by_id

pytestmark = pytest.mark.usefixtures("own_cache")


# ---- what was planted is found --------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), odd=st.booleans(), count=st.integers(3, 40))
def test_what_was_planted_is_found(
    tmp_path_factory: pytest.TempPathFactory, seed: int, odd: bool, count: int
) -> None:
    root = tmp_path_factory.mktemp("corpus") / "대화 음성"
    planted = write_conversation_voice(root, count=count, seed=seed, odd=odd)
    assert len(planted) == count
    assert by_id(list(ConversationVoice(root=str(root)).utterances())) == by_id(planted)


def test_through_the_table_and_from_above(tmp_path: Path) -> None:
    root = tmp_path / "above" / "corpus"
    planted = write_conversation_voice(root, count=30, seed=1)
    assert planted == write_conversation_voice(root, count=30, seed=1)
    corpus = ConversationVoice(root=str(tmp_path / "above"))
    found = [u.with_(speech=u.speech and Speech(u.speech.path)) for u in corpus.table]
    assert by_id(found) == by_id(planted)
    assert {u.speech.end for u in corpus.table if u.speech} == {0.3}
    assert {u.emotion for u in planted} <= {None, *ConversationVoice.labels}
    undecided = sum(u.emotion is None for u in planted)
    assert undecided
    assert corpus.notes == {
        "utterances on which no three raters agree (no emotion)": undecided,
        "utterances without a wav file": 1,
        "wav files without a row": 1,
        "rows of a wrong width": 1,
        "rows that repeat an utterance (the first one counts)": 1,
    }
    assert corpus.skipped == ()


def test_a_plain_corpus_has_nothing_odd(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write_conversation_voice(root, count=12, odd=False)
    assert set(notes(root)) <= {"utterances on which no three raters agree (no emotion)"}


def test_it_is_split_by_sentences(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write_conversation_voice(root, count=60, seed=2)
    protocol = Protocol(name="sentences", folds=3, validation=0.3)
    corpus = ConversationVoice(root=str(root), protocol=protocol, ties="drop")
    corpus.needs = Needs(("speech",), "emotion", labels=ConversationVoice.labels)
    corpus.prepare_data()
    corpus.setup()
    assert corpus.audit.stamp == "speakers unknown"
    labels = np.concatenate([b.emotion for b in corpus.train_dataloader() if b.emotion is not None])
    assert labels.min() >= 0
    by_speakers = ConversationVoice(root=str(root), protocol=Protocol(name="speakers"))
    with pytest.raises(ProtocolError, match="needs the column speaker"):
        by_speakers.make_splits()


# ---- one row --------------------------------------------------------------------------


def test_a_row(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row())
    assert only(root) == Utterance(
        id=ONE,
        corpus="conversation_voice",
        sentence="괜찮아요",
        speech=Speech(str(root / "4차_wav" / f"{ONE}.wav")),
        text="괜찮아요",
        emotion="sad",
        votes={"sad": 3.0, "neutral": 1.0, "angry": 1.0},
        raters=tuple(
            Rating(f"rater{n}", e)
            for n, e in enumerate(("sad", "neutral", "sad", "sad", "angry"), 1)
        ),
        sex="male",
        age="27",
        extra={"year": "4차", "acted": "sad", "intensities": [1, 0, 2, 1, 2]},
    )


@pytest.mark.parametrize(
    ("votes", "intensities", "majority", "intensity", "more"),
    [
        (("sad", "sad", "sad", "angry", "angry"), (0, 0, 1, 2, 2), "sad", "angry", "angry"),
        (("sad", "sad", "sad", "angry", "fear"), (0, 0, 0, 1, 0), "sad", "angry", "sad"),
        (("sad", "sad", "angry", "angry", "fear"), (1, 1, 1, 1, 1), None, None, None),
        (("sad", "sad", "angry", "angry", "fear"), (2, 1, 1, 1, 0), None, "sad", "sad"),
        (("sad", "sad", "angry", "neutral", "fear"), (1, 0, 1, 0, 0), None, None, "sad"),
        (("neutral",) * 5, (0, 0, 0, 0, 0), "neutral", "neutral", "neutral"),
        (("neutral",) * 4 + ("sad",), (0, 0, 0, 0, 0), "neutral", None, "neutral"),
        (("neutral",) * 2 + ("sad",) * 3, (2, 2, "x", "", 1), "sad", "neutral", "neutral"),
    ],
)
def test_what_raters_agree_on(
    tmp_path: Path,
    votes: Sequence[str],
    intensities: Sequence[object],
    majority: str | None,
    intensity: str | None,
    more: str | None,
) -> None:
    root = table(tmp_path / "corpus", row(acted="fear", votes=votes, intensities=intensities))
    assert only(root).emotion == majority
    assert only(root, aggregation="intensity").emotion == intensity
    assert only(root, aggregation="intensity+1").emotion == more
    acted = only(root, aggregation="acted")
    assert acted.emotion == "fear"
    assert acted.votes == only(root).votes


@pytest.mark.parametrize(("rule", "added"), [("intensity", 0), ("intensity+1", 1)])
def test_sums_of_intensities(tmp_path: Path, rule: Any, added: int) -> None:
    planted = write_conversation_voice(tmp_path / "corpus", count=80, seed=3)
    corpus = ConversationVoice(root=str(tmp_path / "corpus"), aggregation=rule)
    found = by_id(list(corpus.utterances()))
    ties = 0
    for utterance in planted:
        sums = np.full(len(corpus.labels), -1)
        weights = utterance.extra["intensities"]
        for rater, weight in zip(utterance.raters or (), weights, strict=True):
            place = corpus.labels.index(rater.emotion or "")
            sums[place] = max(sums[place], 0) + weight + added
        top = np.flatnonzero(sums == sums.max())
        ties += len(top) > 1
        expected = corpus.labels[top[0]] if len(top) == 1 else None
        assert found[utterance.id].emotion == expected
    assert ties
    assert corpus.table is not None
    assert corpus.notes["utterances whose emotions tie (no emotion)"] == ties


def test_another_rule_reads_the_corpus_anew(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(acted="surprise"))
    assert ConversationVoice(root=str(root)).table[0].emotion == "sad"
    assert ConversationVoice(root=str(root), aggregation="acted").table[0].emotion == "surprise"
    unknown: Any = "mean"
    with pytest.raises(ConfigError, match=r"no 'mean'(.|\n)*majority, intensity, intensity\+1"):
        _ = ConversationVoice(root=str(root), aggregation=unknown).table


@pytest.mark.parametrize(
    ("spelling", "emotion"),
    [
        ("Happiness", "happy"),
        ("happy", "happy"),
        ("ANGRY", "angry"),
        ("anger", "angry"),
        ("Sadness", "sad"),
        ("sad\t", "sad"),
        ("\tDisgust ", "disgust"),
        ("Fear", "fear"),
        ("neutral", "neutral"),
        ("Surprise", "surprise"),
    ],
)
def test_spellings(tmp_path: Path, spelling: str, emotion: str) -> None:
    utterance = only(table(tmp_path / "corpus", row(acted=spelling, votes=[spelling] * 5)))
    assert (utterance.emotion, utterance.extra["acted"]) == (emotion, emotion)
    assert utterance.votes == {emotion: 5.0}


def test_a_map_of_ones_own(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(votes=["Bliss"] * 5))
    with pytest.raises(LabelError, match=r"4차년도\.csv, row 2: unknown emotion 'Bliss'"):
        only(root)
    with pytest.raises(LabelError):
        _ = ConversationVoice(root=str(root), on_bad_utterance="skip").table
    assert only(root, label_map={"Bliss": "happy"}).emotion == "happy"


# ---- layouts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "year"),
    [
        ("4차년도.csv", "4차"),
        ("5차년도.csv", "5차"),
        ("5차년도_2차.csv", "5차_2차"),
        ("4차_14606.csv", "4차"),
        ("5차_10011.csv", "5차"),
        ("5차년도_2차_19374.CSV", "5차_2차"),
        (unicodedata.normalize("NFD", "5차년도_2차.csv"), "5차_2차"),
    ],
)
def test_names_of_tables(tmp_path: Path, file: str, year: str) -> None:
    assert only(table(tmp_path / "corpus", row(), file=file)).extra["year"] == year


@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("header", [HEADER, HEADER.replace(" ", ""), HEADER.replace("번", "번 ")])
def test_headers_and_encodings(tmp_path: Path, header: str, encoding: str) -> None:
    root = table(tmp_path / "corpus", row(), header=header, encoding=encoding)
    assert only(root).extra["intensities"] == [1, 0, 2, 1, 2]


def test_tabs_commas_and_quotes(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(f"{ONE}\t", '"아,\t""네""  맞아요"', sex="male\t"))
    utterance = only(root)
    assert (utterance.id, utterance.text, utterance.sex) == (ONE, '아, "네" 맞아요', "male")
    assert utterance.sentence == "아네맞아요"


def test_wavs_lie_anywhere(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(), row(TWO.upper()), wavs=[])
    first = root / "5차년도" / "5차_wav" / f"{ONE.upper()}.WAV"
    second = root / unicodedata.normalize("NFD", "음성") / f"{TWO}.wav"
    for path in (first, second):
        write_audio(path.with_suffix(".wav"), np.ones(4800, np.float32) / 9, 48_000)
    first.with_suffix(".wav").rename(first)
    found = by_id(list(ConversationVoice(root=str(root)).utterances()))
    assert found[ONE].speech == Speech(str(first))
    assert found[TWO].speech == Speech(str(second))


def test_files_of_other_programs(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row())
    (root / "설명.csv").write_text("파일,내용\n", encoding="utf-8")
    (root / "._4차년도.csv").write_bytes(b"\0\5\26\7")
    (root / "4차_wav" / f"._{TWO}.wav").write_bytes(b"\0")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "5차년도.csv").write_bytes(b"\0")
    assert only(root).id == ONE
    assert notes(root) == {}


# ---- what is odd ----------------------------------------------------------------------


def test_rows_and_wavs_that_lack_each_other(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(), row(TWO, "네"), wavs=[ONE, "0" * 24, "1" * 24])
    corpus = ConversationVoice(root=str(root))
    assert [(u.id, u.speech is None, u.text) for u in corpus.table] == [
        (ONE, False, "괜찮아요"),
        (TWO, True, "네"),
    ]
    assert corpus.notes == {"utterances without a wav file": 1, "wav files without a row": 2}


def test_rows_and_wavs_that_repeat(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(), row(text="다시"), row(ONE.upper()))
    table(root, row(sex="female"), file="5차년도.csv", wavs=[])
    write_audio(root / "copy" / f"{ONE}.wav", np.ones(4800, np.float32) / 9, 48_000)
    corpus = ConversationVoice(root=str(root))
    assert [u.text for u in corpus.table] == ["괜찮아요"]
    assert corpus.table[0].speech is not None
    assert corpus.table[0].speech.path == str(root / "4차_wav" / f"{ONE}.wav")
    assert corpus.notes["rows that repeat an utterance (the first one counts)"] == 3
    assert corpus.notes["wav files that repeat another (the first one counts)"] == 1


@pytest.mark.parametrize(
    ("odd", "kind", "count"),
    [
        (row(TWO) + ",male", "rows of a wrong width", 1),
        (row(TWO).removesuffix(",male"), "rows of a wrong width", 1),
        (row("5.26E+23"), "rows whose id is not an utterance's", 1),
        (row(""), "rows whose id is not an utterance's", 1),
        (row(TWO, '"네\n맞아요"'), "rows with a cell of several lines", 1),
        (row(TWO, ""), "utterances without a transcript", 1),
        (row(TWO, acted=""), "utterances without an acted emotion", 1),
        (row(TWO, sex="unknown"), "utterances whose sex is neither female nor male", 1),
        (row(TWO, intensities=(3, "", "x", 1, 2)), "intensities that are not 0, 1 or 2", 3),
        (row(TWO, votes=("", "", "sad", "sad", "sad")), "ratings without an emotion", 2),
        (
            row(TWO, votes=("sad", "sad", "fear", "fear", "angry")),
            "utterances on which no three raters agree (no emotion)",
            1,
        ),
    ],
)
def test_odd_rows_are_counted(tmp_path: Path, odd: str, kind: str, count: int) -> None:
    root = table(tmp_path / "corpus", row(), odd, "", ",,,,", wavs=[ONE, TWO])
    corpus = ConversationVoice(root=str(root))
    assert corpus.table[0].id == ONE
    others = {name: n for name, n in corpus.notes.items() if name != "wav files without a row"}
    assert others == {kind: count}
    assert corpus.notes.get("wav files without a row", 0) + len(corpus.table) == 2


def test_what_is_absent_is_none(tmp_path: Path) -> None:
    odd = row(text="", acted="", votes=[""] * 5, intensities=[""] * 5, age="", sex="")
    utterance = only(table(tmp_path / "corpus", odd))
    assert (utterance.text, utterance.emotion, utterance.votes) == (None, None, None)
    assert (utterance.age, utterance.sex, utterance.sentence) == (None, None, ONE)
    assert utterance.extra == {"year": "4차", "intensities": [None] * 5}
    assert only(tmp_path / "corpus", aggregation="acted").emotion is None


def test_broken_speech_is_left_out(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row(), row(TWO), wavs=[ONE])
    (root / f"{TWO}.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match=TWO):
        _ = ConversationVoice(root=str(root)).table
    corpus = ConversationVoice(root=str(root), on_bad_utterance="skip")
    assert (len(corpus.table), corpus.skipped[0].id) == (1, TWO)


# ---- what cannot be read --------------------------------------------------------------


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        list(ConversationVoice(root=str(tmp_path / "nowhere")).utterances())
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "4차년도.zip").write_bytes(b"PK")
    way_out = r"unpack .*4차년도\.zip first: emoflow unpack .*empty FOLDER"
    with pytest.raises(CorpusError, match=rf"no 4차년도\.csv …(.|\n)*{way_out}"):
        list(ConversationVoice(root=str(tmp_path / "empty")).utterances())


@pytest.mark.parametrize("missing", ["wav_id", "4번감정세기", "상황", "발화문"])
def test_a_column_is_missing(tmp_path: Path, missing: str) -> None:
    root = table(tmp_path / "corpus", row(), header=HEADER.replace(missing, "other"))
    with pytest.raises(CorpusError, match=rf"4차년도\.csv: no column {missing}; it has"):
        only(root)


def test_tables_that_are_no_tables(tmp_path: Path) -> None:
    root = table(tmp_path / "corpus", row())
    path = root / "4차년도.csv"
    path.write_bytes(b"")
    with pytest.raises(CorpusError, match=r"4차년도\.csv: no column wav_id"):
        only(root)
    path.write_bytes("wav_id,발화문\n".encode("utf-16"))
    with pytest.raises(CorpusError, match=r"4차년도\.csv: its text is neither UTF-8 nor CP949"):
        only(root)
    path.write_text(f"{HEADER}\n", encoding="cp949")
    with pytest.raises(CorpusError, match="no utterances found"):
        _ = ConversationVoice(root=str(root)).table


def test_a_small_corpus_needs_three(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="count is 2"):
        write_conversation_voice(tmp_path / "corpus", count=2)


def test_damaged_tables(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write_conversation_voice(root, count=18, seed=5)
    for other in root.glob("5차*.csv"):
        other.unlink()
    (file,) = root.glob("4차*.csv")
    options: dict[str, Any] = {"on_bad_utterance": "skip", "aggregation": "acted"}
    assert len(list(ConversationVoice(root=str(root), **options).utterances())) == 6
    survives_damage(lambda: ConversationVoice(root=str(root), **options), file)
