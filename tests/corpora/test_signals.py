"""Recordings of biosignals, from the files of corpora to features of their utterances."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoflow.corpora import Corpora, Corpus, KEMDy19, KEMDy20, Manifest
from emoflow.corpora.kemdy19 import Role
from emoflow.corpora.signals import recordings
from emoflow.errors import CorpusError
from emoflow.frontends.signals import SignalFeatures, signal_features
from emoflow.testing import write_kemdy19
from emoflow.testing.e4_kemdy19 import LEAD
from emoflow.traces import SignalRecording
from emoflow.types import Utterance
from tests.corpora.fuzz import damaged, overwrite

pytestmark = pytest.mark.usefixtures("own_cache")

SESSIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "e4_sessions"
BEGIN = 1680686620


@pytest.fixture(scope="module")
def kemdy19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kemdy19") / "corpus"
    write_kemdy19(root)
    return root


def utterances(corpus: Corpus) -> Iterator[tuple[Utterance, SignalRecording]]:
    """Yield every utterance that has signals, with its recording."""
    table = corpus.table
    for rows, recording in recordings(table, range(len(table)), corpus.read_signals):
        for row in rows.tolist():
            yield table[row], recording


def features(utterance: Utterance, recording: SignalRecording) -> SignalFeatures:
    return signal_features(recording.traces, *recording.spans[utterance.id])


def known(found: list[SignalFeatures], name: str) -> np.ndarray:
    """Return the values of a feature where it is known."""
    place = found[0].names.index(name)
    return np.array([f.values[place] for f in found if f.known[place]])


# Generated corpora


@pytest.mark.parametrize("role", ["speaker", "listener", "both"])
def test_kemdy19_is_read_as_it_was_written(kemdy19: Path, role: Role) -> None:
    corpus = KEMDy19(root=str(kemdy19), role=role)
    count = 0
    begun: dict[tuple[str, str], set[float]] = {}
    for utterance, recording in utterances(corpus):
        begin, end = recording.spans[utterance.id]
        said = [float(utterance.extra[f"recording_{edge}"]) for edge in ("start", "end")]
        assert end - begin == pytest.approx(said[1] - said[0], abs=0.3)
        # one clock per recording, a whole number of seconds behind that of its file
        part = (str(utterance.extra["rated"]), str(utterance.extra["script"]))
        begun.setdefault(part, set()).add(round(begin - said[0] - LEAD))
        assert (begin - said[0] - LEAD + 0.02) % 1 < 0.04
        count += 1
    # session 7 of the six has no signals
    assert count == 30 * (2 if role == "both" else 1)
    assert all(len(shifts) == 1 for shifts in begun.values())
    persons = {person for person, _ in begun}
    assert len(persons) == 10
    for person in persons:
        first, second = sorted(min(s) for (whose, _), s in begun.items() if whose == person)
        assert first == 0
        assert second > 3600


def test_kemdy19_has_whole_recordings_of_plausible_signals(kemdy19: Path) -> None:
    found = []
    for utterance, recording in utterances(KEMDy19(root=str(kemdy19))):
        spoken = sum(end - begin for begin, end in recording.spans.values())
        ecg = recording.traces["ECG"]
        step = np.diff(ecg.times_s)
        assert np.median(step) == pytest.approx(1 / 64, abs=1e-6)
        assert np.sum(step[step < 1]) > spoken + 2 * LEAD
        for name, low, high in (("EDA", 0.3, 5), ("TEMP", 30, 36)):
            # beside the rows that are noise
            values = recording.traces[name].values if name in recording.traces else np.empty(0)
            usual = values[np.isfinite(values) & (values != 1)]
            assert np.all((usual >= low) & (usual <= high))
        found.append(features(utterance, recording))
    rates = known(found, "heart.rate")
    assert len(rates) == len(found) == 30
    assert np.all((rates > 60) & (rates < 90))
    assert np.all(known(found, "heart.sdnn") < 60)  # no beat is missed or seen twice
    # session 6 has ECG only; a file of session 9 is empty; none of it is made up
    assert len(known(found, "eda.scr_amplitude")) == 24
    assert 18 <= len(known(found, "temp.mean")) < 24
    assert np.all(np.abs(known(found, "temp.mean") - 33) < 3)


def test_recordings_without_tags_go_with_those_that_have_them(kemdy19: Path) -> None:
    """EDA and temperature of Sess01_impro03 name no utterance, its electrocardiogram does."""
    improvised = {
        u.id: features(u, recording)
        for u, recording in utterances(KEMDy19(root=str(kemdy19)))
        if u.id.startswith("Sess01_impro03")
    }
    assert improvised
    for found in improvised.values():
        assert found.quality["EDA"] == found.quality["TEMP"] == "good"


def test_kemdy20_gives_plausible_features(demo_root: Path) -> None:
    found, total = [], 0
    for utterance, recording in utterances(KEMDy20(root=str(demo_root))):
        total += 1
        if utterance.id not in recording.spans:
            continue
        begin, end = recording.spans[utterance.id]
        assert utterance.speech is not None
        assert utterance.speech.end is not None
        assert end - begin == pytest.approx(utterance.speech.end - utterance.speech.start, abs=0.8)
        found.append(features(utterance, recording))
    assert len(found) > 0.8 * total
    rates, warmth = known(found, "heart.rate"), known(found, "temp.mean")
    assert min(len(rates), len(warmth), len(known(found, "eda.tonic_mean"))) > 0.5 * total
    assert abs(np.median(rates) - 75) < 15
    assert np.all(np.abs(warmth - 33) < 4)


# Damage


def survive(
    recording_of: Callable[[], SignalRecording], file: Path, *, count: int, seed: int
) -> int:
    """Damage a signal file ``count`` times; return how many features were known in all."""
    content = file.read_bytes()
    rng = np.random.default_rng(seed)
    total = 0
    try:
        for _ in range(count):
            broken = content
            for _ in range(int(rng.choice([1, 4, 20]))):
                broken = damaged(broken, rng) if len(broken) > 1 else broken
            overwrite(file, broken)
            recording = recording_of()
            for trace in recording.traces.values():
                assert len(trace.values) == len(trace.times_s)
                assert not np.isinf(trace.values).any()
            for span in list(recording.spans.values())[:1]:
                assert np.isfinite(span).all()
                found = signal_features(recording.traces, *span)
                assert np.isfinite(found.values).all()
                assert not found.values[~found.known].any()
                total += int(found.known.sum())
    finally:
        file.write_bytes(content)
    return total


@pytest.mark.parametrize(("signal", "count"), [("ECG", 40), ("EDA", 40), ("TEMP", 40)])
def test_damaged_files_of_kemdy19(tmp_path: Path, signal: str, count: int) -> None:
    root = tmp_path / "corpus"
    planted = write_kemdy19(root, count=4, sessions=(2,))
    utterance = planted[-1]
    assert utterance.signals is not None
    corpus, files = KEMDy19(root=str(root)), dict(utterance.signals)
    file = Path(files[signal])
    assert survive(lambda: corpus.read_signals(files, [utterance]), file, count=count, seed=1) > 0


@pytest.mark.parametrize(("signal", "count"), [("EDA", 40), ("TEMP", 40), ("IBI", 40)])
def test_damaged_files_of_kemdy20(tmp_path: Path, demo_root: Path, signal: str, count: int) -> None:
    corpus = KEMDy20(root=str(demo_root))
    utterance = next(u for u in corpus.table if set(u.signals or {}) == {"EDA", "IBI", "TEMP"})
    files = {}
    for name, path in (utterance.signals or {}).items():
        files[name] = str(tmp_path / name / Path(path).parent.name / Path(path).name)
        Path(files[name]).parent.mkdir(parents=True)
        shutil.copy(path, files[name])
    file = Path(files[signal])
    assert survive(lambda: corpus.read_signals(files, [utterance]), file, count=count, seed=2) > 0


# A corpus of your own


def e4_export(folder: Path, seconds: int = 120) -> Path:
    """A session as a wristband exports it; skin conductance is 1 µS + the second / 100."""
    folder.mkdir(parents=True)
    times = np.arange(4 * seconds) / 4
    beats = np.arange(1, seconds, 0.8)
    files = {
        "EDA": [f"{BEGIN}.000000", "4.000000", *(f"{1 + t / 100:.6f}" for t in times)],
        "TEMP": [f"{BEGIN}.000000", "4.000000", *(f"{33 + 0.02 * (n % 2)}" for n in range(480))],
        "IBI": [f"{BEGIN}.000000, IBI", *(f"{t:.6f},0.800000" for t in beats)],
        "HR": [f"{BEGIN + 10}.000000", "1.000000", *["75.00"] * (seconds - 10)],
    }
    for name, lines in files.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


def manifest(folder: Path, rows: list[dict[str, object]], **options: Any) -> Manifest:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    folder.mkdir(exist_ok=True)
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    return Manifest(root=str(folder), **options)


def row(id: str, start: object = "", end: object = "", session: str = "day1") -> dict[str, object]:
    names = ("EDA", "TEMP", "IBI", "HR")
    files = {f"signal_{name}": f"{session}/{name}.csv" for name in names}
    return {"id": id, "text": "응", "signals_start": start, "signals_end": end, **files}


def test_a_manifest_reads_exports_of_a_wristband(tmp_path: Path) -> None:
    e4_export(tmp_path / "own" / "day1")
    corpus = manifest(
        tmp_path / "own",
        [row("a", BEGIN + 80, BEGIN + 83.5), row("b"), row("c", BEGIN + 10.25, BEGIN + 12)],
    )
    found = dict[str, SignalRecording]()
    for utterance, recording in utterances(corpus):
        found[utterance.id] = recording
    assert found["a"] is found["b"] is found["c"]
    recording = found["a"]
    assert recording.spans == {
        "a": (BEGIN + 80, BEGIN + 83.5),
        "c": (BEGIN + 10.25, BEGIN + 12),
    }
    assert set(recording.traces) == {"EDA", "TEMP", "IBI", "HR"}
    np.testing.assert_allclose(
        recording.traces["EDA"].values, 1 + (recording.traces["EDA"].times_s - BEGIN) / 100
    )
    values = dict(zip(*_features(recording, "a"), strict=True))
    assert values["heart.rate"] == pytest.approx(75)
    # the middle of the minute before 83.5 s
    assert values["eda.tonic_mean"] == pytest.approx(1 + 53.5 / 100, abs=0.01)
    assert values["eda.tonic_slope"] == pytest.approx(0.6, abs=0.01)
    assert values["temp.mean"] == pytest.approx(33.01, abs=0.001)


def _features(recording: SignalRecording, id: str) -> tuple[tuple[str, ...], list[float]]:
    found = signal_features(recording.traces, *recording.spans[id])
    return found.names, found.values.tolist()


def test_names_of_signals_are_written_as_the_wristband_does(tmp_path: Path) -> None:
    e4_export(tmp_path / "own" / "day1")
    corpus = manifest(
        tmp_path / "own",
        [{"id": "a", "text": "응", "signal_eda": "day1/EDA.csv", "signal_ecg": "absent.csv"}],
    )
    ((_, recording),) = utterances(corpus)
    assert {name: len(t.values) for name, t in recording.traces.items()} == {"EDA": 480, "ecg": 0}
    assert recording.spans == {}


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("soon", "5", "signals_start is 'soon', not a number(.|\n)*leave the cell empty"),
        ("5", "", "signals_start to signals_end is 5.0 to nothing(.|\n)*into both"),
        ("5", "4.5", "is 5.0 to 4.5(.|\n)*the start first"),
        ("5", "inf", "is 5.0 to inf(.|\n)*UTC since 1970"),
    ],
)
def test_times_that_are_none_are_refused_by_id(
    tmp_path: Path, start: str, end: str, message: str
) -> None:
    e4_export(tmp_path / "own" / "day1")
    rows = [row("fine", 1, 2), row("odd one", start, end)]
    with pytest.raises(CorpusError, match=rf"manifest.csv, row 3, id odd one: .*{message}"):
        next(iter(manifest(tmp_path / "own", rows).table))
    corpus = manifest(tmp_path / "own", rows, on_bad_utterance="skip")
    assert [u.id for u in corpus.table] == ["fine"]
    assert [skip.id for skip in corpus.skipped] == ["odd one"]
    utterance = Utterance(
        id="odd", corpus="manifest", extra={"signals_start": start, "signals_end": end}
    )
    with pytest.raises(CorpusError, match=f"id odd: .*{message}"):
        corpus.read_signals({}, [utterance])


def test_columns_of_these_names_without_signals_are_yours(tmp_path: Path) -> None:
    corpus = manifest(tmp_path / "own", [{"id": "a", "text": "응", "signals_start": "soon"}])
    assert corpus.table[0].extra == {"signals_start": "soon"}


def test_damaged_exports(tmp_path: Path) -> None:
    folder = e4_export(tmp_path / "own" / "day1")
    corpus = manifest(tmp_path / "own", [row("a", BEGIN + 80, BEGIN + 83.5)])
    utterance = corpus.table[0]
    files = dict(utterance.signals or {})

    def read() -> SignalRecording:
        return corpus.read_signals(files, [utterance])

    for seed, name in enumerate(("EDA", "IBI", "TEMP")):
        assert survive(read, folder / f"{name}.csv", count=20, seed=seed) > 0


@pytest.mark.skipif(not SESSIONS.is_dir(), reason="no ../shared/data/e4_sessions")
@pytest.mark.parametrize(
    ("folder", "names", "least"),
    # Whoever wore the first one typed all the time: its pulse is rarely good.
    [("msr2023", ("temp.mean", "eda.tonic_mean"), 9), ("flirt/empatica", ("heart.rate",), 5)],
)
def test_real_exports_through_a_manifest(
    tmp_path: Path, folder: str, names: tuple[str, ...], least: int
) -> None:
    place = SESSIONS / folder
    files = {f"signal_{n}": str(place / f"{n}.csv") for n in ("EDA", "TEMP", "IBI", "HR")}
    begin = float((place / "EDA.csv").read_text().split(",")[0].split()[0])
    times = [begin + 60.0 * minute for minute in range(4, 24, 2)]
    rows = [
        {"id": f"u{n}", "text": "응", "signals_start": t, "signals_end": t + 4, **files}
        for n, t in enumerate(times)
    ]
    table = list(utterances(manifest(tmp_path, rows)))
    found = [features(u, recording) for u, recording in table]
    assert len(found) == 10
    device = table[0][1].traces["HR"]
    usual = {"temp.mean": (25, 37), "eda.tonic_mean": (0.01, 20), "heart.rate": (40, 160)}
    for name in names:
        values = known(found, name)
        assert len(values) >= least
        assert np.all((values > usual[name][0]) & (values < usual[name][1]))
    if "heart.rate" in names:
        own = [device.values[(device.times_s > t - 56) & (device.times_s <= t + 4)] for t in times]
        values = np.array([f.values[f.names.index("heart.rate")] for f in found])
        there = np.array([f.known[f.names.index("heart.rate")] for f in found])
        apart = (values - [v.mean() for v in own])[there]
        assert np.median(np.abs(apart)) < 5


# Several corpora as one


def test_parts_read_their_own_signals(demo_root: Path, tmp_path: Path) -> None:
    write_kemdy19(tmp_path / "kemdy19", count=4, sessions=(2,))
    e4_export(tmp_path / "own" / "day1")
    rows = [{**row("a", BEGIN + 80, BEGIN + 83), "corpus": "mine"}]
    parts: list[Corpus] = [
        KEMDy19(root=str(tmp_path / "kemdy19")),
        KEMDy20(root=str(demo_root)),
        manifest(tmp_path / "own", rows),
    ]
    alone = {
        u.key: recording.spans.get(u.id) for part in parts for u, recording in utterances(part)
    }
    for together in (Corpora(parts), Corpora([Corpora(parts[:2]), parts[2]])):
        found = {u.key: r.spans.get(u.id) for u, r in utterances(together)}
        assert found == alone
        assert {key.split("/")[0] for key in found} == {"kemdy19", "kemdy20", "mine"}
