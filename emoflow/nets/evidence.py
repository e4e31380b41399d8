"""A net for small corpora: what speech says and what the words say, added up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from emoflow.errors import ConfigError
from emoflow.nets.attention import AttentionConfig
from emoflow.nets.character_bag import CharacterBagConfig
from emoflow.nets.config import NetConfig
from emoflow.nets.functionals_encoder import FunctionalsEncoder, FunctionalsEncoderConfig
from emoflow.nets.reading import read
from emoflow.nets.standardise import Standardise
from emoflow.nets.states import States
from emoflow.nets.towers import SpeechTowerConfig, TextTowerConfig
from emoflow.types import Batch, Modality

__all__ = ["EvidenceNet", "EvidenceNetConfig"]


@dataclass(frozen=True)
class EvidenceNetConfig(NetConfig):
    """Statistics of speech and a bag of characters, each with a linear output.

    Only the outputs learn, so the fit is convex: it has one solution, which stochastic
    gradient descent reaches within seconds from a few hundred utterances.
    """

    speech: FunctionalsEncoderConfig = field(default_factory=FunctionalsEncoderConfig)
    """Waveforms to statistics."""
    text: CharacterBagConfig = field(default_factory=CharacterBagConfig)
    """Characters to a bag of n-grams."""
    clip: float = 4.0
    """Largest standardised statistic, in standard deviations."""
    voice_weight: float = 2.0
    """Weight of a statistic of pitch or voice quality; any other's is 1."""
    cosines: int = 2048
    """Random cosines that the statistics are expanded into (Rahimi and Recht 2007)."""
    bandwidth: float = 0.3
    """Of the Gaussian kernel exp(-bandwidth · d²) that the cosines stand for, with d² the
    weighted mean of the squared differences of two utterances' statistics."""
    text_gain: float = 0.4
    """Length of the n-gram vector beside the cosines', which is 1; a longer one learns faster
    and is held back less by weight decay."""
    drop_speech: float = 0.2
    """Share of the training utterances that lose their speech, if they have both."""
    drop_text: float = 0.3
    """Share of the training utterances that lose their text, if they have both."""
    seed: int = 0
    """Draws the cosines' directions, which checkpoints leave out."""

    def __post_init__(self) -> None:
        if self.cosines < 1 or min(self.clip, self.bandwidth) <= 0:
            raise ConfigError(
                f"EvidenceNet: cosines {self.cosines}, clip {self.clip}, bandwidth "
                f"{self.bandwidth} are not usable",
                "give positive numbers",
            )
        shares = (self.drop_speech, self.drop_text)
        if min(shares) < 0 or sum(shares) > 1:
            raise ConfigError(
                f"EvidenceNet: drop_speech {shares[0]} and drop_text {shares[1]} are not shares",
                "give numbers from 0 whose sum is at most 1",
            )

    def build(self, outputs: int) -> EvidenceNet:
        """Return the net; its outputs are 0 until it has learned."""
        return EvidenceNet(self, outputs)


class EvidenceNet(nn.Module):
    """``bias + speech evidence + text evidence``; ``net(batch)`` → (batch, output).

    An absent modality adds nothing. Before training, and before the first output,
    :meth:`fit_inputs` takes the statistics' means and deviations from the training batches;
    a checkpoint brings them along.
    """

    modalities: tuple[Modality, ...] = ("speech", "text")
    fits_on: tuple[Modality, ...] = ("speech",)
    """What :meth:`fit_inputs` looks at."""
    directions: Tensor
    phases: Tensor

    def __init__(self, config: EvidenceNetConfig, outputs: int) -> None:
        super().__init__()
        self.config = config
        as_they_are = AttentionConfig(layers=0)
        self.speech = SpeechTowerConfig(config.speech, as_they_are).build_tower()
        self.text = TextTowerConfig(config.text, as_they_are).build_tower()
        self.standard = Standardise(self.speech.width, "speech")
        assert isinstance(self.speech.encoder, FunctionalsEncoder)
        directions, phases = _draw(config, self.speech.encoder.names)
        self.register_buffer("directions", directions, persistent=False)
        self.register_buffer("phases", phases, persistent=False)
        self.speech_output = nn.Linear(config.cosines, outputs, bias=False)
        self.text_output = nn.Linear(self.text.width, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.zeros_(self.speech_output.weight)
        nn.init.zeros_(self.text_output.weight)

    def fit_inputs(self, batches: Iterable[Batch]) -> None:
        """Take mean and deviation of every statistic from training batches; only once.

        Parameters
        ----------
        batches
            The training utterances, with waveforms or with stored states. Only their speech
            is looked at. They are not read at all if the statistics are known already.

        Raises
        ------
        ConfigError
            If no utterance has speech.
        """
        self.standard.fit(self._statistics(batches))

    def _statistics(self, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.bias.device
        for batch in batches:
            states = read(self.speech, batch.to(device), "speech", skip_absent=True)
            if states is not None:
                yield states.values[:, 0], (states.counts > 0)[:, None]

    def forward(self, batch: Batch) -> Tensor:
        """Return raw outputs (batch, output): logits or values."""
        speech, text = read(self.speech, batch, "speech"), read(self.text, batch, "text")
        if speech is None and text is None:
            raise ConfigError(
                "the batch holds no speech and no text",
                "its corpus was asked for other modalities: set corpus.needs to the task's needs",
            )
        if self.training and speech is not None and text is not None:
            speech, text = self._drop(speech, text)
        outputs = self.bias.expand(len(batch), -1)
        if speech is not None:
            cosines = self._expand(speech.values[:, 0])
            outputs = outputs + self.speech_output(_present(cosines, speech))
        if text is not None:
            bag = self.config.text_gain * text.values[:, 0].to(self.bias.dtype)
            outputs = outputs + self.text_output(_present(bag, text))
        return outputs

    def _expand(self, statistics: Tensor) -> Tensor:
        """(batch, statistic) → (batch, cosine), of length 1 on average."""
        c = self.config
        with torch.autocast(statistics.device.type, enabled=False):
            away = self.standard(statistics)
            angle = away.clamp(-c.clip, c.clip) @ self.directions.float() + self.phases.float()
            cosines = torch.cos(angle) * math.sqrt(2 / c.cosines)
        return cosines.to(self.bias.dtype)

    def _drop(self, speech: States, text: States) -> tuple[States, States]:
        """Let some utterances that have both modalities lose one of them."""
        c = self.config
        draw = torch.rand(speech.counts.shape[0], device=speech.counts.device)
        both = (speech.counts > 0) & (text.counts > 0)
        lose_speech = both & (draw < c.drop_speech)
        lose_text = both & (draw >= 1 - c.drop_text) & ~lose_speech
        return (
            States(speech.values, speech.counts.masked_fill(lose_speech, 0)),
            States(text.values, text.counts.masked_fill(lose_text, 0)),
        )


def _present(vectors: Tensor, states: States) -> Tensor:
    """Put zeros in the place of what is absent."""
    return vectors.masked_fill((states.counts == 0)[:, None], 0.0)


def _draw(config: EvidenceNetConfig, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Directions (statistic, cosine) and phases (cosine,), the same for every equal config."""
    generator = torch.Generator().manual_seed(config.seed)
    weights = torch.tensor(
        [config.voice_weight if name.startswith("voice.") else 1.0 for name in names],
        dtype=torch.float32,
        device="cpu",
    )
    weights = weights / weights.norm() * math.sqrt(2 * config.bandwidth)
    shape = (len(names), config.cosines)
    with torch.device("cpu"):
        directions = torch.randn(shape, generator=generator, dtype=torch.float32)
        phases = torch.rand(config.cosines, generator=generator, dtype=torch.float32)
    return directions * weights[:, None], phases * 2 * math.pi
