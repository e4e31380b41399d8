from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.corpora import EmotionTTS
from emoflow.errors import CorpusError
from tests.corpora.fuzz import survives_damage

DATA = Path(__file__).parents[3] / "shared" / "data" / "emotiontts_ko"


pytestmark = pytest.mark.usefixtures("own_cache")


def write(root: Path, name: str, ending: str = "wav", **texts: str) -> None:
    kind = "emotional-to-emotional" if name.startswith("ne") else "plain-to-emotional"
    for folder in ("wav", *texts):
        (root / kind / name[:3] / folder).mkdir(parents=True, exist_ok=True)
    soundfile.write(root / kind / name[:3] / "wav" / f"{name}.{ending}", np.zeros(2205), 22_050)
    for folder, text in texts.items():
        path = root / kind / name[:3] / folder / f"{name}.txt"
        path.write_text(f"\ufeff{text}\n", encoding="utf-8")


def test_numbers_say_emotion_and_sentence(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "nea00101", transcript="말한 대로", script="대본 대로")
    write(root, "nek00301", ending="flac", script="대본 대로")
    write(root, "emf00203")
    write(root, "emf00003")
    corpus = EmotionTTS(root=str(tmp_path))
    found = {u.id: u for u in (corpus.table[n] for n in range(4))}
    assert {name: u.emotion for name, u in found.items()} == {
        "nea00101": "happy",
        "nek00301": "angry",
        "emf00203": "sad",
        "emf00003": "neutral",
    }
    assert {name: u.sex for name, u in found.items()} == {
        "nea00101": "female",
        "nek00301": "male",
        "emf00203": "male",
        "emf00003": "male",
    }
    assert found["nea00101"].text == "말한 대로"
    assert found["nek00301"].text == "대본 대로"
    assert found["emf00003"].text is None
    assert found["emf00003"].sentence == found["emf00203"].sentence != found["nea00101"].sentence
    assert found["nek00301"].speaker == "nek"
    assert corpus.notes["utterances without a transcript"] == 2


def test_bad_numbers_and_copies(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, "nea00401")
    write(root, "nea00001")
    write(root, "nea00001", ending="flac")
    with pytest.raises(CorpusError, match=r"nea00401.*its number 401 is not one of 1 to 400"):
        _ = EmotionTTS(root=str(root)).table
    corpus = EmotionTTS(root=str(root), on_bad_utterance="skip")
    assert len(corpus.table) == 1
    assert [s.id for s in corpus.skipped] == ["nea00401"]
    assert corpus.notes["files that repeat an utterance (the first one counts)"] == 1


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        _ = EmotionTTS(root=str(tmp_path / "nowhere")).table
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not emotiontts_open_db(.|\n)*holds emotional-to"):
        _ = EmotionTTS(root=str(tmp_path / "empty")).table


def test_an_empty_transcript_gives_way_to_the_script(tmp_path: Path) -> None:
    write(tmp_path, "nea00001", transcript=" ", script="대본 대로")
    write(tmp_path, "nea00101", transcript="", script="")
    corpus = EmotionTTS(root=str(tmp_path))
    assert [u.text for u in corpus.table] == ["대본 대로", None]
    assert corpus.notes["transcripts without words"] == 3
    assert corpus.notes["utterances without a transcript"] == 1


@pytest.mark.parametrize("folder", ["transcript", "script"])
def test_damaged_texts(tmp_path: Path, folder: str) -> None:
    texts = {"transcript": "말한 대로, 그대로요.", "script": "대본 대로"}
    if folder == "script":
        del texts["transcript"]
    write(tmp_path, "nea00001", **texts)
    write(tmp_path, "nea00101", **texts)
    path = tmp_path / "emotional-to-emotional" / "nea" / folder / "nea00001.txt"
    survives_damage(lambda: EmotionTTS(root=str(tmp_path), on_bad_utterance="skip"), path)


@pytest.mark.skipif(not DATA.exists(), reason="emotiontts_open_db is not on this machine")
def test_the_real_corpus() -> None:
    utterances = list(EmotionTTS(root=str(DATA)).utterances())
    assert len(utterances) == 300
    emotions = Counter(u.emotion for u in utterances)
    assert emotions == dict.fromkeys(("neutral", "happy", "sad", "angry"), 75)
    speakers = Counter(u.speaker for u in utterances)
    assert (len(speakers), set(speakers.values())) == (15, {20})
    assert Counter(u.sex for u in utterances) == {"female": 140, "male": 160}
    assert len({u.sentence for u in utterances}) == 25
    assert all(u.text for u in utterances)
    sad = next(u for u in utterances if u.id == "nea00203")
    assert (sad.text, sad.emotion) == ("입영 통지서를 받았거든, 너무 우울해.", "sad")
