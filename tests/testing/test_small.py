from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emoflow.errors import ConfigError, CorpusError
from emoflow.testing import write_emotiontts, write_manifest, write_ravdess


def test_emotiontts_layout(tmp_path: Path) -> None:
    root = write_emotiontts(tmp_path / "tts", speakers=("nea", "neb", "ema"), seed=2)
    names = {str(p.relative_to(root)) for p in root.rglob("*.flac")}
    assert "emotional-to-emotional/nea/wav/nea00201.flac" in names
    assert "plain-to-emotional/ema/wav/ema00303.flac" in names
    assert len(names) == 3 * 4 * 3
    info = soundfile.info(root / "emotional-to-emotional/nea/wav/nea00001.flac")
    assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")

    def text(path: str) -> str:
        raw = (root / path).read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        return raw.decode("utf-8-sig")

    shared = [text(f"emotional-to-emotional/{s}/script/{s}00101.txt") for s in ("nea", "neb")]
    assert shared[0] == shared[1]
    neutral, angry = (text(f"plain-to-emotional/ema/script/ema00{n}.txt") for n in ("001", "301"))
    assert neutral == angry
    assert shared[0] != text("emotional-to-emotional/nea/transcript/nea00301.txt")


def test_ravdess_layout(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path / "r", actors=(1, 12), audio="flac", rate=48_000)
    names = sorted(p.name for p in root.rglob("*.flac"))
    assert len(names) == 60
    assert (root / "Actor_12" / "03-01-08-02-02-01-12.flac").is_file()
    assert not any(name.startswith("03-01-01-02") for name in names)
    assert soundfile.info(root / "Actor_01" / "03-01-05-02-01-01-01.flac").samplerate == 48_000


def test_an_actor_is_the_same_whoever_else_plays(tmp_path: Path) -> None:
    one = write_ravdess(tmp_path / "one", actors=(2,))
    two = write_ravdess(tmp_path / "two", actors=(1, 2))
    name = "Actor_02/03-01-03-01-01-01-02.wav"
    assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("cut", [False, True])
def test_manifest(tmp_path: Path, kind: str, cut: bool) -> None:
    path = write_manifest(tmp_path / "m", kind=kind, speakers=5, utterances_per_speaker=4, cut=cut)
    assert path == tmp_path / "m" / f"manifest.{kind}"
    if kind == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    elif kind == "jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        rows = pd.read_parquet(path).to_dict("records")
    assert len(rows) == len({row["id"] for row in rows}) == 20
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    for row in rows:
        info = soundfile.info(path.parent / row["speech"])
        assert 1 <= float(row["arousal"]) <= 5
        assert row["text"]
        if cut:
            assert 0 <= float(row["start"]) < float(row["end"]) <= info.duration
        else:
            assert row.get("start") in (None, "")


def test_small_corpora_refuse_other_files_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    for write in (write_emotiontts, write_ravdess, write_manifest):
        with pytest.raises(CorpusError, match=r"a\.txt"):
            write(tmp_path)


def test_wrong_sizes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="speaker 'bob'"):
        write_emotiontts(tmp_path / "x", speakers=["bob"])
    with pytest.raises(ConfigError, match=r"utterances_per_emotion is 101[\s\S]*give 1 to 100"):
        write_emotiontts(tmp_path / "x", utterances_per_emotion=101)
    with pytest.raises(ConfigError, match="actor is 0"):
        write_ravdess(tmp_path / "x", actors=(0,))
    with pytest.raises(ConfigError, match="rate is 4000"):
        write_ravdess(tmp_path / "x", rate=4000)
    with pytest.raises(ConfigError, match="kind is 'xlsx'"):
        write_manifest(tmp_path / "x", kind="xlsx")
    assert list(tmp_path.iterdir()) == []


def test_emotions_of_ravdess_sound_different(tmp_path: Path) -> None:
    root = write_ravdess(tmp_path / "r", actors=(2,))
    level = {}
    for code in ("04", "05"):  # sad, angry
        waves = [soundfile.read(p)[0] for p in root.rglob(f"03-01-{code}-*.wav")]
        level[code] = np.mean([np.log10(np.std(w)) * 20 for w in waves])
    assert level["05"] > level["04"] + 6
