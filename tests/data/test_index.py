from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoflow.data import index as module
from emoflow.data.index import FileFact, Findings, Index, list_files, load_index
from emoflow.errors import CorpusError, LabelError
from emoflow.types import Speech, Utterance


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Reader:
    """Reads NAME.wav (and NAME.txt) files of a folder, and counts how often."""

    def __init__(self, root: Path) -> None:
        self.root, self.reads = root, 0
        root.mkdir()

    def add(self, name: str, seconds: float = 1.0, rate: int = 16000) -> Path:
        path = self.root / f"{name}.wav"
        soundfile.write(path, np.full(int(seconds * rate), 0.1), rate)
        return path

    def utterances(self, findings: Findings) -> Iterator[Utterance]:
        self.reads += 1
        for path in sorted(self.root.glob("*.wav"), reverse=True):
            findings.note("files read")
            yield Utterance(id=path.stem, corpus="toy", speech=Speech(str(path)))

    def load(self, policy: str = "error", **options: object) -> Index:
        files = lambda: list_files(self.root)  # noqa: E731
        return load_index("toy", options, files, self.utterances, policy, where=str(self.root))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    made = Reader(tmp_path / "toy")
    for name in ("b", "a"):
        made.add(name)
    return made


def test_second_time_comes_from_the_cache(reader: Reader) -> None:
    first, second = reader.load(), reader.load()
    assert reader.reads == 1
    assert list(first.table) == list(second.table)
    assert first.table.column("id").tolist() == ["a", "b"]
    assert first.notes == second.notes == {"files read": 2}
    np.testing.assert_allclose(first.table.column("seconds"), 1.0)


def test_any_change_is_noticed(reader: Reader) -> None:
    reader.load()
    reader.add("c")
    assert len(reader.load().table) == 3
    reader.add("c", seconds=2.0)
    assert reader.load().table.column("seconds").tolist() == [1.0, 1.0, 2.0]
    facts = os.stat(reader.root / "a.wav")
    os.utime(reader.root / "a.wav", ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    reader.load()
    (reader.root / "c.wav").unlink()
    assert len(reader.load().table) == 2
    assert reader.reads == 5
    reader.load(role="speaker")
    assert reader.reads == 6
    reader.load()
    assert reader.reads == 6


def test_speech_outside_the_listed_files_is_watched_too(reader: Reader) -> None:
    def load() -> Index:
        return load_index("toy", {}, lambda: [], reader.utterances)

    load(), load()
    assert reader.reads == 1
    reader.add("a", seconds=3.0)
    assert load().table.column("seconds").tolist() == [3.0, 1.0]
    assert reader.reads == 2


def test_a_broken_cache_is_made_again(reader: Reader, cache: Path) -> None:
    reader.load()
    for path in cache.rglob("*.arrow"):
        path.write_bytes(b"broken")
    assert len(reader.load().table) == 2
    for path in cache.rglob("*.json"):
        path.write_text("{")
    assert len(reader.load().table) == 2
    assert reader.reads == 3


def test_bad_utterances_stop_or_are_counted(reader: Reader) -> None:
    (reader.root / "lfs.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    reader.add("empty", seconds=0)
    reader.add("slow", rate=4000)
    with pytest.raises(CorpusError, match="below 8000 Hz"):
        reader.load()
    for _ in range(2):  # read, and from the cache
        found = reader.load("skip")
        assert found.table.column("id").tolist() == ["a", "b"]
        reasons = {s.id: s.reason for s in found.skipped}
        assert "git-lfs pointer" in reasons["lfs"]
        assert "holds no samples" in reasons["empty"]
        assert "4000 Hz" in reasons["slow"]
        assert found.skipped[0].file.endswith("slow.wav")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arousal": float("nan")}, "arousal is nan, not a number"),
        ({"valence": 5.5}, "valence is 5.5, outside 1 to 5"),
        ({"votes": {"happy": -1.0}}, "votes for happy are -1.0"),
        ({"text": None}, "no modality"),
        ({"id": " "}, "id is empty"),
        ({"speech": Speech("a.wav", 0.5, 9.0)}, "no sample between 0.5 s and 9 s; .* lasts 1 s"),
        ({"speech": Speech("absent.wav")}, "absent.wav: no such file"),
    ],
)
def test_checks_of_one_utterance(reader: Reader, change: dict, words: str) -> None:
    if "speech" in change:
        speech = change["speech"]
        path = str(reader.root / speech.path)
        change = {"speech": Speech(path, speech.start, speech.end)}
    good = Utterance(id="x", corpus="toy", text="words", arousal=3.0)
    bad = Utterance(id="y", corpus="toy", text="words").with_(**change)

    def load(policy: str) -> Index:
        return load_index("toy", {}, lambda: [], lambda _: [good, bad], policy, scale=(1, 5))

    with pytest.raises(CorpusError, match=words):
        load("error")
    found = load("skip")
    assert len(found.table) == 1
    assert len(found.skipped) == 1


def test_repeated_ids(reader: Reader) -> None:
    twice = [Utterance(id="x", corpus="toy", text=t) for t in ("first", "second")]
    with pytest.raises(CorpusError, match=r"utterance x: its id occurs a second time"):
        load_index("toy", {}, lambda: [], lambda _: twice)
    found = load_index("toy", {}, lambda: [], lambda _: twice, "skip")
    assert [u.text for u in found.table] == ["first"]


def test_findings() -> None:
    with pytest.raises(CorpusError, match="file: utterance u: it hums") as caught:
        Findings().skip("u", "file", "it hums")
    assert "on_bad_utterance: skip" in caught.value.fix
    with pytest.raises(LabelError):
        Findings().skip("u", "file", LabelError("no"))
    findings = Findings("skip")
    findings.skip("u", "file", LabelError("what", "fix"))
    assert findings.skipped[0]._asdict() == {"id": "u", "file": "file", "reason": "what"}


def test_nothing_found(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"/x: no utterances found"):
        load_index("toy", {}, lambda: [], lambda _: [], where="/x")
    for path in reader.root.iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="all 2 utterances were left out; the first, b, because"):
        reader.load("skip")
    with pytest.raises(CorpusError, match=r"absent: no such folder") as caught:
        list(list_files(tmp_path / "absent"))
    assert "--data.root" in caught.value.fix


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    packed = tmp_path / "down load.zip"
    packed.write_bytes(b"PK")
    with pytest.raises(CorpusError, match=r"a file, not a folder") as caught:
        list(list_files(packed))
    assert f"emoflow unpack '{packed}' FOLDER" in str(caught.value)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match=r"notes\.txt: a file, not a folder(.|\n)*--data\.root"):
        list(list_files(tmp_path / "notes.txt"))


def test_listing_passes_over_hidden_files_and_survives_links(tmp_path: Path) -> None:
    root = tmp_path / "r"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a").write_text("12")
    (root / ".hidden").write_text("")
    (root / "sub" / "loop").symlink_to(root)
    (root / "broken").symlink_to(tmp_path / "nowhere")
    files = list(list_files(root))
    assert [(Path(f.path).name, f.size) for f in files] == [("a", 2)]
    assert isinstance(files[0], FileFact)


def test_indexing_keeps_only_a_few_utterances_in_memory(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers are read ahead by a fixed number, however many utterances there are."""
    path, ahead, most = str(reader.root / "a.wav"), 0, 0
    checked = module._fault

    def fault(*given: object) -> str:
        nonlocal ahead
        ahead -= 1
        return checked(*given)

    def many(_: Findings) -> Iterator[Utterance]:
        nonlocal ahead, most
        for i in range(1500):
            ahead += 1
            most = max(most, ahead)
            yield Utterance(id=f"{i:04d}", corpus="toy", speech=Speech(path))

    monkeypatch.setattr(module, "_fault", fault)
    assert len(load_index("toy", {}, lambda: [], many).table) == 1500
    assert most < 400


class Counted(Utterance):
    """An utterance that says how many of them are in memory."""

    alive = most = 0

    def __init__(self, **fields: object) -> None:
        super().__init__(**fields)
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


def test_a_table_is_written_from_few_utterances_at_a_time(reader: Reader) -> None:
    some = (Counted(id=str(i % 49_000), corpus="toy", text=str(i)) for i in range(50_000))
    found = load_index("toy", {}, lambda: [], lambda _: some, "skip")
    assert Counted.most < 18_000
    assert len(found.table) == 49_000
    assert {s.reason for s in found.skipped} == {"its id occurs a second time"}
    assert len(found.skipped) == 1000
    assert found.table.column("text").tolist() == found.table.column("id").tolist()


def test_files_that_many_utterances_share_are_opened_once(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    inspect = module.inspect_audio
    monkeypatch.setattr(module, "inspect_audio", lambda p: (opened.append(p), inspect(p))[1])
    monkeypatch.setattr(module, "_CHUNK", 1000)
    path = str(reader.root / "a.wav")
    spans = [
        Utterance(id=f"{i}", corpus="toy", speech=Speech(path, i / 2000, (i + 1) / 2000))
        for i in range(1000)
    ]
    found = load_index("toy", {}, lambda: [], lambda _: spans)
    assert opened == [path]
    facts = os.stat(path)
    assert list(found.table.files()) == [(path, facts.st_size, facts.st_mtime_ns)]
