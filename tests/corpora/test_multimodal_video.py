from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.corpora.multimodal_video import MultimodalVideo
from emoflow.data.audio import decode_speech, read_speech
from emoflow.data.speech import SpeechReader
from emoflow.data.video import read_frames
from emoflow.errors import ConfigError, CorpusError, LabelError
from emoflow.testing.multimodal_video import tone_hertz, write_multimodal_video
from emoflow.types import Speech, Utterance
from tests.corpora.multimodal_files import NO_SOUND, node, notes, person, place, read
from tests.corpora.planted import by_id

pytest.importorskip("av", reason="videos are read by PyAV")
pytestmark = pytest.mark.usefixtures("own_cache")

NO_EMOTION = "utterances without an emotion judged from everything together"


# ---- what was planted is found --------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), odd=st.booleans(), count=st.integers(1, 9))
def test_what_was_planted_is_found(
    tmp_path_factory: pytest.TempPathFactory, seed: int, odd: bool, count: int
) -> None:
    root = tmp_path_factory.mktemp("corpus") / "18.멀티모달영상"
    planted = write_multimodal_video(root, count=count, seed=seed, odd=odd)
    assert by_id(read(root)) == by_id(planted)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Utterance]]:
    root = tmp_path_factory.mktemp("odd") / "corpus"
    return root, by_id(write_multimodal_video(root, seed=3))


def test_through_the_table_and_from_above(odd: tuple[Path, dict[str, Utterance]]) -> None:
    root, planted = odd
    assert planted == by_id(write_multimodal_video(root, seed=3))
    corpus = MultimodalVideo(root=str(root.parent))
    assert by_id(list(corpus.table)) == planted
    assert corpus.skipped == ()
    unlabelled = sum(u.emotion is None for u in planted.values())
    assert unlabelled > 0
    boxes = corpus.notes["boxes of people who say nothing"]
    assert boxes > 20
    assert corpus.notes == {
        NO_EMOTION: unlabelled,
        "label files without a video (left out)": 1,
        "videos without a label file (left out)": 1,
        "label files of clips that are corrected (-수정본) (the first one counts)": 1,
        "utterances that end behind their video (speech up to its end)": 1,
        "utterances behind the end of their video (no speech)": 1,
        NO_SOUND: 3,
        "boxes of people who say nothing": boxes,
    }


def test_every_span_has_its_tone(odd: tuple[Path, dict[str, Utterance]]) -> None:
    heard = 0
    for utterance in odd[1].values():
        if utterance.speech is None:
            continue
        samples, rate = decode_speech(utterance.speech)
        wave = samples[:, 0] * np.hanning(len(samples))
        spectrum = np.abs(np.fft.rfft(wave, 1 << 16))
        peak = np.argmax(spectrum) * rate / (1 << 16)
        assert peak == pytest.approx(tone_hertz(utterance.id), abs=3), utterance.id
        inside = samples[rate // 50 : -rate // 50, 0]
        assert np.sqrt(np.mean(inside[: rate // 20] ** 2)) == pytest.approx(0.28, abs=0.05)
        assert np.sqrt(np.mean(inside[-rate // 20 :] ** 2)) == pytest.approx(0.28, abs=0.05)
        heard += 1
    assert heard > 15


def test_waveforms_by_row(odd: tuple[Path, dict[str, Utterance]]) -> None:
    table = MultimodalVideo(root=str(odd[0])).table
    reader = SpeechReader(table)
    spoken = [row for row in range(len(table)) if table[row].speech is not None]
    assert reader.prepare() == len(spoken) == 21
    for row in spoken:
        speech = odd[1][table[row].id].speech
        assert speech is not None
        np.testing.assert_array_equal(reader[row], read_speech(speech))


def test_the_boxes_cut_people_out(odd: tuple[Path, dict[str, Utterance]]) -> None:
    for utterance in list(odd[1].values())[:6]:
        assert utterance.face is not None
        for seconds, *box in utterance.extra["boxes"]:
            (picture,) = read_frames(utterance.face, [seconds], tuple(box))
            assert picture.shape[:2] == (42, np.ceil(box[2]) - np.floor(box[0]))
            fps = 25 if np.isclose(seconds * 25, round(seconds * 25)) else 30
            assert picture.mean() == pytest.approx(40 + seconds * fps, abs=25)


def test_a_plain_corpus_has_nothing_odd(tmp_path: Path) -> None:
    write_multimodal_video(tmp_path / "corpus", count=2, odd=False)
    assert notes(tmp_path / "corpus") == {}


# ---- one clip -------------------------------------------------------------------------


def test_an_utterance(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    labels = {
        "image": node("Sad ", 1, 2.5),
        "text": node(None, "4", None),
        "multimodal": node("happy", "7", 3),
    }
    data = {
        "9": {"1": person("1", "6", "36", emotion=labels)},
        "31": {"1": person(1, 6, 36, emotion=labels, xtl=3)},
    }
    place(root, data)
    video = str(root / "0001-0400" / "clip_1" / "clip_1.mp4")
    assert read(root) == [
        Utterance(
            id="clip_1_1_6_36",
            corpus="multimodal_video",
            speaker="clip_1-1",
            session="clip_1",
            sentence="오늘은정말좋네요",
            speech=Speech(video, 0.2, 1.2),
            text="오늘은 정말 좋네요",
            face=video,
            emotion="happy",
            valence=7,
            arousal=3,
            extra={
                "image_emotion": "sad",
                "image_valence": 1,
                "image_arousal": 2.5,
                "text_valence": 4,
                "situation": "카페",
                "boxes": [[0.3, 2, 4.5, 30, 40], [31 / 30, 3, 4.5, 30, 40]],
            },
        )
    ]
    assert notes(root) == {}


@pytest.mark.parametrize("source", ["multimodal", "image", "sound", "text"])
def test_judged_from(tmp_path: Path, source: Any) -> None:
    emotions = {"multimodal": "happy", "image": "dislike", "sound": "fear", "text": "contempt"}
    labels = {kind: node(emotion) for kind, emotion in emotions.items()}
    place(tmp_path / "corpus", {"31": {"1": person(emotion=labels)}})
    (one,) = read(tmp_path / "corpus", source=source)
    assert one.emotion == emotions.pop(source)
    assert {n: v for n, v in one.extra.items() if n.endswith("_emotion")} == {
        f"{kind}_emotion": emotion for kind, emotion in emotions.items()
    }


@pytest.mark.parametrize(
    "emotion",
    [
        ...,
        None,
        [],
        {"image": node()},
        {"multimodal": None},
        {"multimodal": node("", None, "")},
        {"multimodal": {}},
    ],
)
def test_missing_labels(tmp_path: Path, emotion: Any) -> None:
    place(tmp_path / "corpus", {"31": {"1": person(emotion=emotion)}})
    (one,) = read(tmp_path / "corpus")
    assert (one.emotion, one.valence, one.arousal) == (None, None, None)
    assert notes(tmp_path / "corpus") == {NO_EMOTION: 1}


def test_labels_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    people = {
        str(n): person(n, emotion={"multimodal": node(f" {e.upper()}")})
        for n, e in enumerate(MultimodalVideo.labels)
    }
    place(root, {"31": people})
    assert [u.emotion for u in read(root)] == list(MultimodalVideo.labels)
    mapped = {u.emotion for u in read(root, label_map={"dislike": "disgust"})}
    assert mapped == {*MultimodalVideo.labels, "disgust"} - {"dislike"}
    place(root, {"31": {"1": person(emotion={"multimodal": node("bored stiff")})}})
    with pytest.raises(LabelError, match=r"clip_1\.json, person 1, 6 to 36: unknown emotion"):
        _ = MultimodalVideo(root=str(root), on_bad_utterance="skip").table
    wrong: Any = "smell"
    with pytest.raises(ConfigError, match=r"data\.source: there is no 'smell'"):
        read(root, source=wrong)


def test_ratings_that_are_no_numbers(tmp_path: Path) -> None:
    labels = {"multimodal": node("sad", "high", float("nan"))}
    place(tmp_path / "corpus", {"31": {"1": person(emotion=labels)}})
    (one,) = read(tmp_path / "corpus")
    assert (one.emotion, one.valence, one.arousal) == ("sad", None, None)
    assert notes(tmp_path / "corpus") == {"ratings that are not numbers": 2}


def test_pictures_that_contradict_each_other(tmp_path: Path) -> None:
    other = person(emotion={"multimodal": node("sad"), "image": node("sad")})
    other["text"]["script"] = "다른 말"
    place(tmp_path / "corpus", {"33": {"1": other}, "4": {"1": person()}, "35": {"1": other}})
    (one,) = read(tmp_path / "corpus")
    assert (one.emotion, one.text) == ("happy", "오늘은 정말 좋네요")
    assert notes(tmp_path / "corpus") == {
        f"utterances whose {what} differ between pictures (the first counts)": 1
        for what in ("words", "multimodal labels", "image labels")
    }


def test_pictures_that_say_too_little(tmp_path: Path) -> None:
    data = {
        "1": {"1": person(), "2": person(2, text=...), "3": person(3, None, None)},
        "two": {"1": person(4)},
        "3": ["nobody"],
        "4": {"1": person(..., xtl=1), "2": person(5, "six"), "3": "nobody"},
        "5": {"1": person(6, xtl="left"), "2": person(7, 6, 40.0)},
    }
    data["1"]["3"]["text"] = {"script": " "}
    data["5"]["2"]["text"]["script"] = ""
    place(tmp_path / "corpus", data)
    found = by_id(read(tmp_path / "corpus"))
    assert list(found) == ["clip_1_1_6_36", "clip_1_6_6_36", "clip_1_7_6_40"]
    assert found["clip_1_6_6_36"].face is None
    assert "boxes" not in found["clip_1_6_6_36"].extra
    assert found["clip_1_7_6_40"].text == ""
    assert found["clip_1_7_6_40"].sentence == "clip_1_7_6_40"
    assert notes(tmp_path / "corpus") == {
        "boxes of people who say nothing": 3,
        "pictures without a number or people (left out)": 2,
        "annotations without a person_id or a span of pictures (left out)": 2,
        "annotations without a box": 1,
        "utterances without words": 1,
    }


def test_eight_boxes_evenly_over_the_pictures(tmp_path: Path) -> None:
    place(tmp_path / "corpus", {str(n): {"1": person(xtl=n)} for n in range(7, 43)})
    (one,) = read(tmp_path / "corpus")
    pictures = [7, 12, 17, 22, 27, 32, 37, 42]
    assert [b[0] * 30 for b in one.extra["boxes"]] == pytest.approx(pictures)
    assert [b[1] for b in one.extra["boxes"]] == pictures


def test_spans_that_are_none(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    place(root, {"31": {"1": person(1), "2": person(2, 36, 36), "3": person(3, -4, 9)}})
    with pytest.raises(CorpusError, match=r"clip_1\.json, person 2, 36 to 36: it does not end"):
        read(root)
    corpus = MultimodalVideo(root=str(root), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["clip_1_1_6_36"]
    assert [s.id for s in corpus.skipped] == ["clip_1_2_36_36", "clip_1_3_-4_9"]
