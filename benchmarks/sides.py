"""Both sides of stages.py: the plain nets and emoflow's, each with a loss and an optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from plain import WIDTH, PlainMerged, PlainRegressor, PlainSpeechTower, PlainTextTower
from torch import Tensor, nn
from torch.nn import functional

from emoflow.nets import (
    AttentionConfig,
    FrequencyConvConfig,
    HeadConfig,
    MergedNetConfig,
    PretrainedTextConfig,
    SpeechNetConfig,
    SpeechTowerConfig,
    TextNetConfig,
    TextTowerConfig,
)
from emoflow.tasks.optimisation import Optimisation
from emoflow.types import Batch

RATE_OF_LEARNING = 1e-4


@dataclass
class Sizes:
    """How much is computed."""

    layers: tuple[int, int, int] = (7, 5, 6)  # speech, text in stage 2, text in stage 3
    bert: int = 12
    utterances: int = 13_462
    batches: int = 12  # of emoflow's in a round


QUICK = Sizes((1, 1, 1), 1, 640, 2)


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
