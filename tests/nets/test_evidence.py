from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from emoflow.errors import ConfigError
from emoflow.frontends import CharacterTokenizer, SpeechFunctionals
from emoflow.nets import (
    AttentionConfig,
    CharacterBag,
    CharacterBagConfig,
    EvidenceNet,
    EvidenceNetConfig,
    FunctionalsEncoderConfig,
    HeadConfig,
    NetConfig,
    SpeechNetConfig,
    TextNetConfig,
)
from emoflow.types import Batch
from tests.nets.conftest import make_batch, one

CONFIG = EvidenceNetConfig(cosines=64, text=CharacterBagConfig(buckets=256))


def build(config: EvidenceNetConfig = CONFIG, *, fitted: bool = True) -> EvidenceNet:
    net = config.build(3)
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    if fitted:
        net.fit_inputs([make_batch(seed=1), make_batch(seed=2)])
    return net.eval()


def bag_of(text: str, config: CharacterBagConfig | None = None, limit: int = 512) -> torch.Tensor:
    encoder = CharacterBag(config or CharacterBagConfig())
    ids = torch.tensor([CharacterTokenizer().encode(text, limit)])
    return encoder(ids, torch.tensor([ids.shape[1]])).values[0, 0]


def stored(net: EvidenceNet, batch: Batch) -> Batch:
    speech = net.speech(batch.waveforms, batch.samples)
    text = net.text(batch.tokens, batch.token_counts)
    return Batch(
        rows=batch.rows,
        speech_states=speech.values,
        speech_frames=speech.counts,
        text_states=text.values,
        text_frames=text.counts,
        speech_present=batch.speech_present,
        text_present=batch.text_present,
    )


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_padding_never_changes_an_output() -> None:
    net, batch = build(), make_batch()
    together = net(batch)
    assert together.shape == (3, 3)
    close(net(make_batch(extra=5)), together)
    for row in range(3):
        close(net(one(batch, row))[0], together[row])
    assert batch.waveforms is not None
    assert batch.tokens is not None
    for row in range(3):
        batch.waveforms[row, int(batch.samples[row]) :] = torch.nan  # type: ignore[index]
        batch.tokens[row, int(batch.token_counts[row]) :] = 10**9  # type: ignore[index]
    close(net(batch), together)


@torch.no_grad()
def test_evidence_adds_up() -> None:
    net, batch = build(), make_batch()
    speech, text = net(batch.keep(["speech"])), net(batch.keep(["text"]))
    close(net(batch), speech + text - net.bias)
    close(net(batch.keep([])), net.bias.expand(3, -1))
    assert not torch.allclose(speech, text)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("from_store", [False, True])
def test_an_absent_modality_cannot_reach_the_output(training: bool, from_store: bool) -> None:
    net = build(replace(CONFIG, drop_speech=0.0, drop_text=0.0)).train(training)
    outcomes = []
    for garbage in (0.0, 1.0, torch.nan):
        batch = make_batch()
        batch.speech_present = torch.tensor([True, False, True])
        batch.text_present = torch.tensor([True, True, False])
        if from_store:
            batch = stored(net, batch)
            assert batch.speech_states is not None
            assert batch.text_states is not None
            batch.speech_states[1], batch.text_states[2] = garbage, garbage
        else:
            assert batch.waveforms is not None
            assert batch.tokens is not None
            batch.waveforms[1], batch.tokens[2] = garbage, 7 if garbage else 10**8
        net.zero_grad()
        outputs = net(batch)
        outputs.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        outcomes.append(outputs.detach())
    close(outcomes[1], outcomes[0])
    close(outcomes[2], outcomes[0])


@torch.no_grad()
def test_stored_states_give_what_waveforms_and_tokens_give() -> None:
    net, batch = build(), make_batch()
    assert net.speech.frozen_part is net.speech
    assert net.text.frozen_part is net.text
    assert net.speech.store_dtype == "float32"
    close(net(stored(net, batch)), net(batch))


def test_statistics_are_standardised_by_the_training_utterances() -> None:
    net = build(fitted=False)
    batches = [make_batch(seed=1), make_batch(seed=2), make_batch((12_000,), (4,), seed=3)]
    absent = make_batch(seed=4)
    absent.speech_present = torch.zeros(3, dtype=torch.bool)
    net.fit_inputs(iter([batches[0], absent, *batches[1:]]))
    with torch.no_grad():
        measured = [SpeechFunctionals()(b.waveforms, b.samples) for b in batches]
    seen = torch.cat(measured).double().numpy()
    assert len(seen) == 7
    np.testing.assert_allclose(net.standard.mean, seen.mean(0), rtol=1e-5, atol=1e-5)
    deviation = seen.std(0, ddof=1)
    deviation[deviation < 1e-6] = 1  # what never varies is only shifted
    np.testing.assert_allclose(net.standard.scale, deviation, rtol=1e-3, atol=1e-5)
    from_store = build(fitted=False)
    from_store.fit_inputs([stored(from_store, batch) for batch in batches])
    torch.testing.assert_close(from_store.standard.mean, net.standard.mean)
    torch.testing.assert_close(from_store.standard.scale, net.standard.scale)


def test_inputs_are_fitted_once() -> None:
    net = build()
    before = net.standard.mean.clone()

    def never() -> Iterator[Batch]:
        raise AssertionError("batches were read again")
        yield

    net.fit_inputs(never())
    assert torch.equal(net.standard.mean, before)


def test_one_training_utterance_is_enough() -> None:
    net = build(fitted=False)
    net.fit_inputs([make_batch((9_000,), (4,))])
    assert net(make_batch()).isfinite().all()


def test_what_is_missing_is_said() -> None:
    net = build(fitted=False)
    with pytest.raises(ConfigError, match="fit_inputs"):
        net(make_batch())
    with pytest.raises(ConfigError, match="no training utterance has speech"):
        net.fit_inputs([make_batch().keep(["text"])])
    with pytest.raises(ConfigError, match="no speech and no text"):
        build()(Batch(rows=torch.arange(2)))


@torch.no_grad()
def test_a_checkpoint_needs_no_directions() -> None:
    net, batch = build(), make_batch()
    state = net.state_dict()
    assert set(state) == {
        "standard.mean", "standard.scale", "standard.fitted", "speech_output.weight",
        "text_output.weight", "bias",
    }  # fmt: skip
    torch.manual_seed(123)
    restored = CONFIG.build(3)
    restored.load_state_dict(state)
    assert torch.equal(restored.eval()(batch), net(batch))
    other = replace(CONFIG, seed=1).build(3)
    assert not torch.equal(other.directions, net.directions)


def test_directions_depend_on_the_config_alone() -> None:
    torch.manual_seed(0)
    first = CONFIG.build(3)
    torch.manual_seed(1)
    assert torch.equal(first.directions, CONFIG.build(3).directions)


def test_cosines_stand_for_a_gaussian_kernel() -> None:
    net = replace(CONFIG, cosines=40_000, voice_weight=2.0).build(1)
    net.standard.fitted.fill_(True)
    names = SpeechFunctionals().names
    weight = np.array([2.0 if name.startswith("voice.") else 1.0 for name in names])
    values = 1.5 * torch.randn(6, len(names), generator=torch.Generator().manual_seed(0))
    cosines = net._expand(values)
    scaled = values.clamp(-4, 4).numpy() * weight / np.linalg.norm(weight)
    distance = ((scaled[:, None] - scaled[None]) ** 2).sum(2)
    kernel = np.exp(-0.3 * distance)
    np.testing.assert_allclose((cosines @ cosines.T).numpy(), kernel, atol=0.03)


def test_modalities_are_dropped_at_their_shares_only_while_training() -> None:
    net = build(replace(CONFIG, drop_speech=0.2, drop_text=0.3))
    waiting = stored(net, make_batch((9_000,), (4,)))
    many = Batch(
        **{
            name: None if value is None else value.repeat(4_000, *[1] * (value.ndim - 1))
            for name, value in vars(waiting).items()
        }
    )
    with torch.no_grad():
        whole = net(waiting)[0]
        speech, text = (net(waiting.keep([m]))[0] for m in ("speech", "text"))
        close(net(many), whole.expand(4_000, -1))
        torch.manual_seed(0)
        outputs = net.train()(many)
    shares = [
        float(torch.isclose(outputs, kind, atol=1e-4).all(1).float().mean())
        for kind in (text, speech, whole)
    ]
    assert shares == pytest.approx([0.2, 0.3, 0.5], abs=0.03)


def test_it_learns() -> None:
    torch.manual_seed(0)
    batch = make_batch((9_000, 12_000, 15_000, 9_500), (5, 6, 7, 5))
    truth = torch.tensor([0, 1, 2, 0])
    net = CONFIG.build(3)
    net.fit_inputs([batch])
    waiting = stored(net, batch)
    optimiser = torch.optim.SGD(net.parameters(), lr=2.0, momentum=0.9, nesterov=True)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(net(waiting), truth).backward()
        optimiser.step()
    with torch.no_grad():
        for kept in (["speech"], ["text"], ["speech", "text"]):
            assert net.eval()(waiting.keep(kept)).argmax(1).tolist() == truth.tolist()


def test_configs_go_to_plain_data_and_back() -> None:
    config = EvidenceNetConfig(
        FunctionalsEncoderConfig(), CharacterBagConfig(tokens=99), seed=3, drop_text=0.1
    )
    plain = config.to_plain()
    assert plain["class_path"] == "emoflow.nets.EvidenceNetConfig"
    assert NetConfig.from_plain(plain) == config
    assert config.modalities == ("speech", "text")
    assert config.max_tokens == 99
    assert config.max_seconds is None
    assert config.tokenizer() == CharacterTokenizer()


@pytest.mark.parametrize(
    "make",
    [
        lambda: EvidenceNetConfig(cosines=0),
        lambda: EvidenceNetConfig(drop_speech=0.6, drop_text=0.5),
        lambda: CharacterBagConfig(buckets=0),
        lambda: CharacterBagConfig(style=-1.0),
    ],
)
def test_a_config_that_cannot_be_is_refused(make: Callable[[], NetConfig]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_published_size() -> None:
    net = EvidenceNetConfig().build(4)
    assert sum(p.numel() for p in net.parameters()) == 4 * 2048 + 4 * 4104 + 4
    assert not list(net.speech.parameters())
    assert not list(net.text.parameters())


def test_a_bag_holds_each_ngram_once_at_unit_length() -> None:
    wide = CharacterBagConfig(buckets=1 << 20)  # too wide for collisions here
    bag = bag_of("가나가나?", wide)
    ngrams = bag[: wide.buckets]
    # 가 나 ?, and ^가 가나 나가 나? ?$
    assert int((ngrams > 0).sum()) == 8
    torch.testing.assert_close(ngrams[ngrams > 0], torch.full((8,), 8**-0.5))
    torch.testing.assert_close(bag.norm(), torch.tensor(2**0.5))
    alone = CharacterBagConfig(buckets=1 << 20, ngram=1)
    assert torch.equal(bag_of("나가", alone)[: 1 << 20], bag_of("가나", alone)[: 1 << 20])
    assert not torch.equal(bag_of("나가", wide)[: 1 << 20], bag_of("가나", wide)[: 1 << 20])


def test_style_is_marks_digits_and_length() -> None:
    style = bag_of("네? 3시, 3분~", limit=512)[-8:]
    expected = torch.tensor([1.0, 0, 0, 1, 1, 1, 10 / 50, 1])
    torch.testing.assert_close(style, expected / expected.norm())
    assert bag_of("").isfinite().all()


@torch.no_grad()
def test_the_encoders_serve_other_nets_too() -> None:
    as_they_are, mean = AttentionConfig(layers=0), HeadConfig(kind="mean")
    batch = make_batch()
    for config in (
        SpeechNetConfig(FunctionalsEncoderConfig(), as_they_are, mean),
        TextNetConfig(CharacterBagConfig(), as_they_are, mean),
    ):
        net = config.build(2).eval()
        assert net(batch).isfinite().all()
