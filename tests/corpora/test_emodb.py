from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.emodb import EmoDB
from emoflow.data.protocol import Protocol
from emoflow.errors import CorpusError, LabelError
from emoflow.testing.acted import write_emodb
from tests.corpora.planted import by_id, hear

pytestmark = pytest.mark.usefixtures("own_cache")


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_what_was_planted_is_found(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    root = tmp_path_factory.mktemp("emodb") / "corpus"
    planted = write_emodb(root, seed=seed, count=1 + seed % 9)
    assert by_id(list(EmoDB(root=str(root)).utterances())) == by_id(planted)


def test_the_table_holds_what_was_planted(tmp_path: Path) -> None:
    planted = by_id(write_emodb(tmp_path / "corpus"))
    corpus = EmoDB(root=str(tmp_path), protocol=Protocol(folds=5))
    found = by_id(list(corpus.table))
    assert found.keys() == planted.keys()
    for name, utterance in found.items():
        assert utterance.speech is not None
        assert 0.2 < (utterance.speech.end or 0) < 0.4
        assert utterance.with_(speech=planted[name].speech) == planted[name]
    assert Counter(u.emotion for u in found.values()) == dict.fromkeys(EmoDB.labels, 10)
    assert Counter(u.sex for u in found.values()) == {"female": 35, "male": 35}
    assert dict(corpus.notes) == {
        "audio files that are not named like EmoDB's": 1,
        "files that repeat an utterance (the first one counts)": 1,
        "recordings of the larynx (left out)": 1,
        "utterances of a sentence that is not one of the ten": 1,
    }
    assert corpus.splits.counts["test"] == 14


def test_a_tidy_corpus_has_no_notes(tmp_path: Path) -> None:
    planted = write_emodb(tmp_path / "corpus", odd=False, count=20)
    corpus = EmoDB(root=str(tmp_path / "corpus"))
    assert by_id(list(corpus.utterances())) == by_id(planted)
    assert dict(corpus.notes) == {}
    assert {u.sentence: u.text for u in planted} == {
        "a01": "Der Lappen liegt auf dem Eisschrank.",
        "a02": "Das will sie am Mittwoch abgeben.",
        "a04": "Heute abend könnte ich es ihm sagen.",
        "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
        "a07": "In sieben Stunden wird es soweit sein.",
        "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
        "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
        "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
        "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
        "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
    }


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("03a01Wa", "angry"),
        ("08a02Lb", "boredom"),
        ("09a04Ea", "disgust"),
        ("10a05Ac", "fear"),
        ("11a07Fa", "happy"),
        ("13b01Td", "sad"),
        ("16b10Na", "neutral"),
    ],
)
def test_a_name_says_it_all(tmp_path: Path, name: str, emotion: str) -> None:
    utterance = EmoDB(root=str(hear(tmp_path / "corpus", f"wav/{name}.wav"))).table[0]
    assert utterance.key == f"emodb/{name}"
    assert (utterance.emotion, utterance.speaker) == (emotion, name[:2])
    assert utterance.sentence == name[2:5]
    assert utterance.sex == ("male" if name[:2] in ("03", "10", "11", "12", "15") else "female")
    assert (utterance.session, utterance.votes, utterance.arousal) == (None, None, None)


def test_case_and_missing_versions(tmp_path: Path) -> None:
    hear(tmp_path, "03A01FA.WAV", "03a01wa.flac", "08b10N.wav", "copy/03a01Wa.wav")
    corpus = EmoDB(root=str(tmp_path))
    found = {u.id: u.emotion for u in corpus.table}
    assert found == {"03a01Fa": "happy", "03a01Wa": "angry", "08b10N": "neutral"}
    assert corpus.notes["files that repeat an utterance (the first one counts)"] == 1


def test_strangers(tmp_path: Path) -> None:
    hear(tmp_path, "wav/01c09Fa.wav", "wav/hello.wav", "wav_laryng/03a01Fa.wav", "wav/03a01Fa.wav")
    corpus = EmoDB(root=str(tmp_path))
    found = by_id(list(corpus.table))
    assert found.keys() == {"01c09Fa", "03a01Fa"}
    stranger = found["01c09Fa"]
    assert (stranger.sex, stranger.age, stranger.text) == (None, None, None)
    assert (stranger.speaker, stranger.sentence) == ("01", "c09")
    assert dict(corpus.notes) == {
        "audio files that are not named like EmoDB's": 1,
        "recordings of the larynx (left out)": 1,
        "utterances of a sentence that is not one of the ten": 1,
        "utterances of a speaker who is not one of the ten": 1,
    }


def test_an_unknown_letter_is_an_error_that_a_label_map_mends(tmp_path: Path) -> None:
    root = str(hear(tmp_path, "wav/03a01Xa.wav", "wav/03a01La.wav"))
    with pytest.raises(LabelError, match=r"03a01Xa\.wav: unknown emotion 'X'"):
        _ = EmoDB(root=root, on_bad_utterance="skip").table
    corpus = EmoDB(root=root, label_map={"X": "surprise", "boredom": "neutral"})
    assert {u.id: u.emotion for u in corpus.table} == {"03a01Xa": "surprise", "03a01La": "neutral"}


def test_broken_audio_is_skipped(tmp_path: Path) -> None:
    hear(tmp_path, "wav/03a01Fa.wav")
    (tmp_path / "wav" / "03a01Wa.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(CorpusError, match=r"03a01Wa\.wav: not audio"):
        _ = EmoDB(root=str(tmp_path)).table
    corpus = EmoDB(root=str(tmp_path), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["03a01Fa"]
    assert [s.id for s in corpus.skipped] == ["03a01Wa"]


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        _ = EmoDB(root=str(tmp_path / "nowhere")).table
    hear(tmp_path / "other", "hello.wav", "laryngo/03a01Fa.wav")
    with pytest.raises(CorpusError, match=r"not EmoDB(.|\n)*holds wav/03a01Fa\.wav"):
        _ = EmoDB(root=str(tmp_path / "other")).table
