from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoflow.errors import ConfigError, CorpusError
from emoflow.studies.cluster_series import cut_series, gather_series, resampled, scaled
from emoflow.traces import SignalRecording, SignalTrace
from emoflow.types import Utterance
from tests.corpora.toy import ALLOW, Toy, rows, write


def eda(values: Any, start: float = 0.0) -> SignalTrace:
    values = np.asarray(values, float)
    return SignalTrace(values, start + np.arange(len(values)) / 4, "µS", 4.0)


RAMP = eda(1 + np.arange(400) / 100)


def test_the_utterance_or_the_seconds_before_its_end() -> None:
    values, seconds = cut_series(RAMP, "EDA", 20.0, 24.0)
    np.testing.assert_allclose(values, 1 + np.arange(80, 97) / 100)
    assert seconds == 4
    values, seconds = cut_series(RAMP, "EDA", 20.0, 24.0, window_s=10)
    np.testing.assert_allclose(values, 1 + np.arange(56, 97) / 100)  # nothing after the end
    assert seconds == 10


def test_long_series_are_averaged_to_64_readings() -> None:
    values, seconds = cut_series(RAMP, "EDA", 0.0, 50.0)
    assert len(values) == 64
    assert seconds == 50
    assert values.mean() == pytest.approx((1 + np.arange(201) / 100).mean())
    np.testing.assert_allclose(np.diff(values), 2 / 63, rtol=0.2)


def test_means_where_there_is_too_much_lines_where_there_is_too_little() -> None:
    np.testing.assert_allclose(resampled(np.array([1.0, 3, 5, 7]), 2), [2, 6])
    np.testing.assert_allclose(resampled(np.array([1.0, 3, 5]), 2), [5 / 3, 13 / 3])
    np.testing.assert_allclose(resampled(np.array([1.0, 3, 5]), 5), [1, 2, 3, 4, 5])


def test_a_gap_is_bridged_and_a_reading_out_of_range_is_a_gap() -> None:
    whole = 2 + np.arange(40) / 100
    for wrong in (np.nan, -1.0, 500.0):
        values = whole.copy()
        values[[10, 11, 20]] = wrong
        found, _ = cut_series(eda(values), "EDA", 0.0, 9.75)
        np.testing.assert_allclose(found, whole, atol=1e-12)


def test_irregular_beats_come_at_even_times() -> None:
    seconds = 0.8 + 0.1 * np.sin(np.arange(60) / 4)
    ends = np.cumsum(seconds)
    found, length = cut_series(SignalTrace(seconds, ends, "s"), "IBI", 10.0, 40.0)
    assert abs(length - 29) < 1.5
    times = ends[ends >= 10][0] + np.linspace(0, length, len(found))
    inside = times <= ends[ends <= 40][-1]  # the last reading holds to the end
    np.testing.assert_allclose(found[inside], np.interp(times, ends, seconds)[inside])
    assert np.count_nonzero(~inside) <= 1


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.full(40, 2.0), "flat"),
        (np.full(40, np.nan), "no reading in the span is a number"),
        (np.full(40, -3.0), "out of the physiological range"),
        (np.where(np.arange(40) % 3, 2 + np.arange(40) / 9, np.nan), "without readings"),
        (np.concatenate([np.full(20, np.nan), np.arange(1, 21)]), "without readings"),
        (np.concatenate([np.arange(1, 21), np.full(20, np.nan)]), "without readings"),
        (np.arange(1, 4), "fewer than 4 readings"),
    ],
)
def test_what_cannot_be_used_says_why(values: Any, why: str) -> None:
    found = cut_series(eda(values), "EDA", 0.0, 9.75)
    assert isinstance(found, str)
    assert why in found
    assert cut_series(RAMP, "EDA", 500.0, 510.0) == "no reading in the span"
    assert "fewer than 4" in str(cut_series(RAMP, "EDA", 20.0, 20.5))


def test_scaling() -> None:
    series = np.array([[1.0, 3, 2], [10, 10, 40]])
    np.testing.assert_allclose(scaled(series, "minmax"), [[0, 1, 0.5], [0, 0, 1]])
    standard = scaled(series, "standard")
    np.testing.assert_allclose(standard.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(standard.std(axis=1), 1)
    assert scaled(series, "none") is series


class Worn(Toy):
    """Every speaker wears a wristband; utterance i is said from 10 i to 10 i + 8 s."""

    reached: tuple[str, ...] = ()

    def read_signals(
        self, files: Mapping[str, str], utterances: Sequence[Utterance]
    ) -> SignalRecording:
        self.reached += tuple(u.id for u in utterances)
        speaker = utterances[0].speaker
        spans = {u.id: (10.0 * int(u.id[-1]), 10.0 * int(u.id[-1]) + 8) for u in utterances}
        spans.pop("s01_2", None)
        readings = 2 + np.random.default_rng(int(files["EDA"])).normal(0, 0.02, 400).cumsum()
        return SignalRecording({} if speaker == "s02" else {"EDA": eda(readings)}, spans)


def worn(tmp_path: Path, **changes: Any) -> Worn:
    table = rows(speakers=8, each=6)
    for number, row in enumerate(table):
        row["signals"] = None if number % 6 == 5 else {"EDA": row["speaker"][1:]}
        row |= {"speech": None, "text": "음", **changes}
    return Worn(str(write(tmp_path / "toy", table)), protocol=ALLOW)


def test_series_of_a_corpus(tmp_path: Path) -> None:
    corpus = worn(tmp_path)
    all_rows = np.arange(len(corpus.table))
    found = gather_series(corpus, all_rows, "eda")
    assert found.left_out == {
        "no biosignals": 8,
        "no EDA in the recording": 5,
        "the recording does not say where the utterance lies": 1,
    }
    assert len(found.rows) + sum(found.left_out.values()) == len(all_rows)
    assert (found.unit, found.steps) == ("µS", 33)
    assert found.ready(found.raw, "minmax").shape == (len(found.rows), 33)
    some = found.draw(21, np.random.default_rng(0))
    assert len(some.rows) == 21
    assert set(some.rows) < set(found.rows)
    for row, raw in zip(some.rows, some.raw, strict=True):
        np.testing.assert_array_equal(raw, found.raw[list(found.rows).index(row)])


def test_errors_name_what_there_is(tmp_path: Path) -> None:
    corpus = worn(tmp_path)
    all_rows = np.arange(len(corpus.table))
    with pytest.raises(ConfigError, match=r"no signal GSR\n.*one of: EDA"):
        gather_series(corpus, all_rows, "GSR")
    with pytest.raises(CorpusError, match=r"only 4 of 6 [^(]*.no biosignals: 1; .* lies: 1"):
        gather_series(corpus, np.arange(6, 12), "EDA")
    with pytest.raises(ConfigError, match=r"no utterance that .* has biosignals\n.*speech, text"):
        gather_series(corpus, np.array([5, 11]), "EDA")
