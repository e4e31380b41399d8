from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emoflow.data.audio import hash_speech, inspect_audio, read_speech, span_fits
from emoflow.errors import AudioError
from emoflow.types import Speech

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def test_native_wav_is_read_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    values = np.arange(-16000, 16000, 2, dtype=np.int16)
    soundfile.write(path, values, 16000)
    speech = read_speech(Speech(str(path)))
    assert speech.dtype == np.float32
    np.testing.assert_array_equal(speech, values.astype(np.float32) / 32768)
    info = inspect_audio(path)
    assert (info.seconds, info.rate, info.channels, info.frames, info.native) == (
        1.0, 16000, 1, 16000, True,
    )  # fmt: skip


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(rate), rate)
    speech = read_speech(Speech(str(path)))
    assert len(speech) == pytest.approx(16000, abs=1)
    middle = slice(2000, 14000)
    np.testing.assert_allclose(speech[middle], tone(16000)[middle], atol=2e-3)
    assert not inspect_audio(path).native


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(16000), np.zeros(16000)], axis=1), 16000, "FLOAT")
    np.testing.assert_allclose(read_speech(Speech(str(path))), tone(16000) / 2, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 900), length=st.integers(1, 1000))
def test_a_span_is_a_slice(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "span.wav"
    values = np.linspace(-0.5, 0.5, 16000, dtype=np.float32)
    if not path.exists():
        soundfile.write(path, values, 16000, "FLOAT")
    end = min(start + length, 1000)
    speech = read_speech(Speech(str(path), start / 1000, end / 1000))
    np.testing.assert_array_equal(speech, values[start * 16 : end * 16])


def test_span_in_a_compressed_file(tmp_path: Path) -> None:
    whole, values = tmp_path / "a.flac", tone(16000)
    soundfile.write(whole, values, 16000)
    every = read_speech(Speech(str(whole)))
    np.testing.assert_array_equal(read_speech(Speech(str(whole), 0.25, 0.5)), every[4000:8000])


def test_hash_names_what_is_heard(tmp_path: Path) -> None:
    values = (tone(16000) * 32767).astype(np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, values, 16000)
    soundfile.write(tmp_path / "long.wav", np.concatenate([values, values]), 16000)
    soundfile.write(tmp_path / "slow.wav", values, 8000)
    first = hash_speech(Speech(str(tmp_path / "a.wav")))
    assert len(first) == 32
    assert hash_speech(Speech(str(tmp_path / "a.flac"))) == first
    assert hash_speech(Speech(str(tmp_path / "long.wav"), 1.0)) == first
    assert hash_speech(Speech(str(tmp_path / "slow.wav"))) != first
    assert hash_speech(Speech(str(tmp_path / "a.wav"), 0, 0.5)) != first


def test_bad_files_say_what_they_are(tmp_path: Path) -> None:
    pointer = tmp_path / "pointer.wav"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 99\n")
    (tmp_path / "nothing.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is no audio at all, only words")
    soundfile.write(tmp_path / "header.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 7999)
    (tmp_path / "folder.wav").mkdir()
    for name, words in {
        "absent.wav": "no such file",
        "pointer.wav": "git-lfs pointer",
        "nothing.wav": "holds no samples",
        "header.wav": "holds no samples",
        "text.wav": "not audio that libsndfile reads",
        "slow.wav": "7999 Hz, below 8000 Hz",
        "folder.wav": "cannot be opened",
    }.items():
        with pytest.raises(AudioError, match=words) as caught:
            inspect_audio(tmp_path / name)
        assert name in caught.value.what
        assert caught.value.fix
        with pytest.raises(AudioError, match=words):
            read_speech(Speech(str(tmp_path / name)))


def test_non_finite_samples(tmp_path: Path) -> None:
    values = tone(16000)
    values[77] = np.nan
    soundfile.write(tmp_path / "a.wav", values, 16000, "FLOAT")
    with pytest.raises(AudioError, match="NaN or infinite"):
        read_speech(Speech(str(tmp_path / "a.wav")))


def test_span_outside_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.wav")
    soundfile.write(path, tone(16000), 16000)
    with pytest.raises(AudioError, match=r"no sample between 2 s and its end; the file lasts 1 s"):
        read_speech(Speech(path, 2.0))
    with pytest.raises(AudioError, match=r"between 0.5 s and 0.5 s"):
        read_speech(Speech(path, 0.5, 0.5))
    assert span_fits(Speech(path, 0.2, 1.05), 1.0)  # rounded annotations
    assert not span_fits(Speech(path, 0.2, 1.5), 1.0)
    assert not span_fits(Speech(path, -0.1), 1.0)


def test_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(size=160000) * 0.1, 16000)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(AudioError):
        read_speech(Speech(str(path)))


@pytest.mark.skipif(not DATA.exists(), reason="the real corpora are not beside the project")
def test_real_files() -> None:
    for pattern, rate in (
        ("ravdess_speech_16k/*/*.flac", 16000),
        ("emotiontts_ko/*/*/wav/*", 22050),
    ):
        path = next(DATA.glob(pattern))
        info = inspect_audio(path)
        assert info.rate == rate
        speech = read_speech(Speech(str(path)))
        assert len(speech) == pytest.approx(info.seconds * 16000, abs=2)
        assert 0.005 < np.abs(speech).max() <= 1.1
