from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser, set_parsing_settings

from emoflow.errors import ConfigError
from emoflow.nets import (
    AttentionConfig,
    CompactSpeechConfig,
    FrequencyConvConfig,
    HeadConfig,
    MergedNetConfig,
    NetConfig,
    PretrainedTextConfig,
    SpeechNetConfig,
    SpeechTowerConfig,
)
from tests.nets.conftest import NETS, TINY_BERT


@dataclass(frozen=True)
class Elsewhere(NetConfig):
    """A user's own config."""

    width: int = 3
    """A width."""


def test_plain_and_back(config: NetConfig) -> None:
    plain = config.to_plain()
    assert NetConfig.from_plain(plain) == config
    assert NetConfig.from_plain(json.loads(json.dumps(plain))) == config
    assert plain["class_path"] == f"emoflow.nets.{type(config).__name__}"
    assert NetConfig.from_plain(config) is config


def test_plain_survives_a_checkpoint(config: NetConfig, tmp_path: Path) -> None:
    torch.save(config.to_plain(), tmp_path / "x.pt")
    assert NetConfig.from_plain(torch.load(tmp_path / "x.pt", weights_only=True)) == config


def test_a_users_own_config_keeps_its_full_path() -> None:
    plain = Elsewhere(4).to_plain()
    assert plain["class_path"] == f"{__name__}.Elsewhere"
    assert NetConfig.from_plain(plain) == Elsewhere(4)


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"class_path": "emoflow.nets.HeadConfig", "init_args": {"wide": 1}}, "no field wide"),
        ({"class_path": "emoflow.nets.Nothing"}, "no net config 'emoflow.nets.Nothing'"),
        ({"class_path": "os.path"}, "no net config 'os.path'"),
        ({"class_path": "nowhere.X"}, "no net config 'nowhere.X'"),
        ({"class_path": "emoflow.nets.HeadConfig", "width": 3}, "move them into init_args"),
    ],
)
def test_unknown_things_are_named(plain: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        NetConfig.from_plain(plain)


def test_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="HeadConfig is not a SpeechNetConfig"):
        SpeechNetConfig.from_plain(HeadConfig())


def test_a_part_is_not_a_net() -> None:
    with pytest.raises(ConfigError, match="describes a part of a net"):
        HeadConfig().build(2)


def test_what_a_corpus_asks() -> None:
    merged = MergedNetConfig()
    assert merged.modalities == ("speech", "text")
    assert merged.max_tokens == 64
    assert merged.max_seconds == FrequencyConvConfig().logmel.max_seconds
    assert SpeechNetConfig().modalities == ("speech",)
    assert SpeechNetConfig().max_tokens == 64


def test_ready_means_no_pretrained_part_is_unread() -> None:
    assert SpeechNetConfig().ready
    assert not MergedNetConfig().ready
    assert PretrainedTextConfig(architecture=TINY_BERT).ready
    assert SpeechNetConfig().resolve() == SpeechNetConfig()


def parse(arguments: list[str], default: NetConfig | None = None) -> NetConfig:
    set_parsing_settings(subclasses_enabled=[NetConfig], docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--net", type=NetConfig, default=default)
    parsed = parser.instantiate_classes(parser.parse_args(arguments))
    net: NetConfig = parsed.net
    return net


@pytest.mark.parametrize("name", [n for n in NETS if not n.startswith("three")] + ["three, late"])
def test_jsonargparse_reads_yaml(name: str, tmp_path: Path) -> None:
    config = NETS[name]
    file = tmp_path / "net.yaml"
    file.write_text(yaml.safe_dump({"net": config.to_plain()}))
    assert parse(["--config", str(file)]) == config


def test_jsonargparse_short_forms_and_overrides() -> None:
    net = parse(
        ["--net=SpeechNetConfig", "--net.encoder=CompactSpeechConfig", "--net.encoder.width=64",
         "--net.encoder.logmel.mels=40", "--net.attention.layers=2",
         "--net.encoder.augmentation.mask_mels=[1,4]"]
    )  # fmt: skip
    assert isinstance(net, SpeechNetConfig)
    assert isinstance(net.encoder, CompactSpeechConfig)
    assert (net.encoder.width, net.encoder.logmel.mels) == (64, 40)
    assert net.encoder.augmentation.mask_mels == (1, 4)
    assert net.attention == AttentionConfig(layers=2)


def test_jsonargparse_override_inside_the_default() -> None:
    net = parse(["--net.speech.attention.layers=3"], MergedNetConfig())
    assert net == MergedNetConfig(speech=SpeechTowerConfig(attention=AttentionConfig(layers=3)))


def test_a_completed_config_has_its_own_classs_fields() -> None:
    compact = {"class_path": "CompactSpeechConfig", "init_args": {"logmel": {"hop": 200}}}
    plain = {"class_path": "SpeechNetConfig", "init_args": {"encoder": compact}}
    completed = NetConfig.complete(plain)
    net = NetConfig.from_plain(completed)
    assert isinstance(net, SpeechNetConfig)
    assert net.encoder == CompactSpeechConfig(
        logmel=dataclasses.replace(CompactSpeechConfig().logmel, hop=200)
    )
    assert net.encoder.logmel.mels == 64  # FrequencyConv, the default encoder, has 128
    assert net.attention == SpeechNetConfig().attention
    assert NetConfig.complete(completed) == completed
    assert plain["init_args"] == {"encoder": compact}  # left as it was


def test_completing_keeps_what_is_given_and_fills_the_rest() -> None:
    tower = {"attention": {"layers": 2}}
    plain = {"class_path": "MergedNetConfig", "init_args": {"speech": tower}}
    net = NetConfig.from_plain(NetConfig.complete(plain))
    attention = dataclasses.replace(SpeechTowerConfig().attention, layers=2)
    assert net == MergedNetConfig(speech=SpeechTowerConfig(attention=attention))
