from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.corpora import RAVDESS
from emoflow.errors import CorpusError

DATA = Path(__file__).parents[3] / "shared" / "data" / "ravdess_speech_16k"


pytestmark = pytest.mark.usefixtures("own_cache")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(4800), 48_000)


def test_a_name_says_it_all(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root / "Actor_12" / "03-01-06-01-02-01-12.wav")
    utterance = RAVDESS(root=str(root)).table[0]
    assert utterance.key == "ravdess/03-01-06-01-02-01-12"
    assert (utterance.speaker, utterance.sex, utterance.emotion) == ("Actor_12", "female", "fear")
    assert utterance.text == "Dogs are sitting by the door"
    assert utterance.sentence == "statement 02"
    assert utterance.extra == {"intensity": "normal", "repetition": 1}
    assert (utterance.arousal, utterance.session, utterance.votes) == (None, None, None)


def test_copies_songs_and_strangers(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root / "Actor_01" / "03-01-08-02-01-02-01.wav")
    write(root / "audio_speech_actors_01-24" / "Actor_01" / "03-01-08-02-01-02-01.wav")
    write(root / "Actor_01" / "01-01-08-02-01-02-01.flac")
    write(root / "Actor_01" / "03-02-08-02-01-02-01.wav")
    write(root / "Actor_01" / "._03-01-01-01-01-01-01.wav")
    (root / "Actor_01" / "01-01-01-01-01-01-01.mp4").write_bytes(b"video")
    corpus = RAVDESS(root=str(tmp_path))
    assert [corpus.table[n].id for n in range(len(corpus.table))] == ["03-01-08-02-01-02-01"]
    assert corpus.table[0].emotion == "surprise"
    assert corpus.notes["sung utterances left out"] == 1
    assert corpus.notes["files that repeat an utterance (the first one counts)"] == 2


def test_full_audio_visual_names_are_read(tmp_path: Path) -> None:
    write(tmp_path / "corpus" / "Actor_01" / "01-01-02-01-01-01-01.wav")
    assert RAVDESS(root=str(tmp_path / "corpus")).table[0].emotion == "calm"


@pytest.mark.parametrize(
    ("code", "message"), [("03-01-09-01-01-01-01", "emotion 09"), ("03-01-01-01-03-01-01", "stat")]
)
def test_codes_out_of_range(tmp_path: Path, code: str, message: str) -> None:
    root = tmp_path / "corpus"
    write(root / "Actor_01" / f"{code}.wav")
    write(root / "Actor_01" / "03-01-01-01-01-01-01.wav")
    with pytest.raises(CorpusError, match=rf"{code}\.wav: {message}.* is not one of 01 to"):
        _ = RAVDESS(root=str(root)).table
    corpus = RAVDESS(root=str(root), on_bad_utterance="skip")
    assert len(corpus.table) == 1
    assert [s.id for s in corpus.skipped] == [code]


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        _ = RAVDESS(root=str(tmp_path / "nowhere")).table
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not RAVDESS(.|\n)*holds Actor_01"):
        _ = RAVDESS(root=str(tmp_path / "empty")).table


@pytest.mark.skipif(not DATA.exists(), reason="RAVDESS is not on this machine")
def test_the_real_corpus() -> None:
    utterances = list(RAVDESS(root=str(DATA)).utterances())
    emotions = Counter(u.emotion for u in utterances)
    assert len(utterances) == 1440
    assert emotions.pop("neutral") == 96
    assert set(emotions.values()) == {192}
    assert Counter(u.speaker for u in utterances) == {f"Actor_{n:02}": 60 for n in range(1, 25)}
    assert Counter(u.sex for u in utterances) == {"female": 720, "male": 720}
    assert len({u.sentence for u in utterances}) == 2
