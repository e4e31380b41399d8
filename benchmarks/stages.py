"""Training throughput of each stage against the plain rendering of the published design.

    python benchmarks/stages.py 1
    python benchmarks/stages.py 1 --precision bf16
    python benchmarks/stages.py 2 --seconds 300
    python benchmarks/stages.py 3

Utterances per second, optimiser step included, on KEMDy20's length distribution. Both sides
take turns, a round each; the ratio is that of the median rates. First it trains both sides on
equal weights and full-length utterances, where they compute the same: their losses must agree.

- Plain (plain.py): batches of 16 in random order, padded to 512 frames and 64 tokens. It is
  GIVEN its log-mel features ready-made.
- emoflow: batches by length (16 utterances or 128 s, 4,096 tokens in stage 2) and, in stage 1,
  from waveforms: log-mel and masking are inside the time, as are padding and collating.
- What is frozen is stored: stage 2 reads BERT's states, stage 3 both towers'; random numbers
  of the right shapes stand in for the store. Filling it costs once what the line "one-off"
  says; the last line counts it in.
- Both run in the same precision (plain in bf16 too, with --precision bf16), with Adam.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
from emoflow.types import Batch, Needs

BATCH, SECONDS_PER_BATCH, TOKENS_PER_BATCH = 16, 128.0, 4096
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


@dataclass
class Side:
    """A net in training and its batches."""

    net: nn.Module
    loss: Callable[[nn.Module, object], Tensor]
    bf16: bool = False
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        learned = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(learned, lr=1e-4)

    def step(self, batch: object) -> float:
        """Train on one batch; return its loss."""
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.net, batch)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def round(self, batches: Iterator[tuple[object, int]]) -> None:
        """Train on some batches, made inside the time; note the rate."""
        started, utterances = time.perf_counter(), 0
        for batch, count in batches:
            self.step(batch)
            utterances += count
        self.rates.append(utterances / (time.perf_counter() - started))


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
        self.features = torch.randn(BATCH, 2, FRAMES, 128)
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

    def plain(self, batches: int = 1) -> Iterator[tuple[tuple[Tensor, ...], int]]:
        """Yield padded batches in random order, their features ready-made."""
        for _ in range(batches):
            rows = self.random.choice(len(self.frames), BATCH, replace=False)
            frames = torch.from_numpy(self.frames[rows]).clamp(max=FRAMES)
            yield plain_batch(self.stage, self.features, frames, self.tokens[rows]), BATCH

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
    sides = (
        Side(plain, lambda net, b: plain_loss(stage, net, b)),
        Side(ours, lambda net, b: emoflow_loss(stage, net, b)),
    )
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


def main() -> None:
    """Compare, warm up, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", nargs="?", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--seconds", type=float, default=240, help="start no round after these")
    parser.add_argument("--quick", action="store_true", help="tiny nets, meaningless figures")
    options = parser.parse_args()
    stage, sizes = options.stage, QUICK if options.quick else Sizes()
    torch.manual_seed(0)
    compare(stage, sizes, 1 if options.quick else 3)

    bf16, utterances = options.precision == "bf16", Utterances(stage, sizes)
    plain = Side(plain_net(stage, sizes).train(), lambda n, b: plain_loss(stage, n, b), bf16)
    ours = Side(emoflow_net(stage, sizes).train(), lambda n, b: emoflow_loss(stage, n, b), bf16)
    if stage > 1:  # frozen parts do not drop out
        (plain.net.tower.bert if stage == 2 else plain.net.speech).eval()
        if stage == 3:
            plain.net.text.eval()
    started = time.perf_counter()
    first = True
    while (
        first
        or len(plain.rates) < (1 if options.quick else 3)
        or time.perf_counter() - started < options.seconds
    ):
        turns = [
            lambda: plain.round(utterances.plain()),
            lambda: ours.round(utterances.emoflow()),
        ]
        for turn in turns if len(plain.rates) % 2 else reversed(turns):
            turn()
        if first:  # a warm-up
            plain.rates.clear()
            ours.rates.clear()
            started, first = time.perf_counter(), False

    rates = median(plain.rates), median(ours.rates)
    each = sorted(b / a for a, b in zip(plain.rates, ours.rates, strict=True))
    print(f"stage {stage}, {options.precision}, {torch.get_num_threads()} threads")
    print(f"plain:   {rates[0]:8.2f} utterances/s, median of {len(plain.rates)} rounds")
    print(f"emoflow: {rates[1]:8.2f} utterances/s")
    print(f"ratio:   {rates[1] / rates[0]:8.2f} (rounds {each[0]:.2f} to {each[-1]:.2f})")
    if stage > 1:
        cost = one_off(stage, ours.net.eval(), utterances, bf16)
        spread = 1 / (1 / rates[1] + cost / EPOCHS)
        print(f"one-off: {1000 * cost:.1f} ms per utterance to fill the store")
        print(f"ratio over {EPOCHS} epochs, one-off included: {spread / rates[0]:.2f}")


if __name__ == "__main__":
    main()
