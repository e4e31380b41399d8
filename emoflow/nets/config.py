"""Configs of nets: frozen dataclasses that YAML, the command line and checkpoints share."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import nn

from emoflow.errors import ConfigError
from emoflow.types import Modality, SignalFrontEnd, Tokenizer

__all__ = ["NetConfig"]

_PUBLIC = "emoflow.nets"


@dataclass(frozen=True)
class NetConfig:
    """Base of every config of a net or of a part of one.

    A config holds plain values, plain dataclasses and other configs; it is the only input
    of what it builds. Nothing is read or downloaded before :meth:`resolve` is called.
    """

    # ---- plain data -----------------------------------------------------------------

    def to_plain(self) -> dict[str, Any]:
        """Return ``{"class_path": …, "init_args": {…}}``, plain data all the way down."""
        cls = type(self)
        public = getattr(importlib.import_module(_PUBLIC), cls.__name__, None)
        module = _PUBLIC if public is cls else cls.__module__
        values = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"class_path": f"{module}.{cls.__qualname__}", "init_args": values}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | NetConfig) -> NetConfig:
        """Return the config that :meth:`to_plain` described; a config is returned as it is.

        Raises
        ------
        ConfigError
            If the class does not exist or is not a config, or a field is unknown; it names
            them.
        """
        if not isinstance(plain, NetConfig):
            plain = _build(plain, cls)
        if not isinstance(plain, cls):
            raise ConfigError(
                f"{type(plain).__name__} is not a {cls.__name__}",
                f"give the class_path of a {cls.__name__}",
            )
        return plain

    @classmethod
    def complete(cls, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``plain`` with every field it leaves out, taken from its own class.

        A parser that merges a config over the default of another class would else keep that
        class's values for fields of the same name. Values are not looked at.
        """
        return _complete(plain, cls)

    def children(self) -> Iterator[NetConfig]:
        """Yield the configs directly inside this one."""
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, NetConfig):
                yield value

    # ---- what a task and a corpus ask -----------------------------------------------

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Modalities that the net reads, in their fixed order."""
        found = {m for child in self.children() for m in child.modalities}
        return tuple(m for m in typing.get_args(Modality) if m in found)

    @property
    def max_seconds(self) -> float | None:
        """Seconds of speech that the net uses; ``None`` means all."""
        limits = [child.max_seconds for child in self.children()]
        return min((s for s in limits if s is not None), default=None)

    @property
    def max_tokens(self) -> int:
        """Tokens of text that the net uses, special tokens included."""
        limits = [c.max_tokens for c in self.children() if "text" in c.modalities]
        return min(limits, default=64)

    def tokenizer(self) -> Tokenizer | None:
        """Return the tokenizer of the text encoder; it may read a file or ask the hub."""
        found = (child.tokenizer() for child in self.children())
        return next((tokenizer for tokenizer in found if tokenizer is not None), None)

    def front_end(self) -> SignalFrontEnd | None:
        """Return what makes numbers of biosignals; ``None`` for a net that reads none."""
        found = (child.front_end() for child in self.children())
        return next((front_end for front_end in found if front_end is not None), None)

    def only(self, modalities: Collection[str]) -> Self:
        """Return the config of the same net with only ``modalities``.

        Raises
        ------
        ConfigError
            If the net cannot do without the others.
        """
        if set(modalities) == set(self.modalities):
            return self
        raise ConfigError(
            f"{type(self).__name__} always reads {' and '.join(self.modalities)}",
            "choose MergedNetConfig, whose modalities can be left out one by one",
        )

    # ---- building -------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the net can be built without reading anything first."""
        return all(child.ready for child in self.children())

    def resolve(self) -> Self:
        """Return a ready config: descriptions of pretrained encoders are read now.

        Raises
        ------
        WeightsError
            If a pretrained encoder is neither on this machine nor on the hub.
        """
        if self.ready:
            return self
        changed = {
            f.name: value.resolve()
            for f in dataclasses.fields(self)
            if isinstance(value := getattr(self, f.name), NetConfig)
        }
        return dataclasses.replace(self, **changed)

    def build(self, outputs: int) -> nn.Module:
        """Return the net, with random weights.

        Parameters
        ----------
        outputs
            Numbers per utterance: classes, or 1 for a regressor.
        """
        raise ConfigError(
            f"{type(self).__name__} describes a part of a net, not a net",
            "put it into SpeechNetConfig, TextNetConfig or MergedNetConfig",
        )

    @staticmethod
    def load_pretrained(net: nn.Module) -> None:
        """Read the weights of every pretrained encoder in ``net``.

        Raises
        ------
        WeightsError
            If they are neither on this machine nor on the hub.
        """
        for module in list(net.modules()):
            load = getattr(module, "load_weights", None)
            if callable(load):
                load()


def _plain(value: Any) -> Any:
    if isinstance(value, NetConfig):
        return value.to_plain()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _complete(given: Mapping[str, Any], base: type[NetConfig]) -> dict[str, Any]:
    chosen = "class_path" in given
    cls = _find(str(given["class_path"])) if chosen else base
    values = dict(given.get("init_args") or {}) if chosen else dict(given)
    for f in dataclasses.fields(cls):
        if f.default is not dataclasses.MISSING:
            default = _plain(f.default)
        elif f.default_factory is not dataclasses.MISSING:
            default = _plain(f.default_factory())
        else:
            continue
        values[f.name] = _over(default, values[f.name]) if f.name in values else default
    path = given["class_path"] if chosen else f"{cls.__module__}.{cls.__qualname__}"
    return {"class_path": path, "init_args": values}


def _over(default: Any, value: Any) -> Any:
    """Lay a field's value over its default, mapping by mapping."""
    if not (isinstance(default, Mapping) and isinstance(value, Mapping)):
        return value
    if "class_path" not in default:
        return {**default, **value}
    own = _find(str(default["class_path"]))
    if "class_path" in value and _find(str(value["class_path"])) is not own:
        return _complete(value, own)
    inner = dict(value.get("init_args") or {}) if "class_path" in value else dict(value)
    laid = {
        name: _over(old, inner[name]) if name in inner else old
        for name, old in default["init_args"].items()
    }
    return {"class_path": default["class_path"], "init_args": {**inner, **laid}}


def _build(plain: Mapping[str, Any], base: type[NetConfig]) -> NetConfig:
    path = plain.get("class_path")
    if path is None:
        cls, values = base, dict(plain)
    else:
        cls, values = _find(str(path)), dict(plain.get("init_args") or {})
        unknown = sorted(set(plain) - {"class_path", "init_args"})
        if unknown:
            raise ConfigError(
                f"a config of {path} has {', '.join(unknown)} beside class_path and init_args",
                "move them into init_args",
            )
    built = _construct(cls, values)
    assert isinstance(built, NetConfig)
    return built


def _find(path: str) -> type[NetConfig]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module or _PUBLIC), name)
    except (ImportError, AttributeError):
        found = None
    if not (isinstance(found, type) and issubclass(found, NetConfig)):
        raise ConfigError(
            f"there is no net config {path!r}",
            f"name a NetConfig by its full path, such as {_PUBLIC}.SpeechNetConfig",
        )
    return found


def _construct(cls: type[Any], values: Mapping[str, Any]) -> Any:
    names = [f.name for f in dataclasses.fields(cls)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ConfigError(
            f"{cls.__name__} has no field {', '.join(unknown)}",
            "its fields are " + ", ".join(names) if names else "it has no fields",
        )
    hints = typing.get_type_hints(cls)
    return cls(**{name: _restore(value, hints[name]) for name, value in values.items()})


def _restore(value: Any, hint: Any) -> Any:
    """Turn plain data into what the field's type asks for."""
    kinds = [hint, *typing.get_args(hint)]
    if isinstance(value, Mapping):
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, NetConfig):
                return _build(value, kind)
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                return _construct(kind, value)
    if isinstance(value, list) and any(typing.get_origin(kind) is tuple for kind in kinds):
        return tuple(value)
    return value
