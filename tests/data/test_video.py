from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.audio import decode_speech, inspect_audio, read_speech
from emoflow.data.video import inspect_video, is_video, read_frames
from emoflow.errors import AudioError, ConfigError, CorpusError, EmoflowError
from emoflow.testing.video import gray_pictures, write_video
from emoflow.types import SAMPLE_RATE, Speech

av = pytest.importorskip("av", reason="videos are read by PyAV")

RATE = 16_000
FILMS = {"mp4": RATE, "m4v": RATE, "mov": 48_000, "mkv": 44_100, "webm": 48_000, "avi": RATE}
"""Ending to sampling rate in Hz."""


def chirp(seconds: float, rate: int = RATE) -> np.ndarray:
    """A tone that rises from 200 Hz by 300 Hz per second: no two moments sound alike."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * (200 * time + 150 * time**2))).astype(np.float32)


def shades(count: int) -> np.ndarray:
    """Brightness per picture, so different that each names its picture."""
    return 30 + np.arange(count) * 67 % 180


@pytest.fixture(scope="module", params=FILMS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 25 pictures per second."""
    path, rate = tmp_path_factory.mktemp("films") / f"film.{request.param}", FILMS[request.param]
    return write_video(path, gray_pictures(shades(100)), chirp(4, rate), fps=25, rate=rate)


def decoded_from_the_start(path: Path) -> np.ndarray:
    """(sample,) as PyAV gives it without seeking."""
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(parts, axis=1)[0]


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("a.mp4", True),
        ("a.MP4", True),
        ("b/a.b.MkV", True),
        ("a.avi", True),
        ("a.mov", True),
        ("a.webm", True),
        ("a.m4v", True),
        ("a.wav", False),
        ("a.mp3", False),
        ("mp4", False),
        (".mp4", False),
        ("a.mp4.wav", False),
    ],
)
def test_videos_by_their_ending(name: str, video: bool) -> None:
    assert is_video(name) is is_video(Path(name)) is video


# ---- headers --------------------------------------------------------------------------


def test_what_the_header_says(film: Path) -> None:
    info, rate = inspect_video(film), FILMS[film.suffix[1:]]
    assert info.sound is not None
    assert info.picture is not None
    assert (info.sound.rate, info.sound.channels) == (rate, 1)
    assert info.sound.seconds == pytest.approx(4, abs=0.14)  # within two codec frames
    assert (info.picture.fps, info.picture.frames) == (pytest.approx(25, abs=1e-3), 100)
    assert (info.picture.width, info.picture.height) == (64, 48)
    assert info.picture.seconds == pytest.approx(4, abs=0.03)
    facts = inspect_audio(film)
    assert (facts.rate, facts.channels, facts.native) == (rate, 1, False)
    assert facts.frames == round(facts.seconds * rate) == info.sound.frames


def test_tracks_that_are_missing(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "silent.mp4", gray_pictures(shades(30)), None)
    assert inspect_video(silent).sound is None
    with pytest.raises(AudioError, match=r"silent\.mp4: a video without an audio track"):
        inspect_audio(silent)
    with pytest.raises(AudioError, match="without an audio track"):
        read_speech(Speech(str(silent)))
    dark = write_video(tmp_path / "dark.mp4", None, chirp(1))
    assert inspect_video(dark).picture is None
    assert inspect_audio(dark).seconds == pytest.approx(1, abs=0.07)
    with pytest.raises(CorpusError, match=r"dark\.mp4: a video without pictures"):
        read_frames(dark, [0.0])


# ---- sound ----------------------------------------------------------------------------


def test_what_is_heard_is_what_was_written(film: Path) -> None:
    samples, rate = decode_speech(Speech(str(film)))
    assert (samples.dtype, rate) == (np.float32, FILMS[film.suffix[1:]])
    wave, heard = chirp(4, rate), samples[:, 0]
    lags = np.arange(-2000, 2001)
    part = wave[20_000:40_000]
    likeness = [float(part @ heard[20_000 + lag : 40_000 + lag]) for lag in lags]
    delay = 1024 if film.suffix in (".mkv", ".webm") else 0  # one codec frame
    assert abs(lags[int(np.argmax(likeness))]) <= delay
    assert np.sqrt(np.mean(heard[8000:-8000] ** 2)) == pytest.approx(0.283, abs=0.02)


@pytest.fixture(scope="module")
def whole(film: Path) -> tuple[np.ndarray, int]:
    return decode_speech(Speech(str(film)))


@settings(max_examples=12, deadline=None)
@given(start=st.floats(0, 3.9), length=st.floats(0.01, 3.95))
def test_a_span_is_a_slice_of_the_whole(
    film: Path, whole: tuple[np.ndarray, int], start: float, length: float
) -> None:
    samples, rate = whole
    end = min(start + length, 3.95)
    span, _ = decode_speech(Speech(str(film), start, end))
    first, last = round(start * rate), round(end * rate)
    assert span.shape == (last - first, 1)
    ticks = rate // 1000 + 1 if film.suffix in (".mkv", ".webm") else 0  # times in milliseconds
    padded = np.pad(samples, ((ticks, ticks), (0, 0)))
    lags = range(2 * ticks + 1)
    errors = [np.abs(span - padded[first + lag : last + lag]).max() for lag in lags]
    assert min(errors) < 1e-2


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_the_whole_is_what_decoding_from_the_start_gives(tmp_path: Path, ending: str) -> None:
    film = write_video(tmp_path / f"film.{ending}", gray_pictures(shades(60)), chirp(2))
    samples, _ = decode_speech(Speech(str(film)))
    reference = decoded_from_the_start(film)[: len(samples)]
    np.testing.assert_array_equal(samples[: len(reference), 0], reference)
    assert np.abs(samples[len(reference) :]).sum() == 0


def test_a_late_span_does_not_need_the_beginning(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", gray_pictures(shades(120)), chirp(4))
    speech = Speech(str(film), 3.0, 3.6)
    whole, _ = decode_speech(speech)
    content = bytearray(film.read_bytes())
    start = content.index(b"mdat") + 4
    content[start : start + 4000] = bytes(4000)
    film.write_bytes(content)
    np.testing.assert_array_equal(decode_speech(speech)[0], whole)


def test_sound_that_begins_after_the_pictures(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    write_video(film, gray_pictures(shades(60)), chirp(1.5), sound_start=0.5)
    heard, _ = decode_speech(Speech(str(film)))
    assert len(heard) == pytest.approx(2 * RATE, abs=1100)
    assert np.abs(heard[: RATE // 2 - 1100]).max() < 0.01
    part = chirp(1.5)[5000:15_000]
    likeness = [float(part @ heard[13_000 + lag : 23_000 + lag, 0]) for lag in range(-50, 51)]
    assert np.argmax(likeness) == 50
    samples, _ = decode_speech(Speech(str(film), 1.0, 1.25))
    np.testing.assert_allclose(samples, heard[RATE : RATE + RATE // 4], atol=2e-3)


def test_speech_at_sixteen_kilohertz(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", None, chirp(2, 44_100), rate=44_100)
    wave = read_speech(Speech(str(film), 0.5, 1.5))
    assert wave.shape == (SAMPLE_RATE,)
    expected = chirp(2)[8000:24_000]
    assert float(wave @ expected) / float(expected @ expected) == pytest.approx(1, abs=0.03)


def test_spans_that_hold_no_sample(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", None, chirp(1))
    for span in ((1.5, 2.0), (0.5, 0.5), (-1.0, 0.5)):
        with pytest.raises(AudioError, match=r"film\.mp4: no sample between"):
            decode_speech(Speech(str(film), *span))


# ---- pictures -------------------------------------------------------------------------


def brightness(pictures: np.ndarray) -> np.ndarray:
    assert pictures.dtype == np.uint8
    assert (pictures.std(axis=(1, 2)) < 6).all()
    return np.asarray(pictures.mean(axis=(1, 2, 3)))


@settings(max_examples=25, deadline=None)
@given(numbers=st.lists(st.integers(0, 99), min_size=1, max_size=8))
def test_the_picture_of_each_number(film: Path, numbers: list[int]) -> None:
    pictures = read_frames(film, [number / 25 for number in numbers])
    assert pictures.shape == (len(numbers), 48, 64, 3)
    np.testing.assert_allclose(brightness(pictures), shades(100)[numbers], atol=6)


def test_the_picture_that_is_shown_at_a_time(film: Path) -> None:
    times = [0.0, 0.02, 0.039, 0.041, 1.999, 2.001, 2.039, 3.97, 3.99, 4.05]
    numbers = [0, 0, 0, 1, 49, 50, 50, 99, 99, 99]
    found = brightness(read_frames(film, times))
    np.testing.assert_allclose(found, shades(100)[numbers], atol=6)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("keys", [1, 5, 300])
def test_pictures_against_decoding_from_the_start(
    tmp_path: Path, ending: str, keys: int, codec: str
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV does not encode {codec}")
    rng = np.random.default_rng(keys)
    pictures = np.kron(rng.integers(0, 256, (90, 6, 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    film = write_video(tmp_path / f"film.{ending}", pictures, None, keys=keys, codec=codec)
    with av.open(str(film)) as container:
        reference = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    numbers = [3, 80, 80, 41, 4, 0, 89, 42]
    found = read_frames(film, [number / 30 for number in numbers])
    np.testing.assert_array_equal(found, np.stack([reference[number] for number in numbers]))


def test_boxes_are_cut_out_and_clamped(tmp_path: Path) -> None:
    pictures = gray_pictures([60] * 10)
    pictures[:, 8:40, 16:48] = 200
    film = write_video(tmp_path / "film.mp4", pictures, None)
    whole = read_frames(film, [0.1])[0]
    for box, area in {
        (16, 8, 48, 40): np.s_[8:40, 16:48],
        (16.2, 7.9, 47.5, 39.1): np.s_[7:40, 16:48],
        (-20, -5.5, 30, 20): np.s_[:20, :30],
        (40, 30, 900, 900): np.s_[30:, 40:],
    }.items():
        np.testing.assert_array_equal(read_frames(film, [0.1], box)[0], whole[area])
    assert whole[12:36, 20:44].mean() == pytest.approx(200, abs=3)
    assert read_frames(film, [], (1, 2, 11, 7)).shape == (0, 5, 10, 3)
    for box in (
        (70, 0, 80, 10),
        (10, 10, 10, 20),
        (20, 20, 10, 10),
        (0, -9, 10, -1),
        (np.nan, 0, 9, 9),
    ):
        with pytest.raises(CorpusError, match=r"film\.mp4: the box .* holds no part of a picture"):
            read_frames(film, [0.1], box)


@pytest.mark.parametrize("time", [-0.1, 4.5, float("nan"), float("inf")])
def test_times_at_which_nothing_is_shown(film: Path, time: float) -> None:
    with pytest.raises(CorpusError, match=r"film\.\w+: shows nothing at"):
        read_frames(film, [1.0, time])


# ---- files that are none --------------------------------------------------------------


def test_bad_files_say_what_they_are(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "film.mp4", gray_pictures(shades(60)), chirp(2)).read_bytes()
    (tmp_path / "nothing.mp4").write_bytes(b"")
    (tmp_path / "text.mkv").write_text("this is no video at all, only words")
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid\n")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:2,\n{tmp_path}/film.mp4\n")
    (tmp_path / "folder.avi").mkdir()
    for name, words in {
        "absent.webm": "no such file",
        "nothing.mp4": "holds no samples",
        "text.mkv": "not a video that PyAV reads",
        "pointer.mp4": "git-lfs pointer",
        "cut.mp4": "not a video that PyAV reads",
        "list.mp4": "not a video that PyAV reads",
        "folder.avi": "cannot be opened",
    }.items():
        path = tmp_path / name
        for read in (inspect_video, inspect_audio, lambda p: read_frames(p, [0])):
            with pytest.raises(AudioError, match=words) as caught:
                read(path)
            assert name in caught.value.what
            assert caught.value.fix
        with pytest.raises(AudioError, match=words):
            read_speech(Speech(str(path)))


def test_a_file_whose_header_promises_more(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    options = {"movflags": "faststart"}
    write_video(film, gray_pictures(shades(120)), chirp(4), options=options)
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    film.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    assert inspect_audio(film).seconds == pytest.approx(4, abs=0.07)
    assert len(decode_speech(Speech(str(film), 0.2, 0.8))[0]) == 9600
    for speech in (Speech(str(film)), Speech(str(film), 3.2, 3.8)):
        with pytest.raises(AudioError, match=r"film\.mp4: "):
            decode_speech(speech)
    with pytest.raises(AudioError, match=r"film\.mp4: "):
        read_frames(film, [3.5])


def test_too_low_a_rate(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", None, chirp(1, 7350), rate=7350)
    with pytest.raises(AudioError, match=r"film\.mp4: sampled at 7350 Hz, below 8000 Hz"):
        inspect_audio(film)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_damage(tmp_path: Path, ending: str) -> None:
    film = tmp_path / f"film.{ending}"
    write_video(film, gray_pictures(shades(20)), chirp(0.6), options={})
    content, rng = film.read_bytes(), np.random.default_rng(0)
    read_frames(film, [0.1, 0.5])
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 6)):
            damaged[place] = int(rng.integers(256))
        film.write_bytes(
            damaged[: rng.integers(1, len(content))] if rng.random() < 0.2 else damaged
        )
        try:
            inspect_video(film)
            decode_speech(Speech(str(film), 0.1, 0.5))
            read_frames(film, [0.1, 0.5])
        except EmoflowError as error:
            refused += 1
            assert film.name in error.what  # noqa: PT017
    assert 20 < refused < 150


# ---- without PyAV ---------------------------------------------------------------------


def test_pyav_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_video(tmp_path / "film.mp4", None, chirp(1))
    monkeypatch.setitem(sys.modules, "av", None)  # type: ignore[arg-type]
    for use in (
        lambda: inspect_video(film),
        lambda: inspect_audio(film),
        lambda: read_speech(Speech(str(film))),
        lambda: read_frames(film, [0]),
        lambda: write_video(tmp_path / "b.mp4", None, chirp(1)),
    ):
        with pytest.raises(ConfigError, match=r'pip install "emoflow\[video\]"'):
            use()


def test_pyav_is_imported_late() -> None:
    code = "import sys, emoflow.data.audio, emoflow.testing; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
