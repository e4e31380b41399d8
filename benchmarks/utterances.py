"""The utterances of stages.py: KEMDy20's lengths, batched as either side does it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from plain import FRAMES, TOKENS, WIDTH
from sides import Sizes
from torch import Tensor
from tree import HOP, RATE, draw_frames

from emoflow.data.batching import LengthBatchSampler
from emoflow.data.collate import Collator, Loaded
from emoflow.types import Batch, Needs

PLAIN_BATCH = 16
BATCH, SECONDS_PER_BATCH, TOKENS_PER_BATCH = 16, 128.0, 4096  # those of configs/kemdy20-*


class Utterances:
    """Utterances of KEMDy20's lengths, made of noise when they are asked for."""

    def __init__(self, stage: int, sizes: Sizes) -> None:
        rng = np.random.default_rng(0)
        self.stage = stage
        self.frames = draw_frames(sizes.utterances)
        self.tokens = rng.integers(4, 41, sizes.utterances)
        self.noise = rng.normal(0, 0.1, FRAMES * HOP).astype(np.float32)
        self.states = rng.normal(0, 1, (FRAMES, WIDTH)).astype(np.float16)
        stored = {1: {}, 2: {"text": WIDTH}, 3: {"speech": WIDTH, "text": WIDTH}}[stage]
        needs = {1: ("speech",), 2: ("text",), 3: ("speech", "text")}[stage]
        self.collate = Collator(Needs(needs), stored)
        self.features = torch.randn(PLAIN_BATCH, 2, FRAMES, 128)
        # A sample of the epoch's batches, evenly spread over their cost.
        in_seconds = stage != 2
        seconds = np.minimum((self.frames - 1) * HOP, FRAMES * HOP - 1) / RATE
        sampler = LengthBatchSampler(
            seconds if in_seconds else self.tokens,
            max_utterances=BATCH,
            max_total=SECONDS_PER_BATCH if in_seconds else TOKENS_PER_BATCH,
            shuffle=True,
        )
        lengths = sampler.lengths
        plan = sorted(sampler.plan(), key=lambda batch: lengths[batch].max() * len(batch))
        places = (np.arange(sizes.batches) + 0.5) / sizes.batches * len(plan)
        self.plan = [plan[int(place)] for place in places]
        self.random = rng

    def emoflow(self) -> Iterator[tuple[Batch, int]]:
        """Yield batches by length: waveforms in stage 1, else stored states."""
        for rows in self.plan:
            yield self.collate([self._load(int(row)) for row in rows]), len(rows)

    def _load(self, row: int) -> Loaded:
        frames, tokens = min(int(self.frames[row]), FRAMES), int(self.tokens[row])
        one = Loaded(row, arousal=3.0 + row % 5 / 5, emotion=row % 5)
        if self.stage == 1:
            one.waveform = self.noise[: (frames - 1) * HOP]
        else:
            one.speech_states, one.text_states = self.states[:frames], self.states[:tokens]
        return one

    def plain(self) -> Iterator[tuple[tuple[Tensor, ...], int]]:
        """Yield padded batches in random order, their features ready-made."""
        while True:
            rows = self.random.choice(len(self.frames), PLAIN_BATCH, replace=False)
            frames = torch.from_numpy(self.frames[rows]).clamp(max=FRAMES)
            yield plain_batch(self.stage, self.features, frames, self.tokens[rows]), PLAIN_BATCH

    def waveforms(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield waveforms, samples, tokens and counts by length, for the one-off."""
        for rows in self.plan:
            samples = torch.from_numpy((self.frames[rows].clip(max=FRAMES) - 1) * HOP)
            counts = torch.from_numpy(self.tokens[rows])
            waveforms = torch.from_numpy(self.noise)[: int(samples.max())].repeat(len(rows), 1)
            tokens = torch.randint(5, 8000, (len(rows), int(counts.max())))
            yield waveforms, samples, tokens, counts


def plain_batch(stage: int, features: Tensor, frames: Tensor, counts: object) -> tuple[Tensor, ...]:
    """Return the plain net's inputs and target."""
    size = len(frames)
    tokens = torch.randint(5, 8000, (size, TOKENS))
    speech, text = (features[:size], frames), (tokens, torch.as_tensor(counts))
    inputs = {1: speech, 2: text, 3: (*speech, *text)}[stage]
    target = torch.arange(size) % 5
    return (*inputs, target if stage == 3 else 3.0 + target / 5)
