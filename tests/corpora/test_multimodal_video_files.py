from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import pytest

from emoflow.corpora.multimodal_video import MultimodalVideo
from emoflow.data.protocol import Protocol
from emoflow.errors import ConfigError, CorpusError
from emoflow.types import Speech
from tests.corpora.fuzz import survives_damage
from tests.corpora.multimodal_files import NO_SOUND, film, notes, person, place, read

pytest.importorskip("av", reason="videos are read by PyAV")
pytestmark = pytest.mark.usefixtures("own_cache")


# ---- files ----------------------------------------------------------------------------


def test_corrected_folders_go_first(tmp_path: Path) -> None:
    root = tmp_path / "corpus-수정본" / "18"  # folders above do not count
    place(root, {"31": {"1": person(1)}})
    nfd = unicodedata.normalize("NFD", "clip_1-수정본")
    place(root, {"31": {"1": person(2)}}, folder=nfd, video="")
    (one,) = read(root)  # corrected labels, and the only video
    assert (one.speaker, Path(one.face or "").parent.name) == ("clip_1-2", "clip_1")
    film(root / "0001-0400" / nfd / "clip_1.MP4")
    (one,) = read(root)
    assert Path(one.face or "").parent.name == nfd
    assert notes(root) == {
        "label files of clips that are corrected (-수정본) (the first one counts)": 1
    }
    place(root, {"31": {"1": person(3)}}, folder="z", video="")
    assert read(root) == [one]


def test_cp949_and_another_picture_rate(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    path = place(root, {"31": {"1": person(1, 5, 30)}}, encoding="cp949", video="")
    film(path.with_name("clip_1.avi"), fps=25)
    (one,) = read(root)
    assert one.text == "오늘은 정말 좋네요"
    assert one.speech == Speech(str(path.with_name("clip_1.avi")), 0.2, 1.2)


def test_videos_without_sound_or_pictures(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    film(place(root, video="").with_name("clip_1.mp4"), sound=False)
    (one,) = read(root)
    assert (one.speech, one.text) == (None, "오늘은 정말 좋네요")
    assert one.face is not None
    assert notes(root) == {NO_SOUND: 1}
    film(root / "0001-0400" / "clip_1" / "clip_1.mp4", fps=0)
    (one,) = read(root)
    assert one.face is None
    assert one.speech is not None
    assert (one.speech.start, one.speech.end) == (0.2, 1.2)
    assert notes(root) == {"videos of unknown picture rate (30 per second are assumed)": 1}


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    place(root, clip="clip_1")
    place(root, {}, clip="clip_2")
    place(root, [], clip="clip_3")
    place(root, clip="clip_10").write_text("{", encoding="utf-8")
    place(root, clip="clip_11", video="")
    (root / "0001-0400" / "clip_11" / "clip_11.mp4").write_bytes(b"no video")
    corpus = MultimodalVideo(root=str(root), on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["clip_1_1_6_36"]
    reasons = {s.id: s.reason for s in corpus.skipped}
    assert list(reasons) == ["clip_2", "clip_3", "clip_10", "clip_11"]
    for clip, reason in {
        "clip_2": "holds no utterance",
        "clip_3": "holds no data of pictures",
        "clip_10": "not a JSON file",
        "clip_11": "clip_11.mp4: not a video",
    }.items():
        assert reason in reasons[clip]
    with pytest.raises(CorpusError, match=r"clip_2\.json: holds no utterance"):
        read(root)


def test_wrong_roots(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        read(tmp_path / "nowhere")
    place(tmp_path / "corpus", video="")
    with pytest.raises(CorpusError, match=r"not the multimodal video corpus: no (.|\n)*data\.root"):
        read(tmp_path / "corpus")
    (tmp_path / "corpus" / "멀티모달 영상.zip.part0").write_bytes(b"PK")
    with pytest.raises(CorpusError, match=r"zip\.part0 first: emoflow unpack"):
        read(tmp_path / "corpus")


def test_pyav_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path / "corpus")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r'clip_1\.mp4: is a video(.|\n)*pip install "emoflow'):
        _ = MultimodalVideo(root=str(tmp_path / "corpus"), on_bad_utterance="skip").table


# ---- who belongs together -------------------------------------------------------------


def test_sessions_of_clips_that_belong_together(tmp_path: Path) -> None:
    root, table = tmp_path / "corpus", tmp_path / "groups.csv"
    for number in range(1, 8):
        place(root, clip=f"clip_{number}")
    assert {u.session for u in read(root)} == {f"clip_{n}" for n in range(1, 8)}
    rows = ["clip_id,source,person_id,person", "2,film A,,", "clip_3,film A,1,kim"]
    rows += ["CLIP_4,,1,kim", "clip_5,film B,1,lee", "clip_6,film C,1, lee ", "99,film B,,"]
    table.write_text("\n".join(rows), encoding="cp949")
    corpus = MultimodalVideo(
        root=str(root), groups=str(table), protocol=Protocol(name="sessions", folds=3)
    )
    found = {u.id.removesuffix("_1_6_36"): (u.session, u.speaker) for u in corpus.table}
    assert found == {
        "clip_1": ("clip_1", "clip_1-1"),
        "clip_2": ("clip_2", "clip_2-1"),
        "clip_3": ("clip_2", "kim"),
        "clip_4": ("clip_2", "kim"),
        "clip_5": ("clip_5", "lee"),
        "clip_6": ("clip_5", "lee"),
        "clip_7": ("clip_7", "clip_7-1"),
    }
    unnamed = "clips that the table of groups does not name (each is its own session)"
    assert corpus.notes == {unnamed: 2}
    rows.append("7,film A,,")  # a change of the table is noticed
    table.write_text("\n".join(rows), encoding="utf-8")
    again = MultimodalVideo(root=str(root), groups=str(table))
    assert {u.session for u in again.table if u.id.startswith("clip_7")} == {"clip_2"}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("clip_id\n1\n", "no column source"),
        ("clip_id,source\n1,A\n,B\n", "row 3: no clip_id, or cells too many"),
        ("clip_id,source\n1,A,B\n", "row 2: no clip_id, or cells too many"),
        ("clip_id,source,person\n1,A,kim\n", "row 2: a person without a person_id"),
        (
            "clip_id,source,person_id,person\n1,A,1,kim\nclip_1,A,1,lee\n",
            "row 3: clip_1's person 1 is lee here, kim above",
        ),
    ],
)
def test_wrong_groups(tmp_path: Path, rows: str, reason: str) -> None:
    place(tmp_path / "corpus")
    table = tmp_path / "groups.csv"
    table.write_text(rows, encoding="utf-8")
    with pytest.raises(CorpusError, match=rf"groups\.csv.*{reason}"):
        read(tmp_path / "corpus", groups=str(table))
    with pytest.raises(CorpusError, match=r"nowhere\.csv: cannot be read"):
        read(tmp_path / "corpus", groups=str(tmp_path / "nowhere.csv"))


# ---- damage ---------------------------------------------------------------------------


def test_damage(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    data = {"7": {"1": person()}, "40": {"1": person(2, 37, 50), "2": person(3, 38, 51)}}
    path = place(root, data, video="")
    film(path.with_name("clip_1.mp4"), fps=0, seconds=0.2)
    survives_damage(lambda: MultimodalVideo(root=str(root), on_bad_utterance="skip"), path)
