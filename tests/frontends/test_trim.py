import numpy as np
import torch

from emoflow.frontends.trim import trim


def _utterance(lead: int, voice: int, tail: int, level: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(lead)
    quiet = [1e-4 * rng.standard_normal(n) for n in (lead, tail)]
    loud = level * np.sin(np.arange(voice) * 0.1)
    return np.concatenate([quiet[0], loud, quiet[1]]).astype(np.float32)


def test_quiet_ends_go_and_the_margin_stays() -> None:
    wave = torch.from_numpy(_utterance(16_000, 8_000, 20_000))
    cut, kept = trim(wave[None], torch.tensor([len(wave)]), 40.0, 0.1)
    assert abs(int(kept) - (8_000 + 2 * 1_600)) <= 2 * 512
    assert cut.abs().max() == wave.abs().max()


def test_each_utterance_is_cut_by_its_own_loudness_and_padding_changes_nothing() -> None:
    waves = [_utterance(9_000, 5_000, 3_000), _utterance(100, 20_000, 9_000, level=0.01)]
    samples = torch.tensor([len(w) for w in waves])
    padded = torch.full((2, 40_000), 7.0)
    for row, wave in enumerate(waves):
        padded[row, : len(wave)] = torch.from_numpy(wave)
    cut, kept = trim(padded, samples, 40.0)
    for row, wave in enumerate(waves):
        alone, count = trim(torch.from_numpy(wave)[None], samples[row : row + 1], 40.0)
        assert int(count) == int(kept[row])
        assert torch.equal(cut[row, : int(count)], alone[0])
        assert not cut[row, int(count) :].any()


def test_silence_and_nothing_survive() -> None:
    cut, kept = trim(torch.zeros(2, 4_000), torch.tensor([4_000, 0]), 40.0)
    assert kept.tolist() == [4_000, 0]
    assert not cut.any()
