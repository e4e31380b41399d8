from pathlib import Path

import pytest

from emoflow.cli import main
from emoflow.corpora.cards import corpus_classes
from emoflow.testing import write_ravdess


def test_the_list_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora"]) == 0
    text = capsys.readouterr().out
    for cls in corpus_classes():
        assert f"\n{cls.__name__}: " in f"\n{text}"
    ravdess = text[text.index("RAVDESS: ") :].split("\n\n")[0]
    for fact in ("speech, text", "neutral, calm", "1,440 utterances", "24 prof", "CC BY", "zenodo"):
        assert fact in ravdess
    assert max(map(len, text.splitlines())) <= 100


def test_a_card_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "kemdy20"]) == 0
    text = capsys.readouterr().out
    assert "Signals" in text
    assert "see kemdy20_recording" in text  # the last part of a cross reference
    assert "**" not in text
    assert "``" not in text
    assert ":func:" not in text


def test_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpora", "nonsense"]) == 1
    assert "no corpus 'nonsense'" in (error := capsys.readouterr().err)
    assert "KEMDy20" in error


def test_a_copy_is_compared_with_the_known_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))
    root = write_ravdess(tmp_path / "copy", actors=(1, 2))
    broken = root / "Actor_01" / "03-01-02-01-01-01-01.wav"
    broken.write_bytes(b"RIFF")
    assert main(["corpora", "--check", "RAVDESS", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "found: 59 utterances, known are 1440: 1381 missing" in lines
    assert "found: 2 speakers, known are 24: 22 missing" in lines
    assert "found: 7 calm, known are 192: 185 missing" in lines
    assert any(line.startswith("left out: 03-01-02-01-01-01-01 (") for line in lines)
    assert main(["corpora", "--check", "RAVDESS", str(tmp_path / "nowhere")]) == 1
    assert "no such folder" in capsys.readouterr().err
