from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.data import checks
from emoflow.data.audio import hash_speech, inspect_audio
from emoflow.data.checks import speech_facts
from emoflow.data.table import SpeechFile, UtteranceTable
from emoflow.errors import AudioError
from emoflow.types import Speech, Utterance


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(folder: Path) -> UtteranceTable:
    files, some = {}, [Utterance(id="words", corpus="c", text="only")]
    for path in sorted(folder.glob("*.wav")):
        facts = os.stat(path)
        files[str(path)] = SpeechFile(inspect_audio(path).seconds, facts.st_size, facts.st_mtime_ns)
        some.append(Utterance(id=path.stem, corpus="c", speech=Speech(str(path))))
    return UtteranceTable.build(some, files)


@pytest.fixture
def table(tmp_path: Path) -> UtteranceTable:
    random = np.random.default_rng(0)
    values = {"a": random.normal(size=800) * 0.1, "silent": np.zeros(800)}
    values["again"] = values["a"]
    values["nan"] = np.where(np.arange(800) == 7, np.nan, values["a"])
    values["infinite"] = np.where(np.arange(800) == 7, np.inf, values["a"])
    for name, samples in values.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, "FLOAT")
    return build(tmp_path)


def by_id(table: UtteranceTable) -> dict[str, int]:
    return {name: row for row, name in enumerate(table.column("id"))}


def test_facts(table: UtteranceTable, tmp_path: Path) -> None:
    facts, row = speech_facts(table), by_id(table)
    assert facts.hash[row["a"]] == facts.hash[row["again"]]
    assert facts.hash[row["a"]] == hash_speech(Speech(str(tmp_path / "a.wav")))
    for name in ("silent", "nan", "infinite", "words"):
        assert facts.hash[row[name]] is None
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert facts.peak[row["a"]] == np.abs(samples).max()
    assert facts.silent.tolist() == [name == "silent" for name in table.column("id")]
    assert set(facts.problems) == {row["nan"], row["infinite"]}
    assert isinstance(facts.problems[row["nan"]], AudioError)
    assert "NaN or infinite" in str(facts.problems[row["nan"]])


def test_only_what_is_new_is_decoded(
    table: UtteranceTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    decode = checks.decode_speech
    monkeypatch.setattr(
        checks, "decode_speech", lambda s: (heard.append(Path(s.path).stem), decode(s))[1]
    )
    first = speech_facts(table)
    assert sorted(heard) == ["a", "again", "infinite", "nan", "silent"]
    heard.clear()
    second = speech_facts(table)
    assert heard == []
    assert second.hash == first.hash
    assert set(second.problems) == set(first.problems)
    np.testing.assert_array_equal(second.peak, first.peak)

    soundfile.write(tmp_path / "again.wav", np.full(400, 0.25), 16000, "FLOAT")
    changed = build(tmp_path)
    third = speech_facts(changed)
    assert heard == ["again"]
    assert third.peak[by_id(changed)["again"]] == 0.25


def test_rows_can_be_chosen(table: UtteranceTable) -> None:
    row = by_id(table)
    facts = speech_facts(table, [row["nan"], row["a"]])
    assert facts.hash == (None, speech_facts(table).hash[row["a"]])
    assert set(facts.problems) == {row["nan"]}


def test_an_interrupted_call_carries_on(
    table: UtteranceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_SAVE_EVERY_SECONDS", -1.0)
    decode = checks.decode_speech

    def stop(speech: Speech):
        if "silent" in speech.path:
            raise KeyboardInterrupt
        return decode(speech)

    monkeypatch.setattr(checks, "decode_speech", stop)
    with pytest.raises(KeyboardInterrupt):
        speech_facts(table)
    heard: list[str] = []
    monkeypatch.setattr(
        checks, "decode_speech", lambda s: (heard.append(Path(s.path).stem), decode(s))[1]
    )
    speech_facts(table)
    assert heard == ["silent"]


def test_files_that_vanish_are_problems_and_not_remembered(
    table: UtteranceTable, tmp_path: Path
) -> None:
    row = by_id(table)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").unlink()
    facts = speech_facts(table)
    assert "no such file" in str(facts.problems[row["a"]])
    (tmp_path / "a.wav").write_bytes(content)
    assert row["a"] not in speech_facts(table).problems


def test_a_broken_cache_is_made_again(table: UtteranceTable, cache: Path) -> None:
    first = speech_facts(table)
    for path in (cache / "speech").iterdir():
        path.write_bytes(b"broken")
    assert speech_facts(table).hash == first.hash


def test_no_speech_at_all() -> None:
    table = UtteranceTable.build([Utterance(id="a", corpus="c", text="x")])
    facts = speech_facts(table)
    assert facts.hash == (None,)
    assert not facts.problems
    assert not facts.silent.any()
