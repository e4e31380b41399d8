"""Tables of utterances by speaker and sentence, to be split."""

from __future__ import annotations

import numpy as np

from emoflow.data.protocol import SPLIT_NAMES
from emoflow.types import Utterance

EMOTIONS = ["neutral", "happy", "sad", None]
COLUMN = {"speakers": "speaker", "sessions": "session", "sentences": "sentence"}


def utterance(number, speaker, sentence, emotion="neutral", **more):
    return Utterance(
        id=f"u{number:05d}",
        corpus="toy",
        speaker=f"spk{speaker}",
        session=f"ses{speaker // 2}",
        sentence=f"say{sentence}",
        text=f"say {sentence}",
        emotion=emotion,
        **more,
    )


def grid(speakers=6, sentences=5, repeats=2):
    cells = [(s, t) for s in range(speakers) for t in range(sentences) for _ in range(repeats)]
    return [utterance(i, s, t, EMOTIONS[(i + s) % 4]) for i, (s, t) in enumerate(cells)]


def skewed(count=4000, speakers=40, seed=0):
    rng = np.random.default_rng(seed)
    classes = ["neutral", "happy", "sad", "angry", None]
    share = np.array([0.85, 0.08, 0.02, 0.01, 0.04])
    tilt = rng.gamma(0.5, 2, (speakers, 5)) * share
    tilt[:, 0] = share[0]
    tilt /= tilt.sum(axis=1, keepdims=True)
    who = rng.integers(0, speakers, count)
    return [
        utterance(i, int(s), int(rng.zipf(1.5) % 300), classes[rng.choice(5, p=tilt[s])])
        for i, s in enumerate(who)
    ]


def units(table, splits, kind):
    values = table.column(COLUMN[kind])
    return {name: set(values[splits.rows(name)]) for name in SPLIT_NAMES}
