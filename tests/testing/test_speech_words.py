from __future__ import annotations

import numpy as np
import pytest

from emoflow.testing import Manner, Voice, draw_sentence, draw_voice, synthesise
from emoflow.testing.speech import syllables
from emoflow.testing.words import particle

TEXT = "오늘 회의가 순조롭게 풀려서 마음이 놓여요."


def pitch_hz(wave: np.ndarray) -> float:
    """Median pitch by autocorrelation of 64 ms frames, voiced ones only."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 1024)[::256]
    frames = frames[np.sqrt((frames**2).mean(1)) > 0.3 * np.sqrt((wave**2).mean())]
    power = np.abs(np.fft.rfft(frames * np.hanning(1024), 2048)) ** 2
    lags = np.fft.irfft(power)[:, :300]
    lags /= lags[:, :1]
    best = lags[:, 27:].argmax(1) + 27
    return float(np.median(16_000 / best[lags[np.arange(len(best)), best] > 0.4]))


def brightness_hz(wave: np.ndarray) -> float:
    """Spectral centroid of the frames that are well above the room's noise."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 512)[::256]
    frames = frames[np.sqrt((frames**2).mean(1)) > 0.5 * np.sqrt((wave**2).mean())]
    power = (np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2).sum(0)
    return float((power * np.fft.rfftfreq(512, 1 / 16_000)).sum() / power.sum())


def measure(arousal: float, voice: Voice) -> np.ndarray:
    """Pitch, level in dB, syllables per second, brightness: medians of seven readings."""
    rows = []
    for seed in range(7):
        wave = synthesise(TEXT, voice, Manner(arousal), np.random.default_rng(seed))
        level = 20 * np.log10(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))
        rows.append((pitch_hz(wave), level, 18 * 16_000 / len(wave), brightness_hz(wave)))
    return np.median(rows, axis=0)


@pytest.mark.parametrize("voice", [Voice(115.0), Voice(210.0, 1.16)])
def test_arousal_is_audible(voice: Voice) -> None:
    calm, middle, excited = (measure(a, voice) for a in (1.0, 3.0, 5.0))
    assert (calm < middle).all()
    assert (middle < excited).all()
    assert 1.4 < excited[0] / calm[0] < 2.6  # pitch: about eleven semitones
    assert 8 < excited[1] - calm[1] < 18  # dB
    assert 1.4 < excited[2] / calm[2] < 2.4  # tempo


def test_pitch_is_the_voice_s() -> None:
    for hertz in (100.0, 150.0, 220.0):
        assert measure(3.0, Voice(hertz))[0] == pytest.approx(hertz, rel=0.12)


def test_surprise_rises_at_the_end() -> None:
    rises = []
    for surprise in (0.0, 1.0):
        readings = []
        for seed in range(5):
            manner = Manner(3.5, surprise=surprise)
            wave = synthesise(TEXT, Voice(), manner, np.random.default_rng(seed))
            readings.append(pitch_hz(wave[-4000:-1400]) / pitch_hz(wave))
        rises.append(np.median(readings))
    assert rises[0] < 1.1 < 1.2 < rises[1]


def test_speech_is_clean_and_repeatable() -> None:
    rng = np.random.default_rng(0)
    voice = draw_voice(rng, "female")
    for arousal in (1.0, 5.0):
        first, second = (
            synthesise(TEXT, voice, Manner(arousal), np.random.default_rng(4)) for _ in range(2)
        )
        assert first.dtype == np.float32
        assert first.ndim == 1
        assert np.isfinite(first).all()
        assert 0.02 < np.abs(first).max() < 1.0
        np.testing.assert_array_equal(first, second)


def test_the_room_does_not_follow_the_voice() -> None:
    floors = []
    for arousal in (1.0, 5.0):
        wave = synthesise(TEXT, Voice(), Manner(arousal), np.random.default_rng(1), noise_db=-50)
        floors.append(20 * np.log10(np.std(wave[:700])))
    assert floors == pytest.approx([-50, -50], abs=1.0)


@pytest.mark.parametrize(
    ("text", "kinds", "vowels"),
    [
        ("가사", "sf", [0, 0]),
        ("아이", "..", [0, 5]),
        ("자네", "an", [0, 6]),
        ("Kids are", "s.n", [5, 0, 6]),
        ("3층", "sa", [0, 4]),
        ("", ".", [0]),
        ("!?", ".", [0]),
    ],
)
def test_syllables_follow_the_text(text: str, kinds: str, vowels: list[int]) -> None:
    found = syllables(text)
    assert "".join(onset for onset, _, _ in found) == kinds
    assert [vowel for _, vowel, _ in found] == vowels


def test_a_comma_is_a_pause() -> None:
    assert [gap for _, _, gap in syllables("네, 네 네네")] == [0.0, 0.10, 0.02, 0.0]


def test_particles_fit_the_final_consonant() -> None:
    assert particle("수업", "이", "가") == "수업이"
    assert particle("회의", "이", "가") == "회의가"
    assert particle("PC", "이", "가") == "PC가"


def test_words_carry_the_wanted_valence() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.uniform(1, 5, 2000)
    sentences = [draw_sentence(rng, v) for v in wanted]
    read = np.array([s.valence for s in sentences])
    assert np.abs(read - wanted).mean() < 0.35
    assert abs((read - wanted).mean()) < 0.03
    assert np.corrcoef(read, wanted)[0, 1] > 0.97
    assert read.min() == 1
    assert read.max() == 5
    assert len({s.text for s in sentences}) > 0.95 * len(sentences)
    assert len({word for s in sentences for word in s.text.split()}) > 400
    assert all(s.text.encode("cp949") for s in sentences)


def test_markers_stand_in_front() -> None:
    rng = np.random.default_rng(0)
    texts = [draw_sentence(rng, 3.0, marker="surprise").text for _ in range(50)]
    assert all("! " in text for text in texts)
    assert "!" not in draw_sentence(rng, 3.0).text
