from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser

from emoflow.cli import main
from emoflow.commands.config_files import find_config, shipped_configs
from emoflow.commands.experiment import read_stages
from emoflow.errors import ConfigError, EmoflowError

CONFIGS = sorted(path.name for path in shipped_configs().glob("*.yaml"))
SYSTEM_A, SYSTEM_C = ("demo", "kemdy20", "kemdy20-paper"), ("kemdy19", "kemdy19-paper")
STAGES = {name: ["arousal", "valence", "emotion"] for name in SYSTEM_A}
STAGES |= {name: ["speech", "text", "signals", "emotion"] for name in SYSTEM_C}
STAGES |= {"demo-signals": ["arousal", "valence", "signals", "emotion"]}


@cache
def plain(config: str) -> dict[str, dict[str, Any]]:
    return {stage.name: stage.plain() for stage in read_stages(config)[1]}


def tiny(stages: bool = True) -> dict[str, Any]:
    """Two regressors; parsed in well under a second."""
    content: dict[str, Any] = {
        "data": {"class_path": "KEMDy20", "init_args": {"root": "a"}},
    }
    tasks = {
        "arousal": {"task": {"class_path": "ArousalRegressor"}},
        "valence": {"task": {"class_path": "ValenceRegressor"}},
    }
    return content | ({"stages": tasks} if stages else tasks["arousal"])


def test_the_promised_configs_are_shipped() -> None:
    promised = ["demo", "emotiontts", "kemdy20", "kemdy20-arousal", "kemdy20-emotion"]
    promised += ["kemdy20-paper", "kemdy20-valence", "manifest", "ravdess"]
    assert {f"{name}.yaml" for name in promised} <= set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_config_parses(name: str) -> None:
    stages = plain(name)
    assert list(stages) == STAGES.get(Path(name).stem, [""])
    assert {one["experiment"] for one in stages.values()} == {Path(name).stem}


def test_configs_are_found_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config("demo") == find_config("demo.yaml") == shipped_configs() / "demo.yaml"
    (tmp_path / "demo.yaml").write_text("{}")
    assert find_config("demo.yaml") == Path("demo.yaml")  # one's own comes first
    with pytest.raises(
        ConfigError, match=r"no config 'nothing'\n.*shipped ones: .*demo\.yaml, dialogue"
    ):
        find_config("nothing")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a: [", "not readable as YAML"), (b"- a", "not a mapping"), (b"\xff\xfe\xff", "readable")],
)
def test_broken_configs_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"bad\.yaml: .*{said}"):
        read_stages(str(tmp_path / "bad.yaml"))


def test_a_nets_fields_come_from_its_own_class() -> None:
    encoder = plain("ravdess.yaml")[""]["task"]["init_args"]["net"]["init_args"]["encoder"]
    assert encoder["class_path"].endswith("CompactSpeechConfig")
    assert encoder["init_args"]["logmel"]["mels"] == 64  # FrequencyConv's are 128
    assert encoder["init_args"]["logmel"]["delta"] is False
    published = plain("kemdy20-arousal.yaml")[""]["task"]["init_args"]["net"]["init_args"]
    assert published["encoder"]["init_args"]["logmel"]["mels"] == 128


def test_the_stages_of_a_job_share_one_protocol() -> None:
    for name in STAGES:
        stages = plain(f"{name}.yaml")
        assert len({str(one["data"]["init_args"]["protocol"]) for one in stages.values()}) == 1
        *before, last = stages
        assert list(stages[last]["warm_start"].values()) == before


def test_the_published_variant_keeps_its_choices() -> None:
    stages = plain("kemdy20-paper.yaml")
    nets = {name: one["task"]["init_args"]["net"]["init_args"] for name, one in stages.items()}
    protocol = stages["emotion"]["data"]["init_args"]["protocol"]
    assert (protocol["name"], protocol["on_overlap"]) == ("random", "warn")
    encoder = nets["arousal"]["encoder"]["init_args"]
    assert encoder["augmentation"]["mask_mels"] == [8, 27]
    assert encoder["scale"] is False
    layers = [nets[name]["attention"]["init_args"]["layers"] for name in ("arousal", "valence")]
    assert layers == [7, 6]
    assert {one["task"]["init_args"]["optimisation"]["optimiser"] for one in stages.values()} == {
        "adam"
    }
    augmented = {name: one["data"]["init_args"]["augment_labels"] for name, one in stages.items()}
    assert augmented["arousal"] is augmented["valence"] is None
    assert augmented["emotion"] == dict.fromkeys(("sad", "happy", "surprise", "angry"), 250)


# ---- overrides ----------------------------------------------------------------------------


def test_an_override_reaches_every_stage_that_has_it_and_a_prefixed_one_just_one() -> None:
    words = ["--data.root", "b", "--seed=3", "--data.protocol.fold", "2"]
    words += ["--task.net.encoder.tokens", "9", "--experiment", "mine"]
    words += ["--arousal.task.optimisation.learning_rate", "0.5", "--valence.trainer.max_epochs=4"]
    top, stages = read_stages(tiny(), words)
    arousal, valence = (stage.config for stage in stages)
    assert top["experiment"] == arousal.experiment == "mine"
    for config in (arousal, valence):
        assert (config.data.init_args.root, config.seed) == ("b", 3)
        assert config.data.init_args.protocol.fold == 2
    assert valence.task.init_args.net.init_args.encoder.init_args.tokens == 9
    assert "tokens" not in arousal.task.init_args.net.init_args.encoder.init_args
    assert arousal.task.init_args.optimisation.learning_rate == 0.5
    assert valence.task.init_args.optimisation.learning_rate == 1e-3
    assert (arousal.trainer.max_epochs, valence.trainer.max_epochs) == (100, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.rot", "x"], r"--data\.rot: .*Option 'rot' is not accepted\n"),
        (["--seed", "x"], r"--seed: expected int, got x\n"),
        (["--trainer.max_epochs", "x"], r"--trainer\.max_epochs: expected int, got x\n"),
        (["--data.protocol.name", "odd"], r"--data\.protocol\.name: expected one of .*, got odd\n"),
        (["--task.net.attention.layers", "x"], r"attention\.layers: expected int, got x\n"),
        (["--task.class_path", "Odd"], r"--task\.class_path: .*there is no class Odd\n"),
        (["--seed"], r"--seed has no value\n.*write --seed VALUE"),
        (["--seed", "--run"], r"--seed has no value"),
        (["seed", "3"], r"unexpected word 'seed'\n.*--key value"),
        (["--arousal.patience", "x"], r"patience"),
    ],
)
def test_bad_overrides_are_named(words: list[str], said: str) -> None:
    content = tiny()
    content["stages"].pop("valence")
    with pytest.raises(ConfigError, match=said):
        read_stages(content, words)


def test_another_parser_of_the_process_changes_nothing() -> None:
    before = [stage.plain() for stage in read_stages(tiny())[1]]
    ArgumentParser(exit_on_error=False).parse_args([])
    assert [stage.plain() for stage in read_stages(tiny())[1]] == before


# ---- the command line ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "nothing"], "no config 'nothing'"),
        (["--config"], "--config has no value"),
        (["--seed", "1"], "give either --config or --resume"),
        (["--config", "demo", "--resume", "x"], "give either --config or --resume"),
        (["--resume", "x"], "x: not a run folder, config.yaml is missing"),
        (["--resume", "x", "--seed", "1"], "--resume takes no other options, there is --seed"),
    ],
)
def test_what_fit_cannot_do_is_said(words: list[str], said: str, capsys: Any) -> None:
    assert main(["fit", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("emoflow fit: ")
    assert said in error
    assert "\n  → " in error


@pytest.mark.parametrize("stages", [True, False])
def test_a_printed_config_parses_back_to_itself(stages: bool, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tiny(stages)))
    assert main(["fit", "--config", str(path), "--seed", "5", "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    top, before = read_stages(str(path), ["--seed", "5"])
    again, after = read_stages(printed)
    assert again == top
    assert [one.plain() for one in after] == [one.plain() for one in before]
    assert before[0].plain()["seed"] == 5


def test_errors_are_one_class() -> None:
    assert issubclass(ConfigError, EmoflowError)


def test_a_config_says_only_what_differs_from_the_one_below(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "task: {class_path: EmotionClassifier, init_args: {net: {class_path: SpeechNetConfig, "
        "init_args: {encoder: {class_path: EqualisedConfig, init_args: {encoder: "
        "{class_path: PictureConvConfig}}}, hidden: [20]}}}}\n"
        "data: {class_path: RAVDESS, init_args: {root: R}}\nseed: 3\n"
    )
    (tmp_path / "above.yaml").write_text(
        "config: below.yaml\n"
        "task: {init_args: {net: {init_args: {encoder: {class_path: SpectralFramesConfig}}}}}\n"
        "patience: null\n"
    )
    stage = plain(str(tmp_path / "above.yaml"))[""]
    net = stage["task"]["init_args"]["net"]["init_args"]
    assert net["encoder"]["class_path"] == "emoflow.nets.SpectralFramesConfig"
    assert net["hidden"] == [20]
    assert (stage["seed"], stage["patience"]) == (3, None)
    assert stage["data"]["class_path"] == "emoflow.corpora.RAVDESS"
    (tmp_path / "below.yaml").write_text("config: above.yaml\n")
    with pytest.raises(ConfigError, match=r"above\.yaml: laid over itself"):
        read_stages(str(tmp_path / "above.yaml"))
