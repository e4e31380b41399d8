"""What both kinds of pretrained encoders share: descriptions, weights, clear errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from emoflow.errors import ConfigError, WeightsError
from emoflow.nets.encoders import Encoder

__all__ = ["PretrainedEncoder", "read_architecture"]

_VOLATILE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")


def read_architecture(name: str) -> dict[str, Any]:
    """Return the description (``config.json``) of a hub name or a local folder, as plain data.

    Raises
    ------
    WeightsError
        If it is neither on this machine nor on the hub.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(name)
    except Exception as error:  # many kinds: offline, missing, refused, unknown class
        raise missing(name, "description", error) from error
    described = config.to_dict() | {"model_type": config.model_type}
    return {key: value for key, value in _json(described).items() if key not in _VOLATILE}


def build_model(architecture: Mapping[str, Any], where: str) -> Any:
    """Return the transformers model of a description, with random weights."""
    from transformers import AutoConfig, AutoModel

    values = dict(architecture)
    kind = values.pop("model_type", None)
    try:
        config = AutoConfig.for_model(kind, **values)
        return AutoModel.from_config(config)
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{where}: transformers cannot build an encoder of type {kind!r} ({error})",
            "use a model that transformers' AutoModel knows, or a newer transformers",
        ) from error


def missing(name: str, what: str, error: BaseException) -> WeightsError:
    """Return the error for weights or a description that could not be read."""
    said = (str(error).strip().splitlines() or ["no reason given"])[0]
    return WeightsError(
        f"the {what} of {name} could not be loaded ({type(error).__name__}: {said})",
        f"connect once and run `hf download {name}`, or give a local folder that holds its "
        "config.json and model.safetensors",
    )


class PretrainedEncoder(Encoder):
    """An encoder around a transformers model, ``self.model``."""

    model: nn.Module

    def __init__(self, name: str, *, frozen: bool, learning_rate_scale: float, ready: bool) -> None:
        if not ready:
            raise ConfigError(
                f"the description of {name} has not been read yet",
                "call config.resolve() before config.build(…)",
            )
        super().__init__()
        self.name = name
        self.frozen = frozen
        self.learning_rate_scale = None if frozen else learning_rate_scale

    def pretrained_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the transformers model's parameters."""
        return self.model.parameters()

    def load_weights(self, name: str | None = None) -> None:
        """Copy the weights of a hub name or a local folder; by default the config's.

        Raises
        ------
        WeightsError
            If they are neither on this machine nor on the hub, or do not fit.
        """
        from transformers import AutoModel

        name = name or self.name
        try:
            theirs = AutoModel.from_pretrained(name)
        except Exception as error:  # many kinds: offline, missing, refused, broken file
            raise missing(name, "weights", error) from error
        weights = self._weights_of(theirs)
        own = self.model.state_dict()
        wrong = sorted(
            key
            for key, value in own.items()
            if key not in weights or weights[key].shape != value.shape
        )
        if wrong:
            raise WeightsError(
                f"the weights of {name} do not fit: {len(wrong)} of {len(own)} differ or are "
                f"missing, the first is {wrong[0]}",
                "give the name or folder that the architecture was read from, or clear "
                "architecture so that it is read again",
            )
        self.model.load_state_dict({key: weights[key] for key in own})

    def _weights_of(self, model: Any) -> dict[str, Tensor]:
        """Return the part of a whole pretrained model that this encoder keeps."""
        weights: dict[str, Tensor] = model.state_dict()
        return weights


def _json(value: Any) -> Any:
    """Plain data with string keys only, as a checkpoint and YAML keep it."""
    if isinstance(value, Mapping):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_json(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
