from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.cremad import CREMAD
from emoflow.errors import CorpusError, LabelError
from emoflow.testing.acted import write_cremad
from tests.corpora.fuzz import survives_damage
from tests.corpora.planted import by_id, hear

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
HEADER = '"ActorID","Age","Sex","Race","Ethnicity"\n'


pytestmark = pytest.mark.usefixtures("own_cache")


def point(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(POINTER)
    return root


def people(root: Path, content: str) -> CREMAD:
    """Return a corpus of actors 1001 and 1002 with this table of demographics."""
    hear(root, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_ANG_XX.wav")
    (root / "VideoDemographics.csv").write_text(content, encoding="utf-8")
    return CREMAD(root=str(root))


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_what_was_planted_is_found(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    root = tmp_path_factory.mktemp("cremad") / "corpus"
    planted = write_cremad(root, seed=seed, count=1 + seed % 9, pointers=seed % 4)
    corpus = CREMAD(root=str(root), on_bad_utterance="skip")
    assert by_id(list(corpus.utterances())) == by_id(planted)


def test_the_table_holds_what_was_planted(tmp_path: Path) -> None:
    planted = by_id(write_cremad(tmp_path / "corpus"))
    corpus = CREMAD(root=str(tmp_path))
    found = by_id(list(corpus.table))
    assert found.keys() == planted.keys()
    for name, utterance in found.items():
        assert utterance.speech is not None
        assert 0.2 < (utterance.speech.end or 0) < 0.4
        assert utterance.with_(speech=planted[name].speech) == planted[name]
    assert found["1040_ITH_SAD_X"].extra == {"level": "unspecified"}
    assert found["1076_MTI_SAD_XX"].emotion == "sad"
    assert dict(corpus.notes) == {
        "actors without an audio file": 1,
        "audio files that are not named like CREMA-D's": 1,
        "copies of utterances in another format (left out)": 18,
        "demographics rows that repeat an actor (the first one counts)": 1,
        "demographics rows whose age is not a number": 1,
        "demographics rows whose sex is neither male nor female": 1,
        "demographics rows with too many or too few cells": 1,
        "utterances whose actor's age is unknown": 18,
        "utterances whose actor's sex is unknown": 18,
        "utterances whose speech is all zeros": 1,
    }
    assert corpus.skipped == ()


def test_a_tidy_corpus_has_no_notes(tmp_path: Path) -> None:
    planted = write_cremad(tmp_path / "corpus", odd=False, count=30)
    corpus = CREMAD(root=str(tmp_path / "corpus"))
    assert by_id(list(corpus.utterances())) == by_id(planted)
    assert dict(corpus.notes) == {}
    assert {u.sentence: u.text for u in planted} == {
        "IEO": "It's eleven o'clock.",
        "TIE": "That is exactly what happened.",
        "IOM": "I'm on my way to the meeting.",
        "IWW": "I wonder what this is about.",
        "TAI": "The airplane is almost full.",
        "MTI": "Maybe tomorrow it will be cold.",
        "IWL": "I would like a new alarm clock.",
        "ITH": "I think I have a doctor's appointment.",
        "DFA": "Don't forget a jacket.",
        "ITS": "I think I've seen this before.",
        "TSI": "The surface is slick.",
        "WSI": "We'll stop in a couple of minutes.",
    }
    assert {u.emotion for u in planted} == set(CREMAD.labels)


def test_a_name_says_it_all(tmp_path: Path) -> None:
    root = hear(tmp_path / "corpus", "AudioWAV/1001_dfa_ANG_hi.WAV")
    utterance = CREMAD(root=str(root)).table[0]
    assert utterance.key == "cremad/1001_DFA_ANG_HI"
    assert (utterance.speaker, utterance.sentence, utterance.emotion) == ("1001", "DFA", "angry")
    assert utterance.text == "Don't forget a jacket."
    assert utterance.extra == {"level": "high"}
    assert (utterance.sex, utterance.age, utterance.session) == (None, None, None)


def test_a_clone_without_lfs_says_what_to_do(tmp_path: Path) -> None:
    point(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3")
    for on_bad_utterance in ("error", "skip"):
        message = r"all of its 2 audio files are git-lfs pointers(.|\n)*run `git lfs pull`"
        with pytest.raises(CorpusError, match=message):
            _ = CREMAD(root=str(tmp_path), on_bad_utterance=on_bad_utterance).table  # type: ignore[arg-type]


def test_some_pointers_are_skipped_one_by_one(tmp_path: Path) -> None:
    planted = write_cremad(tmp_path / "corpus", pointers=3)
    with pytest.raises(CorpusError, match=r"is a git-lfs pointer(.|\n)*git lfs pull"):
        _ = CREMAD(root=str(tmp_path / "corpus")).table
    corpus = CREMAD(root=str(tmp_path / "corpus"), on_bad_utterance="skip")
    assert {u.id for u in corpus.table} == {u.id for u in planted}
    assert len(corpus.table) == 33
    assert len(corpus.skipped) == 3
    assert all("is a git-lfs pointer" in s.reason for s in corpus.skipped)


def test_audio_is_better_than_a_pointer_and_wav_than_mp3(tmp_path: Path) -> None:
    hear(tmp_path, "AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_SAD_XX.wav")
    point(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_SAD_XX.mp3")
    hear(tmp_path, "AudioMP3/1001_DFA_FEA_XX.mp3", "AudioWAV/1001_DFA_FEA_XX.wav")
    hear(tmp_path, "AudioWAV/more/1001_DFA_FEA_XX.wav")
    corpus = CREMAD(root=str(tmp_path))
    paths = {u.id[9:12]: u.speech.path[len(str(tmp_path)) :] for u in corpus.table if u.speech}
    assert paths == {
        "ANG": "/AudioMP3/1001_DFA_ANG_XX.mp3",
        "FEA": "/AudioWAV/1001_DFA_FEA_XX.wav",
        "SAD": "/AudioWAV/1001_DFA_SAD_XX.wav",
    }
    assert corpus.notes["copies of utterances in another format (left out)"] == 3
    assert corpus.notes["files that repeat an utterance (the first one counts)"] == 1


def test_unknown_codes(tmp_path: Path) -> None:
    root = hear(tmp_path, "1001_ABC_ANG_ZZ.wav", "stranger.wav")
    corpus = CREMAD(root=str(root))
    utterance = corpus.table[0]
    assert (utterance.sentence, utterance.text, utterance.extra) == ("ABC", None, {"level": "ZZ"})
    assert corpus.notes["utterances whose level is not one of LO, MD, HI and XX"] == 1
    assert corpus.notes["utterances of a sentence that is not one of the twelve"] == 1
    assert corpus.notes["audio files that are not named like CREMA-D's"] == 1
    hear(tmp_path, "1001_DFA_BOR_XX.wav")
    with pytest.raises(LabelError, match=r"1001_DFA_BOR_XX\.wav: unknown emotion 'BOR'"):
        _ = CREMAD(root=str(root), on_bad_utterance="skip").table
    corpus = CREMAD(root=str(root), label_map={"bor": "boredom", "angry": "neutral"})
    assert {u.emotion for u in corpus.table} == {"boredom", "neutral"}


@pytest.mark.parametrize(
    ("rows", "facts", "note"),
    [
        ('1001,51,"Male","Asian","x"\n', ("male", "51"), "utterances whose actor's sex is unknown"),
        ('\n 1001 , 51 ," FEMALE ",,\n', ("female", "51"), "utterances whose actor's age"),
        ('1001,"",Male,,\n', ("male", None), "demographics rows whose age is not a number"),
        ("1001,51,X,,\n", (None, "51"), "demographics rows whose sex is neither male nor female"),
        ("1001,51,Male\n", (None, None), "demographics rows with too many or too few cells"),
        ("1001,51,Male,,,,x\n", (None, None), "demographics rows with too many or too few cells"),
        ("1001,51,Male,,\n1001,52,Male,,\n", ("male", "51"), "demographics rows that repeat"),
        ("1001,51,Male,,\n1003,52,Male,,\n", ("male", "51"), "actors without an audio file"),
    ],
)
def test_demographics(
    tmp_path: Path, rows: str, facts: tuple[str | None, str | None], note: str
) -> None:
    corpus = people(tmp_path, HEADER + rows)
    found = {u.speaker: (u.sex, u.age) for u in corpus.utterances()}
    assert found == {"1001": facts, "1002": (None, None)}
    assert any(kind.startswith(note) for kind in corpus.notes)


def test_demographics_in_any_case_with_a_mark(tmp_path: Path) -> None:
    corpus = people(tmp_path, "\ufeffsex,ACTORID,Age\nfemale,1001,20\nMale,1002,74\n")
    assert {u.id[:4]: (u.sex, u.age) for u in corpus.table} == {
        "1001": ("female", "20"),
        "1002": ("male", "74"),
    }
    assert dict(corpus.notes) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column actorid, age, sex; it has none"),
        ("ActorID,Age\n1001,51\n", "no column sex; it has actorid, age"),
        ("ActorID,Age,Sex,age\n", "two columns are called 'age'"),
    ],
)
def test_demographics_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=rf"VideoDemographics\.csv: {message}"):
        _ = people(tmp_path, content).table


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        _ = CREMAD(root=str(tmp_path / "nowhere")).table
    hear(tmp_path / "other", "hello.wav")
    with pytest.raises(CorpusError, match=r"not CREMA-D(.|\n)*holds AudioWAV"):
        _ = CREMAD(root=str(tmp_path / "other")).table


def test_damaged_demographics(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    rows = [f'{a},{a % 50 + 20},"Male","Asian","Not Hispanic"' for a in range(1001, 1007)]
    hear(root, *(f"AudioWAV/{a}_DFA_ANG_XX.wav" for a in range(1001, 1007)))
    table = root / "VideoDemographics.csv"
    table.write_text(HEADER + "\n".join([*rows, ""]), encoding="utf-8")
    survives_damage(lambda: CREMAD(root=str(root), on_bad_utterance="skip"), table, count=1000)
