"""AI-Hub's downloads, from archives to utterances."""

from __future__ import annotations

import shlex
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emoflow.cli import main
from emoflow.corpora import (
    ConversationVoice,
    Corpus,
    EmergencySound,
    EmotionalDialogue,
    EmotionalDialogueVoice,
)
from emoflow.errors import CorpusError
from emoflow.testing import (
    write_conversation_voice,
    write_emergency_sound,
    write_emotional_dialogue,
    write_emotional_dialogue_voice,
)
from emoflow.types import Utterance
from tests.data.zip_files import File, split, zip_bytes

CORPORA: dict[type[Corpus], Callable[..., list[Utterance]]] = {
    ConversationVoice: write_conversation_voice,
    EmergencySound: write_emergency_sound,
    EmotionalDialogue: write_emotional_dialogue,
    EmotionalDialogueVoice: write_emotional_dialogue_voice,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))


def pack(corpus: Path, downloads: Path, seed: int = 0) -> Path:
    """Make every folder that holds files an archive, some in parts, and all names CP949."""
    rng = np.random.default_rng(seed)
    homes: dict[str, list[Path]] = {}
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and not path.name.startswith((".", "~")):
            home = unicodedata.normalize("NFC", path.parent.relative_to(corpus).as_posix())
            homes.setdefault("tables" if home == "." else home, []).append(path)
    for number, (home, paths) in enumerate(sorted(homes.items())):
        top = home.rpartition("/")[2] + "/" if number % 2 else ""
        names = [unicodedata.normalize("NFC", top + path.name).encode("cp949") for path in paths]
        files = [File(n, path.read_bytes()) for n, path in zip(names, paths, strict=True)]
        archive = downloads / f"{home}.zip"
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.write_bytes(zip_bytes(files))
        if number % 3:
            size = archive.stat().st_size
            split(archive, sorted({int(cut) for cut in rng.integers(1, size, 3)}), number % 3 > 1)
    return downloads


def heard(corpus: Corpus) -> list[Utterance]:
    """Return what a corpus has, but where its speech lies."""
    found = []
    for one in corpus.utterances():
        speech = one.speech and replace(one.speech, path=Path(one.speech.path).name)
        if speech is not None:
            speech = replace(speech, path=unicodedata.normalize("NFC", speech.path))
        found.append(one.with_(speech=speech))
    return sorted(found, key=lambda u: u.id)


@pytest.mark.parametrize("cls", CORPORA, ids=lambda cls: cls.__name__)
def test_from_archives_to_utterances(
    cls: type[Corpus], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loader says which command unpacks; that command leads to the same utterances."""
    planted = CORPORA[cls](tmp_path / "corpus", count=12)
    before = heard(cls(root=str(tmp_path / "corpus"), on_bad_utterance="skip"))
    downloads = pack(tmp_path / "corpus", tmp_path / "down loads")
    with pytest.raises(CorpusError, match="emoflow unpack") as caught:
        _ = cls(root=str(downloads)).table
    words = shlex.split(caught.value.fix.partition("first: ")[2].partition(";")[0])
    assert words[-1] == "FOLDER"
    words[-1] = str(tmp_path / "unpacked")
    shutil.rmtree(tmp_path / "corpus")
    assert main(words[1:]) == 0
    out = capsys.readouterr().out
    assert f"emoflow corpora --check NAME {words[-1]}" in out
    corpus = cls(root=words[-1], on_bad_utterance="skip")
    assert heard(corpus) == before
    assert len(before) == len(planted)
    assert len(corpus.table) == len(planted)
    assert main(["corpora", "--check", cls.__name__, words[-1]]) == 0
    assert f"found: {len(planted)} utterances" in capsys.readouterr().out
    assert main(words[1:]) == 0
    assert "of them there already" in capsys.readouterr().out


def test_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = tmp_path / "from", tmp_path / "to"
    (source / "Training").mkdir(parents=True)
    for name, files in {
        "Training/[라벨]8.전기사고": [File(b"a.json", b"{}"), File(b"b.json", b"{}")],
        "download": [File(b"c.zip.part0", b"PK"), File(b"__MACOSX/._c", b"")],
    }.items():
        (source / f"{name}.zip").write_bytes(zip_bytes(files))
    (source / "안내.pdf").write_bytes(b"%PDF")
    assert main(["unpack", str(source), str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "download.zip: 1 file; 1 more in __MACOSX left out",
        "Training/[라벨]8.전기사고.zip: 2 files",
        f"2 archives are unpacked into {folder}: 3 files",
        f"archives that were in them: 1 file; emoflow unpack {folder} FOLDER",
        f"not unpacked, and left where they are: 1 file, {source / '안내.pdf'}",
        f"see what they hold: emoflow corpora --check NAME {folder}",
    ]


def test_errors_are_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\3\4")
    assert main(["unpack", str(tmp_path / "x.zip"), str(tmp_path / "to")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"emoflow unpack: {tmp_path / 'x.zip'}: is cut off, or no zip file")
    assert not (tmp_path / "to").exists()
    assert main(["unpack", str(tmp_path)]) == 2
