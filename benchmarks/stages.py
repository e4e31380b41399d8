"""Training throughput of each stage against the plain rendering of the published design.

    python benchmarks/stages.py 1
    python benchmarks/stages.py 1 --precision bf16
    python benchmarks/stages.py 2 --seconds 300
    python benchmarks/stages.py 3

Utterances per second, optimiser step included, on KEMDy20's length distribution. Both sides
take turns, batch by batch; the ratio is that of the median rates. First it trains both sides on
equal weights and full-length utterances, where they compute the same: their losses must agree.

- Plain (plain.py): batches of 16 in random order, padded to 512 frames and 64 tokens. It is
  GIVEN its log-mel features ready-made.
- emoflow: batches by length (16 utterances or 128 s, 4,096 tokens in stage 2) and, in stage 1,
  from waveforms: log-mel and masking are inside the time, as are padding and collating.
- What is frozen is stored: stage 2 reads BERT's states, stage 3 both towers'; random numbers
  of the right shapes stand in for the store. Filling it costs once what the line "one-off"
  says; the last line counts it in.
- Both run in the same precision (plain in bf16 too, with --precision bf16), with Adam, each in a
  process of its own: emoflow's flushes denormal numbers, as `emoflow fit` does. Gradients fade
  on their way through a recurrent net, and a CPU is slow with what is left of them.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

import numpy as np
import torch
from plain import (
    FRAMES,
    TOKENS,
    WIDTH,
    PlainMerged,
    PlainRegressor,
    PlainSpeechTower,
    PlainStack,
    PlainTextTower,
)
from torch import Tensor, nn
from torch.nn import functional
from tree import HOP, RATE, draw_frames

from emoflow.data.batching import LengthBatchSampler
from emoflow.data.collate import Collator, Loaded
from emoflow.nets import (
    AttentionConfig,
    FrequencyConvConfig,
    HeadConfig,
    MergedNetConfig,
    PretrainedTextConfig,
    SelfAttention,
    SpeechNetConfig,
    SpeechTowerConfig,
    TextNetConfig,
    TextTowerConfig,
)
from emoflow.tasks.optimisation import Optimisation
from emoflow.types import Batch, Needs

PLAIN_BATCH = 16
BATCH, SECONDS_PER_BATCH, TOKENS_PER_BATCH = 16, 128.0, 4096  # those of configs/kemdy20-*
RATE_OF_LEARNING = 1e-4
BETWEEN = 4  # emoflow's batches for one of the plain side
EPOCHS = 10  # over which the last line spreads the one-off cost
PLAIN_ORDER = torch.arange(WIDTH)
BY_FREQUENCY = torch.arange(WIDTH).view(24, 32).T.flatten()
"""emoflow's convolutions order a state by frequency, then channel; the plain ones otherwise."""


@dataclass
class Sizes:
    layers: tuple[int, int, int] = (7, 5, 6)  # speech, text in stage 2, text in stage 3
    bert: int = 12
    utterances: int = 13_462
    batches: int = 12  # of emoflow's in a round


QUICK = Sizes((1, 1, 1), 1, 640, 2)


# ---- the nets -----------------------------------------------------------------------------


def bert_config(layers: int) -> dict[str, object]:
    """Return the description of a BERT of KoBERT's size."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": 3072, "num_attention_heads": 12}
    kind = {"model_type": "bert", "vocab_size": 8002, "num_hidden_layers": layers}
    return {**kind, **sizes, "max_position_embeddings": 512}


def plain_bert(layers: int) -> nn.Module:
    """Return a BERT with unfused attention and random weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig(**bert_config(layers), attn_implementation="eager")
    return BertModel(config, add_pooling_layer=False)


def plain_net(stage: int, sizes: Sizes) -> nn.Module:
    """Return the plain net of a stage."""
    speech, text2, text3 = sizes.layers
    if stage == 1:
        return PlainRegressor(PlainSpeechTower(speech))
    bert = plain_bert(sizes.bert)
    if stage == 2:
        return PlainRegressor(PlainTextTower(bert, text2, heads=6))
    return PlainMerged(PlainSpeechTower(speech), PlainTextTower(bert, text3, heads=6))


def emoflow_net(stage: int, sizes: Sizes) -> nn.Module:
    """Return the net of ``configs/kemdy20-*.yaml``."""
    speech, text2, text3 = sizes.layers
    encoder = PretrainedTextConfig(architecture=bert_config(sizes.bert), frozen=True)
    if stage == 1:
        config = SpeechNetConfig(FrequencyConvConfig(), AttentionConfig(speech), HeadConfig())
        return config.build(1)
    if stage == 2:
        return TextNetConfig(encoder, AttentionConfig(text2, heads=6), HeadConfig()).build(1)
    return MergedNetConfig(
        SpeechTowerConfig(FrequencyConvConfig(), AttentionConfig(speech), frozen=True),
        TextTowerConfig(encoder, AttentionConfig(text3, heads=6), frozen=True),
        modality_dropout=0.2,
    ).build(5)


# ---- one side of the measurement ----------------------------------------------------------


def plain_loss(stage: int, net: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Return the loss of the plain net."""
    *inputs, target = batch
    outputs = net(*inputs).float()
    if stage == 3:
        return functional.cross_entropy(outputs, target)
    return functional.mse_loss(outputs, target)


def emoflow_loss(stage: int, net: nn.Module, batch: Batch) -> Tensor:
    """Return the same loss of emoflow's net."""
    outputs = net(batch).float()
    if stage == 3:
        return functional.cross_entropy(outputs, batch.emotion)
    return functional.mse_loss(outputs[:, 0], batch.arousal)


def plain_side(stage: int, net: nn.Module, bf16: bool = False) -> Side:
    """Return the plain net in training, with torch's Adam."""
    learned = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=RATE_OF_LEARNING)
    return Side(net, optimiser, lambda n, b: plain_loss(stage, n, b), bf16)


def emoflow_side(stage: int, net: nn.Module, bf16: bool = False) -> Side:
    """Return emoflow's net in training, with the same Adam as emoflow sets it up."""
    same = Optimisation(
        "adam", RATE_OF_LEARNING, weight_decay=0.0, schedule="constant", warm_up=0.0
    )
    built = same.build([(net.parameters(), 1.0)], steps=1, steps_per_epoch=1)
    return Side(net, built["optimizer"], lambda n, b: emoflow_loss(stage, n, b), bf16)


@dataclass
class Side:
    """A net in training and its batches."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Callable[[nn.Module, object], Tensor]
    bf16: bool = False
    utterances: int = 0
    seconds: float = 0.0

    def step(self, batch: object) -> float:
        """Train on one batch; return its loss."""
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.net, batch)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def train(self, batches: Iterator[tuple[object, int]]) -> None:
        """Train on the next batch, made inside the time."""
        started = time.perf_counter()
        batch, count = next(batches)
        self.step(batch)
        self.seconds += time.perf_counter() - started
        self.utterances += count


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


# ---- equal where the computation is the same ----------------------------------------------


@torch.no_grad()
def copy_layers(plain: PlainStack, ours: SelfAttention, order: Tensor) -> None:
    """Copy attention layers; value i of our states is value ``order[i]`` of the plain ones."""
    for theirs, mine in zip(plain.layers, ours.layers, strict=True):
        mine.project_in.weight.copy_(theirs.qkv.weight[:, order])
        mine.project_in.bias.copy_(theirs.qkv.bias)
        mine.widen.weight.copy_(theirs.first.weight[:, order])
        mine.widen.bias.copy_(theirs.first.bias)
        for mine_out, out in (
            (mine.project_out, theirs.out),
            (mine.narrow, theirs.second),
            (mine.norm_attention, theirs.norm1),
            (mine.norm_feed_forward, theirs.norm2),
        ):
            mine_out.weight.copy_(out.weight[order])
            mine_out.bias.copy_(out.bias[order])


def copy_head(plain: nn.Module, linear: nn.Linear, ours: nn.Module, order: Tensor) -> None:
    """Copy the recurrent net and the outputs."""
    weights = dict(plain.state_dict())
    weights["weight_ih_l0"] = weights["weight_ih_l0"][:, order]
    ours.head.pool.net.load_state_dict(weights)
    ours.output.load_state_dict(linear.state_dict())


def compare(stage: int, sizes: Sizes, steps: int = 3) -> None:
    """Train both on equal weights and full-length utterances; print the losses."""
    plain, ours = plain_net(stage, sizes).eval(), emoflow_net(stage, sizes).eval()
    size = 2
    frames, counts = torch.full((size,), FRAMES), torch.full((size,), TOKENS)
    batch = Batch(torch.arange(size))
    features = torch.randn(size, 2, FRAMES, 128)
    if stage == 1:
        samples = torch.full((size,), (FRAMES - 1) * HOP)
        batch.waveforms, batch.samples = torch.randn(size, int(samples[0])) * 0.1, samples
        features = ours.speech.encoder.input(batch.waveforms, samples)[0]
        for mine, theirs in zip(
            ours.speech.encoder.convolutions, plain.tower.convolutions, strict=True
        ):
            mine.load_state_dict(theirs.state_dict())
        copy_layers(plain.tower.attention, ours.speech.attention, BY_FREQUENCY)
        copy_head(plain.gru, plain.linear, ours, BY_FREQUENCY)
    inputs = plain_batch(stage, features, frames, counts)
    with torch.no_grad():
        if stage == 2:
            batch.text_states = plain.tower.bert(inputs[0]).last_hidden_state
            batch.text_frames = counts
            copy_layers(plain.tower.attention, ours.text.attention, PLAIN_ORDER)
            copy_head(plain.gru, plain.linear, ours, PLAIN_ORDER)
        elif stage == 3:
            batch.speech_states, batch.speech_frames = plain.speech(*inputs[:2])[0], frames
            batch.text_states, batch.text_frames = plain.text(*inputs[2:4])[0], counts
            copy_layers(plain.attention, ours.attention, PLAIN_ORDER)
            copy_head(plain.lstm, plain.linear, ours, PLAIN_ORDER)
    batch.emotion = batch.arousal = inputs[-1]
    sides = plain_side(stage, plain), emoflow_side(stage, ours)
    print("equal weights, nothing padded, no dropout, float32:")
    for step in range(steps):
        a, b = sides[0].step(inputs), sides[1].step(batch)
        print(f"  step {step}: loss plain {a:.6f}, emoflow {b:.6f}, difference {abs(a - b):.1e}")


# ---- the measurement ----------------------------------------------------------------------


@torch.inference_mode()
def one_off(stage: int, net: nn.Module, utterances: Utterances, bf16: bool) -> float:
    """Return seconds per utterance to fill the store, batched by length."""
    started, count = time.perf_counter(), 0
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for waveforms, samples, tokens, counts in utterances.waveforms():
            net.text.frozen_part(tokens, counts)
            if stage == 3:
                net.speech.frozen_part(waveforms, samples)
            count += len(samples)
    return (time.perf_counter() - started) / count


def train_plain(pipe: Connection, stage: int, sizes: Sizes, bf16: bool) -> None:
    """Train the plain net in a process of its own, a batch whenever asked."""
    torch.manual_seed(0)
    batches = Utterances(stage, sizes).plain()
    side = plain_side(stage, plain_net(stage, sizes).train(), bf16)
    if stage > 1:  # frozen parts do not drop out
        (side.net.tower.bert if stage == 2 else side.net.speech).eval()
        if stage == 3:
            side.net.text.eval()
    while pipe.recv():
        side.train(batches)
        pipe.send((side.utterances, side.seconds))
        side.utterances, side.seconds = 0, 0.0


def measure_round(plain: Connection, ours: Side, utterances: Utterances) -> tuple[float, float]:
    """Train both, a batch of the plain side between every few of emoflow's; return the rates."""
    by_length = utterances.emoflow()
    answers = []
    for number in range(len(utterances.plan)):
        if number % BETWEEN == 0:
            plain.send(True)
            answers.append(plain.recv())
        ours.train(by_length)
    counts, seconds = np.array(answers).sum(axis=0)
    rate = ours.utterances / ours.seconds
    ours.utterances, ours.seconds = 0, 0.0
    return counts / seconds, rate


def main() -> None:
    """Compare, warm up, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", nargs="?", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--seconds", type=float, default=240, help="start no round after these")
    parser.add_argument("--quick", action="store_true", help="tiny nets, meaningless figures")
    options = parser.parse_args()
    stage, sizes = options.stage, QUICK if options.quick else Sizes()
    torch.set_flush_denormal(True)  # as `emoflow fit` does
    torch.manual_seed(0)
    compare(stage, sizes, 1 if options.quick else 3)

    bf16, utterances = options.precision == "bf16", Utterances(stage, sizes)
    plain, other_end = mp.Pipe()
    arguments = (other_end, stage, sizes, bf16)
    mp.get_context("spawn").Process(target=train_plain, args=arguments, daemon=True).start()
    ours = emoflow_side(stage, emoflow_net(stage, sizes).train(), bf16)
    measure_round(plain, ours, utterances)  # a warm-up
    started = time.perf_counter()
    measured: list[tuple[float, float]] = []
    rounds = 1 if options.quick else 3
    while len(measured) < rounds or time.perf_counter() - started < options.seconds:
        measured.append(measure_round(plain, ours, utterances))
    plain.send(False)

    rates = median(p for p, _ in measured), median(o for _, o in measured)
    each = sorted(o / p for p, o in measured)
    print(f"stage {stage}, {options.precision}, {torch.get_num_threads()} threads")
    print(f"plain:   {rates[0]:8.2f} utterances/s, median of {len(measured)} rounds")
    print(f"emoflow: {rates[1]:8.2f} utterances/s")
    print(f"ratio:   {rates[1] / rates[0]:8.2f} (rounds {each[0]:.2f} to {each[-1]:.2f})")
    if stage > 1:
        cost = one_off(stage, ours.net.eval(), utterances, bf16)
        spread = 1 / (1 / rates[1] + cost / EPOCHS)
        print(f"one-off: {1000 * cost:.1f} ms per utterance to fill the store")
        print(f"ratio over {EPOCHS} epochs, one-off included: {spread / rates[0]:.2f}")


if __name__ == "__main__":
    main()
