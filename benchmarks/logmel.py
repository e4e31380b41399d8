"""emoflow's log-mel front end against librosa's, on one core.

    python benchmarks/logmel.py

Noise of KEMDy20's lengths; both give log-mel and delta of every utterance, at most 512 frames.
librosa takes them one by one, as it must; emoflow in batches by length. The ratio is that of
the medians of interleaved rounds; the difference is the largest over all real frames.
"""

# ruff: noqa: E402 - the numbers of threads come first

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before anything that reads it is imported

import argparse
import time
from statistics import median

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from tree import HOP, RATE, draw_frames

from emoflow.data.batching import LengthBatchSampler
from emoflow.data.collate import pad
from emoflow.frontends.logmel import LogMel

Wave = NDArray[np.float32]


def by_librosa(waves: list[Wave]) -> list[NDArray[np.float32]]:
    """Return (2, frame, mel) per utterance."""
    found = []
    for wave in waves:
        power = librosa.feature.melspectrogram(
            y=wave, sr=RATE, n_fft=2048, hop_length=HOP, n_mels=128, fmin=100, fmax=8000
        )
        level = librosa.power_to_db(power, ref=np.max, top_db=80)
        found.append(np.stack((level.T, librosa.feature.delta(level, width=9).T)))
    return found


def by_emoflow(waves: list[Wave], batches: list[list[int]], net: LogMel) -> list[torch.Tensor]:
    """Return the same, padding included in the time."""
    found: list[torch.Tensor] = [torch.empty(0)] * len(waves)
    for rows in batches:
        features, frames = net(*pad([waves[row] for row in rows], dtype=torch.float32))
        for row, feature, count in zip(rows, features, frames.tolist(), strict=True):
            found[row] = feature[:, :count]
    return found


def main() -> None:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--utterances", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few utterances, few rounds")
    options = parser.parse_args()
    count, rounds = (32, 2) if options.quick else (options.utterances, options.rounds)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = (draw_frames(count).clip(max=512) - 1) * HOP
    waves = [rng.normal(0, 0.1, length).astype(np.float32) for length in lengths]
    batches = list(LengthBatchSampler(lengths / RATE, max_utterances=16, max_total=128.0))
    net = LogMel()

    theirs, mine = by_librosa(waves), by_emoflow(waves, batches, net)  # and a warm-up
    level, delta = (
        max(float(np.abs(a[c] - b[c].numpy()).max()) for a, b in zip(theirs, mine, strict=True))
        for c in (0, 1)
    )
    took: dict[str, list[float]] = {"librosa": [], "emoflow": []}
    for _ in range(rounds):
        started = time.perf_counter()
        by_librosa(waves)
        between = time.perf_counter()
        by_emoflow(waves, batches, net)
        took["librosa"].append(between - started)
        took["emoflow"].append(time.perf_counter() - between)
    for name, seconds in took.items():
        rate = count / median(seconds)
        print(f"{name}: {rate:8.1f} utterances/s on one core, median of {rounds} rounds")
    print(f"ratio: {median(took['librosa']) / median(took['emoflow']):.2f}")
    print(f"largest difference: {level:.5f} dB, delta {delta:.5f} dB per frame")


if __name__ == "__main__":
    main()
