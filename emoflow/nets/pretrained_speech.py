"""Pretrained speech encoders of transformers: wav2vec 2.0, HuBERT, WavLM, Whisper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends.augment_speech import SpeechAugment, SpeechAugmentation
from emoflow.frontends.logmel import LogMel, LogMelConfig
from emoflow.nets.encoders import SpeechEncoderConfig
from emoflow.nets.pretrained import PretrainedEncoder, build_model, read_architecture
from emoflow.nets.states import States
from emoflow.types import SAMPLE_RATE

__all__ = ["PretrainedSpeech", "PretrainedSpeechConfig"]

_WAVEFORM_KINDS = (
    "data2vec-audio", "hubert", "unispeech", "unispeech-sat", "wav2vec2", "wavlm",
)  # fmt: skip
_KINDS = (*_WAVEFORM_KINDS, "whisper")
_WHISPER_HOP = 160
_WHISPER_STRIDE = 320
_NORMALIZE = "emoflow_normalize"


@dataclass(frozen=True)
class PretrainedSpeechConfig(SpeechEncoderConfig):
    """A pretrained speech encoder by name or folder."""

    name: str = "facebook/wav2vec2-base"
    """Name on the Hugging Face hub, or a local folder, of a wav2vec 2.0, HuBERT, WavLM,
    UniSpeech, data2vec or Whisper model."""
    frozen: bool = True
    """Whether the encoder keeps its weights; its states are then computed once."""
    learning_rate_scale: float = 0.1
    """Learning rate of the encoder relative to the rest, where it is not frozen."""
    layers: int | None = None
    """Transformer layers that are kept, counted from the input; none keeps all."""
    seconds: float | None = None
    """Seconds of speech used; none uses all, or as much as Whisper's window holds."""
    augmentation: SpeechAugmentation = field(default_factory=SpeechAugmentation)
    """Random changes of the waveform while training."""
    architecture: dict[str, Any] | None = None
    """The encoder's description as plain data; read and filled in before the first fit."""

    @property
    def max_seconds(self) -> float | None:
        """Seconds of speech used."""
        described = self.architecture or {}
        if described.get("model_type") != "whisper":
            return self.seconds
        window = int(described["max_source_positions"]) * _WHISPER_STRIDE / SAMPLE_RATE
        return window if self.seconds is None else min(window, self.seconds)

    @property
    def ready(self) -> bool:
        """Whether the description is there."""
        return self.architecture is not None

    def resolve(self) -> Self:
        """Return the config with its description filled in."""
        if self.ready:
            return self
        described = read_architecture(self.name)
        _check_kind(self.name, described)
        described[_NORMALIZE] = _normalizes(self.name)
        return dataclasses.replace(self, architecture=described)

    def build_encoder(self) -> PretrainedSpeech:
        """Return the encoder, with random weights."""
        return PretrainedSpeech(self)


class PretrainedSpeech(PretrainedEncoder):
    """Waveforms to the last hidden states of a transformers model.

    An utterance's states are those it has alone, whatever it is padded with: models whose
    first convolution is normalised over time (``feat_extract_norm: group``) get their
    statistics from the real steps, and Whisper sees its window of 30 s filled with
    silence, as it was trained, of which the real steps are kept.
    """

    def __init__(self, config: PretrainedSpeechConfig) -> None:
        super().__init__(
            config.name,
            frozen=config.frozen,
            learning_rate_scale=config.learning_rate_scale,
            ready=config.ready,
        )
        assert config.architecture is not None
        self.config = config
        self.augment = SpeechAugment(config.augmentation)
        described = dict(config.architecture)
        _check_kind(config.name, described)
        self.normalize = bool(described.pop(_NORMALIZE, True))
        self.whisper = described["model_type"] == "whisper"
        if config.layers is not None:
            _keep_layers(described, config.layers, config.name)
        if self.whisper:
            self.model = _whisper_encoder(described)
            self.width = int(described["d_model"])
            self.window = int(described["max_source_positions"]) * _WHISPER_STRIDE
            self.logmel = LogMel(
                LogMelConfig(
                    n_fft=400,
                    hop=_WHISPER_HOP,
                    mels=int(described["num_mel_bins"]),
                    low_hz=0.0,
                    delta=False,
                    max_frames=None,
                )
            )
        else:
            # Random choices inside the model would differ between processes, and leave
            # parameters without a gradient.
            described |= {
                "layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0,
                "add_adapter": False,
            }  # fmt: skip
            model = build_model(described, f"PretrainedSpeech {config.name}")
            self.width = int(model.config.hidden_size)
            self.kernels = [int(k) for k in model.config.conv_kernel]
            self.strides = [int(s) for s in model.config.conv_stride]
            self.shortest = _receptive_field(self.kernels, self.strides)
            self.group_norm = _mask_group_norm(model)
            self.model = model
        if config.frozen:
            self.requires_grad_(False)

    def forward(self, inputs: Tensor, counts: Tensor) -> States:
        """(batch, sample), (batch,) → states of the model's hidden size, 20 ms apart."""
        inputs, counts = self.augment.on_waveforms(inputs, counts)
        index = torch.arange(inputs.shape[1], device=inputs.device)
        inputs = inputs.masked_fill(index >= counts[:, None], 0.0)
        return self._whisper(inputs, counts) if self.whisper else self._waveform(inputs, counts)

    def _waveform(self, inputs: Tensor, counts: Tensor) -> States:
        absent = counts == 0
        if inputs.shape[1] < self.shortest:
            inputs = F.pad(inputs, (0, self.shortest - inputs.shape[1]))
        counts = counts.clamp(min=self.shortest)
        index = torch.arange(inputs.shape[1], device=inputs.device)
        real = index < counts[:, None]
        if self.normalize:
            mean = inputs.sum(1, keepdim=True) / counts[:, None]
            inputs = (inputs - mean).masked_fill(~real, 0.0)
            variance = inputs.square().sum(1, keepdim=True) / counts[:, None]
            inputs = inputs / (variance + 1e-7).sqrt()
        if self.group_norm is not None:
            self.group_norm.counts = (counts - self.kernels[0]) // self.strides[0] + 1
        inputs = inputs.to(next(self.model.parameters()).dtype)
        hidden = self.model(inputs, attention_mask=real.long()).last_hidden_state
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            counts = (counts - kernel) // stride + 1
        return States(hidden, counts.masked_fill(absent, 0))

    def _whisper(self, inputs: Tensor, counts: Tensor) -> States:
        inputs = F.pad(inputs, (0, self.window - inputs.shape[1]))  # negative padding cuts
        features = self._whisper_features(inputs).to(next(self.model.parameters()).dtype)
        hidden = self.model(features).last_hidden_state
        counts = counts.clamp(max=self.window)
        steps = torch.div(counts + _WHISPER_STRIDE - 1, _WHISPER_STRIDE, rounding_mode="floor")
        if inputs.device.type == "cpu" and not torch.compiler.is_compiling():
            hidden = hidden[:, : max(int(steps.max()), 1)]
        return States(hidden, steps)

    def _whisper_features(self, waveforms: Tensor) -> Tensor:
        """(batch, sample) → (batch, mel, frame), as Whisper was trained."""
        with torch.autocast(waveforms.device.type, enabled=False):
            power = self.logmel.mel_power(waveforms.float(), mode="reflect")[:, :-1]
            level = power.clamp(min=1e-10).log10()
            level = torch.maximum(level, level.amax((1, 2), keepdim=True) - 8.0)
            return ((level + 4.0) / 4.0).transpose(1, 2)

    def _weights_of(self, model: Any) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = model.state_dict()
        if not self.whisper:
            return weights
        prefix = "encoder."
        return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


class MaskedGroupNorm(nn.GroupNorm):
    """One group per channel, its mean and variance over the real steps only."""

    counts: Tensor | None = None
    """(batch,) real steps of the next input."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, channel, step) → the same shape."""
        if self.counts is None:
            return super().forward(input)
        real = torch.arange(input.shape[2], device=input.device) < self.counts[:, None]
        real = real[:, None]
        number = self.counts[:, None, None]
        values = input.float()
        mean = values.masked_fill(~real, 0.0).sum(2, keepdim=True) / number
        centred = values - mean
        variance = centred.masked_fill(~real, 0.0).square().sum(2, keepdim=True) / number
        normed = centred * (variance + self.eps).rsqrt()
        return (normed * self.weight[:, None] + self.bias[:, None]).to(input.dtype)


def _mask_group_norm(model: Any) -> MaskedGroupNorm | None:
    """Replace the norm over time of the first convolution, if the model has one."""
    first = model.feature_extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if not isinstance(norm, nn.GroupNorm):
        return None
    masked = MaskedGroupNorm(norm.num_groups, norm.num_channels, norm.eps)
    masked.load_state_dict(norm.state_dict())
    first.layer_norm = masked
    return masked


def _whisper_encoder(described: dict[str, Any]) -> nn.Module:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    values = {k: v for k, v in described.items() if k != "model_type"}
    encoder: nn.Module = WhisperEncoder(WhisperConfig(**values | {"encoder_layerdrop": 0.0}))
    return encoder


def _check_kind(name: str, described: dict[str, Any]) -> None:
    kind = described.get("model_type")
    if kind not in _KINDS:
        raise ConfigError(
            f"{name} is a {kind!r} model, which is no speech encoder that emoflow reads",
            "choose one of " + ", ".join(_KINDS),
        )


def _keep_layers(described: dict[str, Any], layers: int, name: str) -> None:
    key = "encoder_layers" if described["model_type"] == "whisper" else "num_hidden_layers"
    if not 1 <= layers <= int(described[key]):
        raise ConfigError(
            f"{name} has {described[key]} layers; layers is {layers}",
            f"give a number from 1 to {described[key]}, or null for all",
        )
    described[key] = layers


def _receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Return the samples that one step of the convolutions needs."""
    samples = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


def _normalizes(name: str) -> bool:
    """Whether the model was trained on waveforms of zero mean and unit variance."""
    from transformers import FeatureExtractionMixin

    try:
        described, _ = FeatureExtractionMixin.get_feature_extractor_dict(name)
    except (OSError, ValueError):  # a folder with weights only
        return True
    return bool(described.get("do_normalize", True))
