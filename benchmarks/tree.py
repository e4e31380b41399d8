"""KEMDy20's lengths, and a folder in its layout that costs nothing to make."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HOP, RATE, UTTERANCES = 512, 16_000, 13_462
FRAMES = {  # log-mel frames from, below: utterances
    (21, 129): 6080,
    (129, 237): 3871,
    (237, 345): 1819,
    (345, 453): 949,
    (453, 561): 422,
    (561, 669): 208,
    (669, 777): 90,
    (777, 885): 17,
    (885, 1101): 6,
}
_RATERS = 10
_RECORDINGS = 64


def draw_frames(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return (utterance,) log-mel frames, in the proportions of KEMDy20."""
    rng = np.random.default_rng(seed)
    edges, shares = np.array(list(FRAMES)), np.array(list(FRAMES.values()), float)
    # Even steps through the distribution: also a small draw has its long utterances.
    places = (np.arange(count) + rng.random(count)) / count
    bins = np.searchsorted(np.cumsum(shares / shares.sum()), places).clip(max=len(edges) - 1)
    return rng.permutation(rng.integers(edges[bins, 0], edges[bins, 1]))


def write_tree(root: Path, utterances: int = UTTERANCES, seed: int = 0) -> None:
    """Write a KEMDy20 folder: real-length noise (64 recordings, hard-linked), csv and txt."""
    from scipy.io import wavfile

    rng = np.random.default_rng(seed)
    store = root.parent / f".{root.name}-recordings"
    store.mkdir(parents=True)
    for number, frames in enumerate(draw_frames(_RECORDINGS, seed)):
        noise = rng.normal(0, 3000, (frames - 1) * HOP).clip(-32768, 32767).astype(np.int16)
        wavfile.write(store / f"{number}.wav", RATE, noise)
    (root / "annotation").mkdir(parents=True)
    sessions = np.array_split(np.arange(utterances), 40)
    for session, rows in enumerate(sessions, start=1):
        folder = root / "wav" / f"Session{session:02d}"
        folder.mkdir(parents=True)
        head = ["Numb", "WAV", " ", "Segment ID", "Total Evaluation", " ", " "]
        head += [c for r in range(_RATERS) for c in (f"Eval{r + 1:02d}", " ", " ")]
        below = [" ", "start", "end", " ", *["Emotion", "Valence", "Arousal"] * (1 + _RATERS)]
        lines = [",".join(head), ",".join(below)]
        for place, row in enumerate(rows):
            who = 2 * session - 1 + place % 2
            script, number = place % 12 // 2 + 1, place // 12 + 1
            sex = "M" if place % 2 else "F"
            name = f"Sess{session:02d}_script{script:02d}_User{who:03d}{sex}_{number:03d}"
            os.link(store / f"{row % _RECORDINGS}.wav", folder / f"{name}.wav")
            text = f"n/ 그래서 {number}번은 어땠어 {row}"
            (folder / f"{name}.txt").write_bytes(text.encode("cp949") + b"\n")
            emotion = "neutral" if row % 5 else "happy"
            scores = rng.integers(1, 6, (_RATERS, 2))
            cells = [str(place + 1), f"{place}.0", f"{place + 0.9}", name, emotion]
            cells += [f"{value:g}" for value in scores.mean(0).round(1)]
            for valence, arousal in scores:
                cells += [emotion, str(valence), str(arousal)]
            lines.append(",".join(cells))
        path = root / "annotation" / f"Sess{session:02d}_eval.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
