from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.iemocap import IEMOCAP
from emoflow.data.protocol import Protocol
from emoflow.errors import CorpusError, LabelError
from emoflow.testing.iemocap import write_iemocap
from emoflow.types import Rating, Utterance
from tests.corpora.fuzz import survives_damage

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
NEUTRAL = """\
C-E2:\tNeutral;\t()
C-E3:\tNeutral;\t(curious)
C-E4:\tNeutral; Anger;\t()
C-F1:\tSadness;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-E4:\tval 2; act 3; dom  3;\t(mildly aggravated (but) polite)
A-F1:\tval 3; act 2; dom  1;\t()
"""


pytestmark = pytest.mark.usefixtures("own_cache")


def block(
    name: str = "Ses01F_impro01_F000",
    emotion: str = "neu",
    means: str = "2.5000, 2.5000, 2.0000",
    raters: str = NEUTRAL,
) -> str:
    return f"[6.2901 - 8.2357]\t{name}\t{emotion}\t[{means}]\n{raters}\n"


def write(
    root: Path,
    *blocks: str,
    speech: Sequence[str] = ("Ses01F_impro01_F000",),
    texts: str = "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\n",
    dialogue: str = "Ses01F_impro01",
) -> Path:
    session = root / f"Session{dialogue[4]}"
    for name in speech:
        path = session / "sentences" / "wav" / dialogue / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(4800, 0.1), 16_000)
    evaluation = session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"
    transcript = session / "dialog" / "transcriptions" / f"{dialogue}.txt"
    for file, content in ((evaluation, HEADER + "".join(blocks)), (transcript, texts)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode("cp1252"))
    return evaluation


def read(root: Path, **options: object) -> tuple[IEMOCAP, list[Utterance]]:
    corpus = IEMOCAP(root=str(root), **options)  # type: ignore[arg-type]
    return corpus, list(corpus.table)


def test_a_block_says_it_all(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    write(root, block())
    corpus, (one,) = read(tmp_path)
    assert one.key == "iemocap/Ses01F_impro01_F000"
    assert (one.speaker, one.session, one.sex) == ("Ses01F", "Session1", "female")
    assert (one.text, one.sentence) == ("Excuse me.", "excuseme")
    assert (one.emotion, one.valence, one.arousal) == ("neutral", 2.5, 2.5)
    assert one.votes == {"neutral": 2.5, "angry": 0.5}
    assert one.raters == (
        Rating("E2", "neutral"),
        Rating("E3", "neutral", arousal=2.0, valence=3.0),
        Rating("E4", None, arousal=3.0, valence=2.0),
    )
    assert one.extra == {
        "dialogue": "Ses01F_impro01",
        "recording_start": 6.2901,
        "recording_end": 8.2357,
        "dominance": 2.0,
        "self_emotion": "sad",
        "self_arousal": 2.0,
        "self_valence": 3.0,
    }
    assert one.speech is not None
    assert Path(one.speech.path).name == "Ses01F_impro01_F000.wav"
    assert corpus.notes == {}


def test_the_speaker_is_the_last_letter(tmp_path: Path) -> None:
    name = "Ses03F_script01_1_M012"
    write(tmp_path, block(name), speech=[name], texts="", dialogue="Ses03F_script01_1")
    (one,) = read(tmp_path / "Session3")[1]
    assert (one.speaker, one.session, one.sex) == ("Ses03M", "Session3", "male")
    assert one.extra["dialogue"] == "Ses03F_script01_1"
    assert (one.text, one.sentence) == (None, name)


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("neu", "neutral"), ("hap", "happy"), ("sad", "sad"), ("ang", "angry"),
        ("exc", "excited"), ("fru", "frustrated"), ("sur", "surprise"), ("fea", "fear"),
        ("dis", "disgust"), ("NEU", "neutral"), ("xxx", None), ("oth", None),
    ],
)  # fmt: skip
def test_emotions(tmp_path: Path, code: str, emotion: str | None) -> None:
    write(tmp_path, block(emotion=code))
    corpus, (one,) = read(tmp_path)
    assert one.emotion == emotion
    assert one.votes == {"neutral": 2.5, "angry": 0.5}
    assert sum(corpus.notes.values()) == (emotion is None)


def test_other_and_label_maps(tmp_path: Path) -> None:
    raters = "C-E1:\tExcited; Happiness;\t()\nC-E2:\tOther;\t()\nC-E3:\tOther; Fear;\t()\n"
    write(tmp_path, block(emotion="exc", raters=raters))
    corpus, (one,) = read(tmp_path)
    assert (one.emotion, one.votes) == ("excited", {"excited": 0.5, "happy": 0.5, "fear": 0.5})
    assert one.raters == (Rating("E1"), Rating("E2"), Rating("E3"))
    assert corpus.notes == {"raters' votes for other": 2}
    _, (four,) = read(tmp_path, label_map="iemocap-four")
    assert (four.emotion, four.votes) == ("happy", {"happy": 1.0, "fear": 0.5})
    assert four.raters is not None
    assert four.raters[0].emotion == "happy"
    corpus, (own,) = read(tmp_path, label_map={"other": "contempt", "exc": "happy"})
    assert own.votes == {"excited": 0.5, "happy": 0.5, "contempt": 1.5, "fear": 0.5}
    assert own.emotion == "happy"
    assert corpus.notes == {}


def test_numbers_that_are_missing_or_outside(tmp_path: Path) -> None:
    raters = "A-E3:\tval 6; act 5; dom  ;\t()\nA-E4:\tval 5; act ; dom  5;\t()\n"
    write(tmp_path, block(means="5.5000, 5.0000, 0.5000", raters=raters))
    corpus, (one,) = read(tmp_path)
    assert (one.valence, one.arousal) == (None, 5.0)
    assert "dominance" not in one.extra
    assert one.raters == (Rating("E3", None, 5.0, None), Rating("E4", None, None, 5.0))
    assert one.votes is None
    assert corpus.notes == {
        "means that are missing or outside 1 to 5 (left out)": 2,
        "raters' numbers that are missing or outside 1 to 5 (left out)": 2,
    }


def test_speech_transcripts_and_evaluations_that_lack_each_other(tmp_path: Path) -> None:
    names = [f"Ses01F_impro01_{turn}" for turn in ("F000", "F001", "M000", "M001", "M002")]
    texts = f"{names[0]} [0-1]: Both.\n{names[1]} [1-2]: Text only.\n{names[4]} [2-3]: Lost.\n"
    blocks = [block(name) for name in names[:4]]
    write(tmp_path, *blocks, speech=[names[0], names[2], "Ses01F_impro01_F099"], texts=texts)
    corpus, utterances = read(tmp_path)
    assert [u.id for u in utterances] == names[:3]
    assert [u.text for u in utterances] == ["Both.", "Text only.", None]
    assert [u.speech is None for u in utterances] == [False, True, False]
    assert corpus.notes == {
        "utterances without a wav file": 1,
        "utterances without a transcript": 1,
        "evaluations without speech and without a transcript": 1,
        "audio files without an evaluation": 1,
        "transcripts without an evaluation and without speech": 1,
    }


def test_repeated_and_foreign_lines(tmp_path: Path) -> None:
    texts = (
        "Ses01F_impro01_F000 [006.2901-008.2357]: First \u2013  said.\n\n"
        "Ses01F_impro01_F000 [006.2901-008.2357]: Second.\n"
        "Ses01F_impro01_MXX0 [009.0000-009.5000]: Hm.\nM: Hm.\n"
    )
    twice = "C-E2:\tAnger;\t()\nC-E2:\tFear;\t()\nA-E2:\tval 1; act 1; dom 1;\t()\n"
    again = block(emotion="sad")
    stray = "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\nC-E4:\tFear;\t()\nremark\n"
    write(tmp_path, block(raters=twice), again, block("Ses01F_impro01"), stray, texts=texts)
    copy = tmp_path / "Session1" / "sentences" / "wav" / "copy" / "ses01f_IMPRO01_f000.wav"
    copy.parent.mkdir()
    soundfile.write(copy, np.zeros(4800), 16_000)
    corpus, (one,) = read(tmp_path)
    assert one.text == "First \u2013 said."
    assert one.raters == (Rating("E2", "angry", 1.0, 1.0),)
    assert corpus.notes == {
        "audio files that repeat an utterance (the first one counts)": 1,
        "transcript lines that repeat an utterance (the first one counts)": 1,
        "transcript lines that belong to no utterance": 2,
        "rater lines that repeat a rater (the first one counts)": 1,
        "evaluations that repeat an utterance (the first one counts)": 1,
        "evaluations whose name is not an utterance's": 1,
        "lines of evaluation files that cannot be read": 3,
    }


def test_hidden_files_and_folders_of_single_raters_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, block())
    path.with_name("._Ses01F_impro01.txt").write_bytes(b"\x00\x81\xff")
    (path.parent / "Categorical").mkdir()
    (path.parent / "Categorical" / "Ses01F_impro01_e2_cat.txt").write_text("Ses01F :Neutral;")
    wav = tmp_path / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (wav / "._Ses01F_impro01_F001.wav").write_bytes(b"hidden")
    dialogue = tmp_path / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav"
    dialogue.parent.mkdir()
    dialogue.write_bytes(b"the whole dialogue")
    corpus, utterances = read(tmp_path)
    assert len(utterances) == 1
    assert corpus.notes == {}


@pytest.mark.parametrize(
    "wrong", [block(emotion="hungry"), block(raters="C-E2:\tHungry;\t()\n")], ids=["own", "rater's"]
)
def test_unknown_emotions(tmp_path: Path, wrong: str) -> None:
    write(tmp_path, wrong)
    with pytest.raises(LabelError, match=r"Ses01F_impro01\.txt, line 3: unknown emotion '[Hh]ung"):
        read(tmp_path, on_bad_utterance="skip")


def test_wrong_files_and_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        list(IEMOCAP(root=str(tmp_path / "nowhere")).utterances())
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"not IEMOCAP: no Session1/dialog(.|\n)*as data\.root"):
        read(tmp_path / "empty")
    path = write(tmp_path / "corpus", block())
    path.write_bytes(path.read_bytes() + b"\x81")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt: its text is neither UTF-8 nor"):
        read(tmp_path / "corpus")


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), odd=st.booleans())
def test_what_was_planted_is_found(seed: int, odd: bool) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "IEMOCAP"
        planted = {u.id: u for u in write_iemocap(root, count=40, seed=seed, odd=odd)}
        found = list(IEMOCAP(root=str(root)).utterances())
        assert len(found) == len(planted) == 40
        assert {u.id: u for u in found} == planted


def test_the_table_holds_what_was_planted(tmp_path: Path) -> None:
    planted = {u.id: u for u in write_iemocap(tmp_path / "IEMOCAP", seed=3)}
    protocol = Protocol(name="sessions", folds=5, assignment="contiguous")
    corpus, utterances = read(tmp_path / "IEMOCAP", protocol=protocol)
    test = {utterances[int(row)].session for row in corpus.splits.test}
    for found in utterances:
        if found.speech is not None:
            found = found.with_(speech=planted[found.id].speech)  # its end is filled in
        assert found == planted.pop(found.id)
    assert planted == {}
    assert test == {"Session1"}
    assert corpus.notes["audio files without an evaluation"] == 10


@pytest.mark.parametrize("kind", ["EmoEvaluation", "transcriptions"])
def test_damage(tmp_path: Path, kind: str) -> None:
    names = [f"Ses01F_impro01_F00{number}" for number in range(4)]
    texts = "".join(f"{name} [006.2901-008.2357]: Excuse me.\n" for name in names)
    path = write(tmp_path, *map(block, names), speech=names, texts=texts)
    file = path.parent.parent / kind / path.name
    survives_damage(lambda: IEMOCAP(root=str(tmp_path), on_bad_utterance="skip"), file)
