"""Configs parsed into what one stage of a run is made of."""

from __future__ import annotations

import importlib
import json
import re
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from contextvars import Context
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emoflow.commands.config_files import merge, read_config
from emoflow.errors import ConfigError

if TYPE_CHECKING:
    from emoflow.nets import NetConfig

__all__ = ["Logging", "Stage", "read_stages", "stage_parser"]

_PARSED: dict[str, Any] = {}
_MOST_PARSED = 64


@dataclass(frozen=True)
class Logging:
    """Where metrics go, besides the run folder's own history.csv."""

    kind: Literal["csv", "wandb", "tensorboard"] = "csv"
    """csv is history.csv alone; wandb goes offline by itself when nobody is logged in."""
    project: str = "emoflow"
    """W&B project."""
    entity: str | None = None
    """W&B user or team; none is your default one."""
    tags: list[str] = field(default_factory=list)
    """W&B tags."""


@dataclass
class Stage:
    """One stage of a run: a parsed config, and how to make its parts."""

    name: str
    config: Any
    """Namespace of jsonargparse, left as it is from here on; :meth:`plain` gives its content."""
    parser: Any
    net: NetConfig | None = None
    """The task's net instead of the one in the config."""

    @cached_property
    def _dumped(self) -> dict[str, Any]:
        text = self.parser.dump(
            self.config, format="json", skip_unset=False, skip_validation=True
        )  # reading YAML takes as long as all the rest
        return dict(json.loads(text))

    def plain(self) -> dict[str, Any]:
        """Return the whole config as plain data."""
        content = deepcopy(self._dumped)
        if self.net is not None:
            content["task"]["init_args"]["net"] = self.net.to_plain()
        return content


@cache
def stage_parser() -> Any:
    """Return the parser of one stage's options, the same one every time."""
    import lightning as L
    from jsonargparse import ArgumentParser, set_parsing_settings

    from emoflow import corpora, tasks  # noqa: F401 - short class names are found among them
    from emoflow.corpora.base import Corpus
    from emoflow.nets import NetConfig
    from emoflow.tasks import Task

    set_parsing_settings(subclasses_enabled=[NetConfig], docstring_parse_attribute_docstrings=True)
    for name in corpora.__all__:
        getattr(corpora, name)
    parser = ArgumentParser(prog="emoflow fit", exit_on_error=False)
    add = parser.add_argument
    add("--experiment", type=str, default="experiment", help="First folder below --folder.")
    add("--run", type=str | None, default=None, help="Second folder; the time by default.")
    add("--folder", type=str, default="runs", help="Where runs are kept.")
    add("--seed", type=int, default=0, help="Seed of weights, order and augmentation.")
    add(
        "--monitor",
        type=str | None,
        default=None,
        help="Metric that selects the best epoch, such as val/uar; the task's own by default.",
    )
    add(
        "--patience",
        type=int | None,
        default=8,
        help="Epochs without a better --monitor before training stops; null never stops early.",
    )
    add(
        "--warm_start",
        type=dict[str, str],
        default={},
        help="Modality to the run folder or "
        "checkpoint whose tower it starts from, such as {speech: runs/kemdy20-arousal/A}.",
    )
    add("--freeze", type=bool, default=True, help="Keep warm-started towers as they are.")
    add(
        "--views",
        type=int,
        default=1,
        help="Stored views per utterance of what is frozen: 1 is no augmentation of its input.",
    )
    add(
        "--average_weights",
        type=float,
        default=0.0,
        help="Decay per step of an exponential "
        "moving average of the weights, which is what is validated, kept and tested; 0 is off.",
    )
    add("--compile", type=bool, default=False, help="Compile the net with torch.compile.")
    parser.add_class_arguments(Logging, "logger", help="Where metrics go.")
    parser.add_subclass_arguments(Task, "task", help="What is learned.")
    parser.add_subclass_arguments(Corpus, "data", help="What it is learned from.")
    parser.add_class_arguments(
        L.Trainer,
        "trainer",
        skip={
            "logger",
            "callbacks",
            "plugins",
            "default_root_dir",
            "enable_checkpointing",
            "profiler",
            "use_distributed_sampler",
            "num_sanity_val_steps",
            "reload_dataloaders_every_n_epochs",
        },
        instantiate=False,
        help="Lightning's own options.",
    )
    parser.set_defaults({"trainer.max_epochs": 100, "trainer.deterministic": "warn"})
    return parser


def read_stages(
    config: Mapping[str, Any] | str, overrides: Sequence[str] = ()
) -> tuple[dict[str, Any], list[Stage]]:
    """Parse a config into its stages, one for a config without any.

    An override ``--key value`` goes to every stage that has the key, ``--STAGE.key value``
    to that stage alone.

    Returns
    -------
    tuple
        ``{"experiment", "run", "folder"}``, and the stages in their order.

    Raises
    ------
    ConfigError
        For a key or value that no stage takes.
    """
    content = dict(read_config(config) if isinstance(config, str) else config)
    shared = {k: v for k, v in content.items() if k != "stages"}
    default = Path(config).stem if isinstance(config, str) else "experiment"
    pairs = _pairs(overrides)
    top: dict[str, Any] = {
        "experiment": shared.get("experiment", default),
        "run": shared.get("run"),
        "folder": shared.get("folder", "runs"),
    }
    top |= {key: value for key, value in pairs if key in top}
    pairs = [(k, v) for k, v in pairs if k not in top]
    if "stages" in content:
        named = {}
        for name, stage in content["stages"].items():
            own = dict(read_config(stage)) if isinstance(stage, str) else dict(stage)
            if "config" in own:
                own = merge(read_config(own.pop("config")), own)
            named[name] = merge({k: v for k, v in shared.items() if k not in top}, own)
    else:
        named = {"": shared}
    parser = stage_parser()
    stages = []
    reasons: dict[str, list[str]] = {}
    for name, plain in named.items():
        plain = {k: v for k, v in plain.items() if k not in ("run", "folder")}
        plain["experiment"] = top["experiment"]
        for_it = [(k.removeprefix(f"{name}."), v) for k, v in pairs if k.startswith(f"{name}.")]
        general = [(k, v) for k, v in pairs if k.partition(".")[0] not in named]
        try:
            parsed = _parse(parser, plain, [*general, *for_it])
        except ConfigError:
            taken, problems = _applicable(parser, plain, general)
            for key, problem in problems.items():
                reasons.setdefault(key, []).append(problem)
            parsed = _parse(parser, plain, [*taken, *for_it])
        stages.append(Stage(name, parsed, parser))
    for key, problems_of in reasons.items():
        if len(problems_of) == len(named):
            problem = problems_of[0].removeprefix(f"{key.replace('init_args.', '')}: ")
            raise ConfigError(f"--{key}: {problem}", "emoflow fit --help lists the options")
    return top, stages


def _applicable(
    parser: Any, plain: Mapping[str, Any], pairs: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return the overrides that a stage takes, and why it does not take the others."""
    try:
        _parse(parser, plain, pairs)
    except ConfigError:
        _parse(parser, plain, [])  # the config itself is sound, so an override is at fault
    else:
        return list(pairs), {}
    taken: list[tuple[str, str]] = []
    problems: dict[str, str] = {}
    for pair in pairs:
        try:
            _parse(parser, plain, [*taken, pair])
        except ConfigError as error:
            problems[pair[0]] = error.what
        else:
            taken.append(pair)
    return taken, problems


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Split ``--key value`` and ``--key=value`` words."""
    pairs: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigError(f"unexpected word {word!r}", "options are --key value")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"--{key} has no value", f"write --{key} VALUE")
            value = rest.pop(0)
        pairs.append((key, value))
    return pairs


def _parse(parser: Any, plain: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> Any:
    """Parse a stage's config with overrides laid over it."""
    from emoflow.nets import NetConfig

    content = dict(plain)
    for key, value in pairs:
        content = merge(content, _nested(content, key.split("."), value))
    task = content.get("task")
    arguments = task.get("init_args") if isinstance(task, Mapping) else None
    if isinstance(arguments, Mapping) and "class_path" in (arguments.get("net") or {}):
        net = NetConfig.complete(arguments["net"])
        content = {**content, "task": {**content["task"], "init_args": {**arguments, "net": net}}}
    key = repr(content)  # parsing takes seconds, and some configs are met again and again
    try:
        if key not in _PARSED:
            if len(_PARSED) >= _MOST_PARSED:
                _PARSED.clear()
            # In a context of its own: another parser of the process, once used, leaves variables
            # of jsonargparse behind that would drop defaults here.
            _PARSED[key] = Context().run(_with_defaults, parser, content)
        return _PARSED[key].clone()
    except (ArgumentError, TypeError, ValueError, KeyError) as error:
        raise ConfigError(_reason(error), "emoflow fit --help lists the options") from error


def _with_defaults(parser: Any, content: Mapping[str, Any]) -> Any:
    """Parse, then fill in what the task and the corpus leave out.

    The parser's own ``defaults=True`` goes through a nested config once more per level and takes
    ten times as long.
    """
    parsed = parser.parse_object(content, namespace=_own_defaults().clone(), defaults=False)
    for part in ("task", "data"):
        _fill_in(parsed.get(part))
    for corpus in parsed.get("data.init_args.corpora") or []:
        _fill_in(corpus)
    return parsed


def _fill_in(chosen: Any) -> None:
    """Give a chosen class's ``init_args`` the defaults of its constructor."""
    if chosen is not None:
        given = chosen.get("init_args")
        chosen.init_args = _laid_over(_class_defaults(chosen.class_path).clone(), given)


@cache
def _own_defaults() -> Any:
    """Return the defaults of a stage's options outside its task and corpus."""
    return stage_parser().get_defaults()


@cache
def _class_defaults(class_path: str) -> Any:
    """Return what a task or corpus takes for the arguments that are not given."""
    from jsonargparse import ArgumentParser

    module, _, name = class_path.rpartition(".")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(getattr(importlib.import_module(module), name))
    return parser.get_defaults(skip_validation=True)


def _laid_over(defaults: Any, given: Any) -> Any:
    """Return a namespace with another laid over it, namespace by namespace."""
    for key, value in ({} if given is None else vars(given)).items():
        old = defaults.get(key)
        both = isinstance(old, type(defaults)) and isinstance(value, type(defaults))
        defaults[key] = _laid_over(old, value) if both and "class_path" not in old else value
    return defaults


def _reason(error: Exception) -> str:
    """Return what jsonargparse says of the innermost value that it could not take."""
    text = " ".join(str(error).split())
    text, _, given = text.partition(" Given value type: ")
    place = ".".join(re.findall(r'Parser key "([^"]+)":', text))
    around = r"""Errors: - |Parser key "[^"]+": |Problem with given class_path '[^']+': """
    wanted = re.split(around, text)[-1].split(" - ")
    reason = " or ".join(one for one in wanted if "NoneType" not in one)
    reason = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", reason)
    reason = re.sub(r"^Expected an? ", "expected ", reason).replace(" or Expected a ", " or ")
    reason = reason.replace("typing.Literal[", "one of [").replace(". Got value: ", ", got ")
    reason = re.sub(r"^expected dot import path string: ", "there is no class ", reason)
    value = re.sub(r"^.*?Given value: ", "", given).split(" - ")[0]
    if reason.startswith("expected") and ", got " not in reason and value:
        reason += f", got {value}"
    return f"{place}: {reason}" if place else reason


def _nested(content: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Return ``{path: value}`` as mappings, with ``init_args`` where a class has been chosen."""
    here = content if isinstance(content, Mapping) else {}
    head, *rest = path
    if "class_path" in here and head not in ("class_path", "init_args", "dict_kwargs"):
        return {"init_args": _nested(here.get("init_args"), path, value)}
    return {head: _nested(here.get(head), rest, value) if rest else value}
