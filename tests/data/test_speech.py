from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from torch.utils.data import DataLoader

from emoflow.data.audio import inspect_audio, read_speech
from emoflow.data.speech import SpeechReader
from emoflow.data.table import SpeechFile, UtteranceTable
from emoflow.errors import AudioError, CorpusError
from emoflow.types import Speech, Utterance

DATA = Path(__file__).parents[3] / "shared" / "data"


def tone(path, rate=16_000, channels=1, seconds=0.5, **options):
    times = np.arange(round(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 220 * times)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **options)
    return str(path)


def indexed(*utterances):
    paths = {u.speech.path for u in utterances if u.speech is not None}
    files = {}
    for path in paths:
        found = os.stat(path)
        info = inspect_audio(path)
        files[path] = SpeechFile(info.seconds, found.st_size, found.st_mtime_ns, info.native)
    return UtteranceTable.build(utterances, files)


@pytest.fixture
def table(tmp_path):
    (tmp_path / "audio").mkdir()
    paths = [
        tone(tmp_path / "audio" / "native.wav"),
        tone(tmp_path / "audio" / "packed.flac"),
        tone(tmp_path / "audio" / "fast.wav", rate=44_100, channels=2),
    ]
    utterances = [
        Utterance(f"{Path(p).stem}{i}", "toy", speech=Speech(p, *span))
        for p in paths
        for i, span in enumerate([(), (0.1, 0.3)])
    ]
    return indexed(*utterances, Utterance("text", "toy", text="말"))


def test_stored_and_direct_are_the_same(table, tmp_path):
    direct = SpeechReader(table, root=tmp_path / "empty")
    reader = SpeechReader(table, root=tmp_path / "store")
    assert reader.prepare() == 4  # two spans each of the flac and the 44.1 kHz file
    assert reader.prepare() == 0
    rows = {key: row for row, key in enumerate(table.column("id"))}
    for name, row in rows.items():
        if name == "text":
            continue
        np.testing.assert_array_equal(reader[row], direct[row])
        np.testing.assert_array_equal(reader[row], read_speech(table[row].speech))
        assert reader[row].dtype == np.float32
        assert len(reader[row]) == (3200 if name.endswith("1") else 8000)
    assert not reader[rows["packed0"]].flags.writeable
    assert len(reader) == 7
    assert not (tmp_path / "empty").exists()


def test_prepare_some_rows_without_decoding_again(table, tmp_path, monkeypatch):
    rows = [row for row, name in enumerate(table.column("id")) if name.startswith("fast")]
    reader = SpeechReader(table, root=tmp_path / "store")
    assert reader.prepare(rows) == 2
    again = SpeechReader(table, root=tmp_path / "store")
    monkeypatch.setattr("emoflow.data.speech.read_speech", None)
    assert again.prepare(rows) == 0
    assert len(again[rows[0]]) == 8000


def test_default_folder(table, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))
    SpeechReader(table).prepare()
    assert (tmp_path / "cache" / "waveforms").is_dir()


@pytest.mark.parametrize("prepared", [False, True])
def test_a_file_that_changed_is_refused(table, tmp_path, prepared):
    reader = SpeechReader(table, root=tmp_path / "store")
    if prepared:
        reader.prepare()
    row = list(table.column("id")).index("packed0")
    path = table[row].speech.path
    reader[row]
    os.utime(path, ns=(0, 12345))
    with pytest.raises(CorpusError, match=r"packed.flac: changed since .* indexed\n.*start again"):
        reader[row]
    os.unlink(path)
    with pytest.raises(CorpusError, match=r"packed.flac: was there when .* cannot be found"):
        reader[row]
    if not prepared:
        with pytest.raises(CorpusError, match="cannot be found"):
            reader.prepare()


def test_no_speech(table, tmp_path):
    row = list(table.column("id")).index("text")
    with pytest.raises(AudioError, match="toy/text: has no speech"):
        SpeechReader(table, root=tmp_path)[row]


def test_bad_audio_stops_prepare(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"no audio at all")
    table = UtteranceTable.build([Utterance("a", "toy", speech=Speech(str(tmp_path / "a.flac")))])
    with pytest.raises(AudioError, match=r"a.flac: not audio"):
        SpeechReader(table, root=tmp_path / "store").prepare()


def test_in_workers(table, tmp_path):
    table.save(tmp_path / "table.arrow")
    reader = SpeechReader(UtteranceTable.load(tmp_path / "table.arrow"), root=tmp_path / "store")
    reader.prepare()
    rows = [r for r, name in enumerate(table.column("id")) if name != "text"]
    loader = DataLoader(
        pickle.loads(pickle.dumps(reader)), sampler=rows, batch_size=None, num_workers=2
    )
    for row, wave in zip(rows, loader, strict=True):
        np.testing.assert_array_equal(wave, reader[row])


@pytest.mark.skipif(not DATA.exists(), reason="the real data is not beside the project")
def test_real_speech(tmp_path):
    paths = sorted((DATA / "emotiontts_ko").rglob("nea0000*.flac"))[:5]
    table = indexed(*(Utterance(p.stem, "real", speech=Speech(str(p))) for p in paths))
    reader = SpeechReader(table, root=tmp_path)
    assert reader.prepare() == len(paths)
    for row in range(len(table)):
        assert len(reader[row]) == pytest.approx(table.column("seconds")[row] * 16_000, abs=2)
        assert 0.01 < abs(reader[row]).max() <= 1.2
