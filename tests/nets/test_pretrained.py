from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import (
    AutoModel,
    BertConfig,
    HubertConfig,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
)

from emoflow.errors import ConfigError, WeightsError
from emoflow.nets import (
    NetConfig,
    PretrainedSpeechConfig,
    PretrainedTextConfig,
    SpeechNetConfig,
    TextNetConfig,
)
from tests.nets.conftest import POOLED, SMALL, TINY_BERT

CONVOLUTIONS: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40,
    "conv_dim": (16, 16, 16), "conv_kernel": (10, 3, 2), "conv_stride": (5, 4, 4),
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
GROUP = {"feat_extract_norm": "group"}
LAYER = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SPEECH_MODELS = {
    "wav2vec2 group": Wav2Vec2Config(**CONVOLUTIONS, **GROUP),
    "wav2vec2 layer": Wav2Vec2Config(**CONVOLUTIONS, **LAYER),
    "hubert group": HubertConfig(**CONVOLUTIONS, **GROUP),
    "hubert layer": HubertConfig(**CONVOLUTIONS, **LAYER),
    "wavlm group": WavLMConfig(**CONVOLUTIONS, **GROUP),
}
WHISPER = WhisperConfig(
    d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=40,
    decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=40, vocab_size=50,
    num_mel_bins=20, max_source_positions=100, pad_token_id=1, bos_token_id=1, eos_token_id=2,
    decoder_start_token_id=2,
)  # fmt: skip
WAVES = [
    np.random.default_rng(n).standard_normal(n).astype(np.float32) / 9 for n in (5_000, 12_345)
]


def save(config: Any, folder: Path, *, normalize: bool = True) -> Any:
    """A tiny model with random weights, as a folder on disk."""
    torch.manual_seed(0)
    model = AutoModel.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    if isinstance(config, WhisperConfig):
        WhisperFeatureExtractor(20, chunk_length=2).save_pretrained(folder)
    elif not isinstance(config, BertConfig):
        Wav2Vec2FeatureExtractor(do_normalize=normalize).save_pretrained(folder)
    return model


def load(config: Any, net: Any) -> Any:
    resolved = net.resolve()
    built = resolved.build_encoder().eval()
    built.load_weights()
    return built


def padded(waves: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.tensor([len(w) for w in waves])
    batch = torch.full((len(waves), int(counts.max()) + 999), torch.nan)
    for row, wave in enumerate(waves):
        batch[row, : len(wave)] = torch.from_numpy(wave)
    return batch, counts


@torch.no_grad()
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_speech_states_are_those_of_the_utterance_alone(
    name: str, normalize: bool, tmp_path: Path
) -> None:
    model = save(SPEECH_MODELS[name], tmp_path, normalize=normalize)
    encoder = load(model, PretrainedSpeechConfig(str(tmp_path)))
    extract = Wav2Vec2FeatureExtractor(do_normalize=normalize)
    values, counts = encoder(*padded(WAVES))
    for row, wave in enumerate(WAVES):
        inputs = extract(wave, sampling_rate=16_000, return_tensors="pt").input_values
        alone = model(inputs).last_hidden_state[0]
        assert int(counts[row]) == alone.shape[0]
        torch.testing.assert_close(values[row, : len(alone)], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_whisper_sees_its_window_and_gives_the_real_steps(tmp_path: Path) -> None:
    model = save(WHISPER, tmp_path)
    config = PretrainedSpeechConfig(str(tmp_path)).resolve()
    assert config.max_seconds == 2.0
    encoder = load(model, config)
    waves = [*WAVES, np.random.default_rng(3).standard_normal(40_000).astype(np.float32)]
    values, counts = encoder(*padded(waves))
    assert counts.tolist() == [16, 39, 100]
    extract = WhisperFeatureExtractor(20, chunk_length=2)
    for row, wave in enumerate(waves):
        inputs = extract(wave, sampling_rate=16_000, return_tensors="pt").input_features
        alone = model.encoder(inputs).last_hidden_state[0, : counts[row]]
        torch.testing.assert_close(values[row, : counts[row]], alone, atol=1e-3, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("config", [SPEECH_MODELS["wav2vec2 group"], WHISPER])
def test_absent_and_very_short_speech_is_finite(config: Any, tmp_path: Path) -> None:
    model = save(config, tmp_path)
    encoder = load(model, PretrainedSpeechConfig(str(tmp_path)))
    values, counts = encoder(torch.full((3, 60), torch.nan), torch.tensor([0, 0, 0]))
    assert counts.tolist() == [0, 0, 0]
    assert values.isfinite().all()
    values, counts = encoder(torch.ones(2, 60), torch.tensor([60, 1]))
    assert counts.tolist() == [1, 1]
    assert values.isfinite().all()


@torch.no_grad()
def test_text_states_are_those_of_the_utterance_alone(tmp_path: Path) -> None:
    values = {k: v for k, v in TINY_BERT.items() if k != "model_type"}
    model = save(BertConfig(**values), tmp_path)
    encoder = load(model, PretrainedTextConfig(str(tmp_path)))
    ids = torch.randint(2, 60, (3, 9))
    counts = torch.tensor([9, 4, 0])
    garbage = ids.masked_fill(torch.arange(9) >= counts[:, None], 10**6)
    got, steps = encoder(garbage, counts)
    assert steps.tolist() == [9, 4, 0]
    assert got.isfinite().all()
    for row in range(2):
        alone = model(ids[row : row + 1, : counts[row]]).last_hidden_state[0]
        torch.testing.assert_close(got[row, : counts[row]], alone, atol=1e-5, rtol=1e-5)


def test_a_resolved_config_needs_no_file(tmp_path: Path, monkeypatch: Any) -> None:
    save(SPEECH_MODELS["wav2vec2 group"], tmp_path / "model")
    config = SpeechNetConfig(PretrainedSpeechConfig(str(tmp_path / "model")), SMALL, POOLED)
    assert not config.ready
    resolved = config.resolve()
    assert resolved.ready
    net = resolved.build(2).eval()
    resolved.load_pretrained(net)
    torch.save({"net": resolved.to_plain(), "weights": net.state_dict()}, tmp_path / "x.ckpt")
    for file in sorted((tmp_path / "model").iterdir()):
        file.unlink()
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", None)
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", None)
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    again = NetConfig.from_plain(saved["net"]).build(2).eval()
    again.load_state_dict(saved["weights"])
    from tests.nets.conftest import make_batch

    batch = make_batch()
    with torch.no_grad():
        assert torch.equal(again(batch), net(batch))


def test_frozen_or_with_its_own_learning_rate(tmp_path: Path) -> None:
    frozen = PretrainedTextConfig(architecture=TINY_BERT).build_encoder()
    assert not any(p.requires_grad for p in frozen.parameters())
    assert frozen.learning_rate_scale is None
    tuned = PretrainedTextConfig(
        architecture=TINY_BERT, frozen=False, learning_rate_scale=0.05
    ).build_encoder()
    assert tuned.learning_rate_scale == 0.05
    own = {id(p) for p in tuned.pretrained_parameters()}
    assert own == {id(p) for p in tuned.parameters()}
    net = TextNetConfig(tuned.config, SMALL, POOLED).build(1).train()
    assert net.text.frozen_part is None


def test_fine_tuning_reaches_every_parameter(tmp_path: Path) -> None:
    save(SPEECH_MODELS["wav2vec2 group"], tmp_path)
    config = PretrainedSpeechConfig(str(tmp_path), frozen=False).resolve()
    encoder = config.build_encoder().train()
    values, _ = encoder(*padded(WAVES))
    values.square().mean().backward()
    missing = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert missing == []


@torch.no_grad()
def test_fewer_layers(tmp_path: Path) -> None:
    model = save(SPEECH_MODELS["wav2vec2 group"], tmp_path)
    encoder = load(model, PretrainedSpeechConfig(str(tmp_path), layers=1))
    wave = torch.from_numpy(WAVES[0])[None]
    values, _ = encoder(wave, torch.tensor([wave.shape[1]]))
    normed = (wave - wave.mean()) / (wave.var(unbiased=False) + 1e-7).sqrt()
    expected = model(normed, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(values, expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="has 2 layers; layers is 3"):
        load(model, PretrainedSpeechConfig(str(tmp_path), layers=3))


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    for config in (PretrainedTextConfig, PretrainedSpeechConfig):
        with pytest.raises(WeightsError, match="hf download") as caught:
            config(str(tmp_path / "nothing")).resolve()
        assert "local folder" in str(caught.value)
    encoder = PretrainedTextConfig(str(tmp_path / "nothing"), architecture=TINY_BERT)
    with pytest.raises(WeightsError, match=r"weights of .*nothing"):
        encoder.build_encoder().load_weights()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save(BertConfig(**{k: v for k, v in TINY_BERT.items() if k != "model_type"}), tmp_path)
    wider = TINY_BERT | {"hidden_size": 64}
    with pytest.raises(WeightsError, match="do not fit"):
        PretrainedTextConfig(str(tmp_path), architecture=wider).build_encoder().load_weights()


def test_other_errors_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"call config\.resolve"):
        PretrainedTextConfig().build_encoder()
    with pytest.raises(ConfigError, match="'bert' model, which is no speech encoder"):
        PretrainedSpeechConfig("x", architecture=TINY_BERT).build_encoder()
    with pytest.raises(ConfigError, match="type 'nothing'"):
        PretrainedTextConfig("x", architecture={"model_type": "nothing"}).build_encoder()
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="could not be loaded"):
        PretrainedTextConfig(str(tmp_path)).resolve()


def test_text_never_exceeds_the_positions() -> None:
    assert PretrainedTextConfig(architecture=TINY_BERT, tokens=500).max_tokens == 64
    assert PretrainedTextConfig(tokens=50).max_tokens == 50
