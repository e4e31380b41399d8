"""A speech encoder without weights: one vector of statistics per utterance."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from emoflow.frontends.functionals import FunctionalsConfig, SpeechFunctionals
from emoflow.nets.encoders import Encoder, SpeechEncoderConfig
from emoflow.nets.states import States

__all__ = ["FunctionalsEncoder", "FunctionalsEncoderConfig"]


@dataclass(frozen=True)
class FunctionalsEncoderConfig(SpeechEncoderConfig):
    """Statistics of loudness, spectrum, voice and rhythm over the whole utterance."""

    functionals: FunctionalsConfig = field(default_factory=FunctionalsConfig)
    """The front end."""

    def build_encoder(self) -> FunctionalsEncoder:
        """Return the encoder; it has no weights."""
        return FunctionalsEncoder(self)


class FunctionalsEncoder(Encoder):
    """Waveforms to one state per utterance, its raw statistics.

    Nothing in it learns, so it is computed once per utterance and kept.
    """

    store_dtype = "float32"

    def __init__(self, config: FunctionalsEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.functionals = SpeechFunctionals(config.functionals)
        self.width = self.functionals.width

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the statistics, in the order of the state's values."""
        return self.functionals.names

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, sample), (batch,) → one state of ``width``; none without samples."""
        statistics = self.functionals(inputs, counts)
        return States(statistics[:, None], (counts > 0).long())
