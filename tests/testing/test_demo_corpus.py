from __future__ import annotations

import csv
import errno
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV

from emoflow.errors import ConfigError, CorpusError, StorageError
from emoflow.testing import session_numbers, write_demo_corpus
from tests.testing.signal_files import signal

ID = re.compile(r"^Sess(\d\d)_script0([1-6])_User(\d{3})([MF])_(\d{3})$")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "new" / "corpus"
    return write_demo_corpus(folder, sessions=5, utterances_per_speaker=28, seed=1)


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus, its signals without what raters saw."""
    folder = tmp_path_factory.mktemp("demo") / "null"
    return write_demo_corpus(
        folder, sessions=5, utterances_per_speaker=28, seed=1, planted_signals=False
    )


def annotations(root: Path) -> dict[str, list[list[str]]]:
    return {
        path.name: list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
        for path in sorted((root / "annotation").iterdir())
    }


def digest(root: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def test_tree(corpus: Path) -> None:
    assert {p.name for p in corpus.iterdir()} == {
        ".emoflow-testing.json", "EDA", "IBI", "README.md", "TEMP", "annotation", "ceiling.json",
        "wav",
    }  # fmt: skip
    sessions = sorted(p.name for p in (corpus / "wav").iterdir() if p.is_dir())
    assert sessions == [f"Session{n:02d}" for n in session_numbers(5)]
    assert (corpus / "wav" / "file_list.pkl").is_file()
    for home in (corpus / "wav").glob("Session*"):
        for wav in home.glob("*.wav"):
            match = ID.match(wav.stem)
            assert match
            session, user = int(match[1]), int(match[3])
            assert home.name == f"Session{session:02d}"
            assert user in (2 * session - 1, 2 * session)
            assert wav.with_suffix(".txt").is_file()
    assert len(list(corpus.rglob("*.wav"))) == 5 * 2 * 28
    assert "synthetic" in (corpus / "README.md").read_text(encoding="utf-8")


def test_audio_format(corpus: Path) -> None:
    infos = [soundfile.info(p) for p in corpus.rglob("*.wav")]
    assert {(i.samplerate, i.channels, i.subtype) for i in infos} == {(16_000, 1, "PCM_16")}
    seconds = np.array([i.duration for i in infos])
    assert 1.7 < seconds.mean() < 2.8
    assert seconds.min() > 0.4
    assert seconds.max() < 6
    silent = [p for p in corpus.rglob("*.wav") if not wavfile.read(p)[1].any()]
    assert len(silent) == 1


def test_annotation_columns(corpus: Path) -> None:
    tables = annotations(corpus)
    assert list(tables) == [f"Sess{n:02d}_eval.csv" for n in session_numbers(5)]
    raw = {p.name: p.read_bytes() for p in (corpus / "annotation").iterdir()}
    assert 0 < sum(b.startswith(b"\xef\xbb\xbf") for b in raw.values()) < len(raw)
    assert 0 < sum(b"\r\n" in b for b in raw.values()) < len(raw)
    seen = set()
    for rows in tables.values():
        assert {len(row) for row in rows} == {37}
        assert rows[0][:8] == [
            "Numb", "WAV", " ", "Segment ID", "Total Evaluation", " ", " ", "Eval01F",
        ]  # fmt: skip
        assert rows[0][7::3] == [
            "Eval01F", "Eval02M", "Eval03M", "Eval04F", "Eval05M", "Eval06F", "Eval07F",
            "Eval08M", "Eval09F", "Eval10M",
        ]  # fmt: skip
        assert rows[1] == [" ", "start", "end", " "] + ["Emotion", "Valence", "Arousal"] * 11
        for row in rows[2:]:
            assert ID.match(
                row[3]
                .strip()
                .replace("S", "s")
                .lower()
                .replace("sess", "Sess")
                .replace("user", "User")
                .replace("m_", "M_")
                .replace("f_", "F_")
            )
            marks = np.array([row[8::3], row[9::3]], dtype=int)
            assert ((marks >= 1) & (marks <= 5)).all()
            assert float(row[5]) == pytest.approx(marks[0].mean())
            assert float(row[6]) == pytest.approx(marks[1].mean())
            votes = {name: row[7::3].count(name) for name in row[7::3]}
            top = {name for name, n in votes.items() if n == max(votes.values())}
            assert set(row[4].split(";")) == top
            seen |= {row[4]}
            assert float(row[1]) < float(row[2])
    assert "disqust" in seen
    assert "disgust" not in seen
    ties = [label.split(";") for label in seen if ";" in label]
    order = ["neutral", "happy", "surprise", "angry", "sad", "disqust", "fear"]
    assert ties
    assert all(tie == sorted(tie, key=order.index) for tie in ties)


def test_ids_are_untidy_and_session_17_is_wrong(corpus: Path) -> None:
    for name, rows in annotations(corpus).items():
        ids = [row[3] for row in rows[2:]]
        prefix = "SESS42" if name.startswith("Sess17") else name[:6].upper()
        assert {i.strip().upper()[:6] for i in ids} == {prefix}
        assert any(i != i.strip() for i in ids)
        assert any(i == i.upper() for i in ids)
        files = {p.stem.upper()[6:] for p in (corpus / "wav" / f"Session{name[4:6]}").glob("*.wav")}
        assert {i.strip().upper()[6:] for i in ids} == files
    eda = (corpus / "EDA" / "Session17" / "Sess17_script01_User033F.csv", "User033M")
    path = eda[0] if eda[0].exists() else eda[0].with_name(f"Sess17_script01_{eda[1]}.csv")
    text = path.read_text(encoding="utf-8") if path.exists() else "Sess42"
    assert "Sess42" in text
    assert "Sess17" not in text


def test_transcripts(corpus: Path) -> None:
    contents = [p.read_bytes() for p in corpus.rglob("*.txt")]
    undecodable, bom = 0, 0
    for content in contents:
        if content.startswith(b"\xef\xbb\xbf"):
            bom += 1
            content.decode("utf-8-sig")
            continue
        try:
            content.decode("cp949")
        except UnicodeDecodeError:
            undecodable += 1
    assert (undecodable, bom) == (1, 1)
    assert sum(c == b"N/ u/\n" for c in contents) == 1
    assert sum(c.endswith(b"\r\n") for c in contents) == 1
    for tag in (b"n/", b"l/", b"b/", b"c/", b"*", b"+"):
        assert any(tag in c for c in contents)


def test_signals_are_ragged(corpus: Path) -> None:
    stems = {p.stem.rsplit("_", 1)[0] for p in corpus.rglob("*.wav")}
    for name, leading, fields in (("EDA", 2, 3), ("TEMP", 2, 3), ("IBI", 1, 4)):
        files = {p.stem: p for p in (corpus / name).rglob("*.csv")}
        assert set(files) < stems  # some are missing
        widths, tagged = set(), 0
        for path in files.values():
            rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
            widths |= {len(row) for row in rows[leading:]}
            tagged += sum(len(row) == fields and bool(row[-1]) for row in rows[leading:])
        assert {fields - 1, fields} <= widths
        assert tagged > 100
    sizes = [p.stat().st_size for p in (corpus / "IBI").rglob("*.csv")]
    assert 0 in sizes
    headers = [p for p in (corpus / "EDA").rglob("*.csv") if len(p.read_text().splitlines()) == 2]
    assert headers
    broken = [p for p in (corpus / "EDA").rglob("*.csv") if "nan?" in p.read_text()]
    assert broken
    assert all(re.match(r"nan\?\d+,,", p.read_text().splitlines()[2]) for p in broken)


@pytest.mark.parametrize("count", [1, 2, 3, 12, 17, 39, 40])
def test_session_17_is_always_there(count: int) -> None:
    numbers = session_numbers(count)
    assert len(set(numbers)) == len(numbers) == count
    assert 17 in numbers
    assert numbers == sorted(numbers)
    assert numbers[0] >= 1
    assert numbers[-1] <= 40


def test_same_seed_same_bytes_other_seed_other_people(tmp_path: Path) -> None:
    size = {"sessions": 1, "utterances_per_speaker": 3}
    first, again, other = (
        write_demo_corpus(tmp_path / name, seed=seed, **size)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert digest(first) == digest(again)
    texts = [{p.read_bytes() for p in root.rglob("*.txt")} for root in (first, other)]
    assert not (texts[0] & texts[1]) - {b"N/ u/\n"}


def test_it_is_written_once_and_replaced_when_asked_otherwise(tmp_path: Path) -> None:
    root = write_demo_corpus(tmp_path / "c", sessions=1, utterances_per_speaker=1)
    wav = next(root.rglob("*.wav"))
    before = wav.stat().st_mtime_ns
    assert write_demo_corpus(root, sessions=1, utterances_per_speaker=1) == root
    assert wav.stat().st_mtime_ns == before
    wav.unlink()  # damaged: it is written again
    write_demo_corpus(root, sessions=1, utterances_per_speaker=1)
    assert wav.exists()
    write_demo_corpus(root, sessions=1, utterances_per_speaker=2)
    assert len(list(root.rglob("*.wav"))) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_it_never_writes_over_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(CorpusError, match=r"did not write \(thesis\.tex\)[\s\S]*nothing was chang"):
        write_demo_corpus(tmp_path, sessions=1, utterances_per_speaker=1)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(CorpusError, match="is a file"):
        write_demo_corpus(tmp_path / "thesis.tex", sessions=1, utterances_per_speaker=1)

    own = write_demo_corpus(tmp_path / "own", sessions=1, utterances_per_speaker=1)
    (own / "notes.txt").write_text("mine")
    with pytest.raises(CorpusError, match=r"notes\.txt"):
        write_demo_corpus(own, sessions=1, utterances_per_speaker=2)
    assert (own / "notes.txt").read_text() == "mine"


def test_two_processes_at_once_both_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from emoflow.testing import write_demo_corpus as w; "
        "w(sys.argv[1], sessions=1, utterances_per_speaker=2)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "c")]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(list((tmp_path / "c").rglob("*.wav"))) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_writing_loads_no_torch() -> None:
    code = "import sys, emoflow.testing; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
    )


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    root = write_demo_corpus(tmp_path / "empty", sessions=1, utterances_per_speaker=1)
    assert (root / "ceiling.json").exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(wavfile, "write", full)
    with pytest.raises(StorageError, match=r"corpus: cannot be written \(No space[\s\S]*free some"):
        write_demo_corpus(tmp_path / "corpus", sessions=1, utterances_per_speaker=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sessions": 0}, "sessions is 0"),
        ({"sessions": 41}, "KEMDy20 has 40"),
        ({"utterances_per_speaker": 0}, "utterances_per_speaker is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_sizes_out_of_range(tmp_path: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_demo_corpus(tmp_path / "c", **options)
    assert list(tmp_path.iterdir()) == []


def test_ceiling_beside_the_corpus(corpus: Path) -> None:
    scores = json.loads((corpus / "ceiling.json").read_text())
    assert list(scores) == [
        "speech", "text", "signals", "speech+text", "speech+signals", "text+signals",
        "speech+text+signals",
    ]  # fmt: skip
    for values in scores.values():
        assert set(values) == {
            "macro_f1", "uar", "accuracy", "weighted_f1", "rmse_arousal", "ccc_arousal",
            "rmse_valence", "ccc_valence",
        }  # fmt: skip
    macro = {subset: values["macro_f1"] for subset, values in scores.items()}
    assert macro["speech+text+signals"] > macro["speech+text"] + 0.03
    for alone in ("speech", "text"):
        assert macro["speech+text"] > macro[f"{alone}+signals"] > macro[alone]
        assert macro[alone] > macro["signals"] + 0.1
    assert macro["signals"] > 0.2


def test_signals_that_are_not_planted_change_nothing_else(corpus: Path, null: Path) -> None:
    files = sorted(str(p.relative_to(corpus)) for p in corpus.rglob("*") if p.is_file())
    assert files == sorted(str(p.relative_to(null)) for p in null.rglob("*") if p.is_file())
    changed = {n for n in files if (corpus / n).read_bytes() != (null / n).read_bytes()}
    assert {n for n in changed if "/" not in n} == {
        ".emoflow-testing.json", "README.md", "ceiling.json",
    }  # fmt: skip
    assert {n.split("/")[0] for n in changed if "/" in n} == {"EDA", "IBI", "TEMP"}
    with_bodies, scores = (
        json.loads((root / "ceiling.json").read_text()) for root in (corpus, null)
    )
    for subset in ("speech", "text", "speech+text"):
        assert scores[subset] == scores[f"{subset}+signals"] == with_bodies[subset]
    assert scores["signals"]["uar"] == pytest.approx(0.2)


def lean(rows: list[list[str]], names: set[str]) -> float:
    """Return the share of the raters' votes that these emotions have."""
    return float(np.mean([vote in names for row in rows for vote in row[7::3]]))


@pytest.mark.parametrize("planted", [True, False])
def test_planted_signals_go_with_the_emotions(corpus: Path, null: Path, planted: bool) -> None:
    """Recordings of faster hearts get more aroused votes, those of warmer skin pleasanter ones."""
    root = corpus if planted else null
    recordings: dict[str, list[list[str]]] = {}
    for name, rows in annotations(root).items():
        for row in rows[2:]:
            stem = f"{name[:6]}{row[3].strip()[6:]}".upper().rsplit("_", 1)[0]
            recordings.setdefault(stem, []).append(row)
    found = []
    for folder, sign, more, less in (
        ("TEMP", 1, {"neutral", "happy", "surprise"}, {"angry", "sad"}),
        ("IBI", -1, {"happy", "surprise", "angry"}, {"neutral", "sad"}),
        ("EDA", 1, {"happy", "surprise", "angry"}, {"neutral", "sad"}),
    ):
        paths = [p for p in (root / folder).rglob("*.csv") if len(signal(p).values)]
        assert len(paths) > 40
        level = [sign * np.nanmean(signal(p).values) for p in paths]
        votes = [recordings[p.stem.upper()] for p in paths]
        leans = [lean(rows, more) - lean(rows, less) for rows in votes]
        found.append(np.corrcoef(level, leans)[0, 1])
    assert (np.mean(found) > 0.3) == planted
    assert planted or abs(np.mean(found)) < 0.2


def ccc(truth: np.ndarray, guess: np.ndarray) -> float:
    both = 2 * np.mean((truth - truth.mean()) * (guess - guess.mean()))
    return float(both / (truth.var() + guess.var() + (truth.mean() - guess.mean()) ** 2))


def test_speech_tells_arousal_and_words_tell_valence_of_new_speakers(corpus: Path) -> None:
    """Plain baselines, four sessions to learn from and one to be tested on."""
    speech, texts, arousal, valence, held = [], [], [], [], []
    for name, rows in annotations(corpus).items():
        for row in rows[2:]:
            stem = f"{name[:6]}{row[3].strip()[6:]}".upper()
            stem = stem.replace("SESS", "Sess").replace("SCRIPT", "script").replace("USER", "User")
            path = corpus / "wav" / f"Session{name[4:6]}" / stem
            wave = wavfile.read(path.with_suffix(".wav"))[1] / 32768
            frames = np.lib.stride_tricks.sliding_window_view(wave, 512)[::160]
            power = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
            bands = 10 * np.log10(power[:, 1:].reshape(len(power), 32, 8).sum(2) + 1e-8)
            bands -= bands.max()  # loudness is only heard against the room
            change = np.abs(np.diff(bands, axis=0)).mean(0)
            speech.append(np.r_[bands.mean(0), bands.std(0), change, np.log(len(wave))])
            texts.append(path.with_suffix(".txt").read_bytes().decode("cp949", errors="replace"))
            valence.append(float(row[5]))
            arousal.append(float(row[6]))
            held.append(name == "Sess40_eval.csv")
    test = np.array(held)
    features = np.array(speech)
    features = (features - features[~test].mean(0)) / features[~test].std(0)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    words.fit([t for t, h in zip(texts, held, strict=True) if not h])
    grams = words.transform(texts).toarray()
    for given, target, least in (
        (features, np.array(arousal), 0.70),
        (grams, np.array(valence), 0.65),
    ):
        ridge = RidgeCV(np.logspace(-1, 4, 8)).fit(given[~test], target[~test])
        assert ccc(target[test], ridge.predict(given[test])) > least
