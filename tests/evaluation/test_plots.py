from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from emoflow.evaluation import (
    confusion_figure,
    curves_figure,
    plane_figure,
    reliability_figure,
    save_figure,
    subsets_figure,
    to_png,
    values_figure,
)
from emoflow.evaluation.plots import Panel
from emoflow.evaluation.tables import SubsetRow

LABELS = ["neutral", "sad", "happy"]
MATRIX = np.array([[50, 2, 3], [4, 5, 0], [1, 0, 9]])


def words(figure: Figure) -> set[str]:
    import matplotlib.text

    return {t.get_text() for t in figure.findobj(matplotlib.text.Text)} - {""}


def test_confusion_shows_counts_and_rows() -> None:
    figure = confusion_figure(MATRIX, LABELS, title="fold 0")
    counts, rows = figure.axes
    assert [t.get_text() for t in counts.texts] == [str(n) for n in MATRIX.reshape(-1)]
    shares = (100 * MATRIX / MATRIX.sum(1, keepdims=True)).reshape(-1)
    assert [t.get_text() for t in rows.texts] == [f"{n:.0f}" for n in shares]
    assert {"true", "predicted", "fold 0", *LABELS} <= words(figure)
    assert len(confusion_figure(MATRIX, LABELS, ("rows",)).axes) == 1
    empty = np.zeros((3, 3))
    to_png(confusion_figure(empty, LABELS))


def test_png_is_a_picture_and_repeatable(tmp_path: Path) -> None:
    first, second = (to_png(confusion_figure(MATRIX, LABELS)) for _ in range(2))
    assert first == second
    assert Image.open(io.BytesIO(first)).format == "PNG"
    save_figure(confusion_figure(MATRIX, LABELS), tmp_path / "deep" / "confusion.png")
    assert (tmp_path / "deep" / "confusion.png").read_bytes() == first


@pytest.mark.filterwarnings("error")  # a glyph that the font lacks is a warning
def test_hangul_is_drawn() -> None:
    labels = ["중립", "sad", "기쁨"]
    to_png(confusion_figure(MATRIX, labels))
    panel = Panel("rated", [1, 2], [3, 4], ["기쁨", "sad"])
    figure = plane_figure([panel], labels)
    to_png(figure)
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"sad", "기쁨"}


def test_plane_shares_axes_and_draws_rare_emotions_last() -> None:
    emotion = ["neutral"] * 5 + ["sad", None]
    rated = Panel("rated", np.arange(7.0), np.arange(7.0), emotion)
    other = Panel("predicted", np.arange(7.0) + 2, np.arange(7.0), emotion)
    figure = plane_figure([rated, other], ["sad", "neutral"])
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim()
    assert [len(c.get_offsets()) for c in left.collections] == [5, 1]
    alone = plane_figure([rated], like=[other])
    assert alone.axes[0].get_xlim() == left.get_xlim()
    to_png(plane_figure([Panel("one", [1, np.nan], [1, 2])]))
    to_png(plane_figure([Panel("none", [], [])]))


def test_values() -> None:
    figure = values_figure([1, 2, np.nan], [1.5, 2, 3], "arousal")
    assert len(figure.axes[0].collections[0].get_offsets()) == 2
    assert {"true arousal", "predicted arousal"} <= words(figure)
    to_png(values_figure([], [], "valence"))


def test_curves_join_the_rows_of_an_epoch() -> None:
    history = pd.DataFrame(
        {
            "epoch": [0, 0, 1, 1],
            "train/loss": [2.0, np.nan, 1.0, np.nan],
            "val/loss": [np.nan, 2.5, np.nan, 1.5],
            "val/macro_f1": [np.nan, 0.2, np.nan, 0.4],
        }
    )
    figure = curves_figure(history, "val/macro_f1", best_epoch=1)
    assert figure is not None
    loss, metric = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines[:2]] == [[2.0, 1.0], [2.5, 1.5]]
    assert list(metric.lines[0].get_ydata()) == [0.2, 0.4]
    assert "best epoch" in words(figure)
    alone = curves_figure(history, "val/loss")
    assert alone is not None
    assert len(alone.axes) == 1
    assert curves_figure(history[["epoch"]]) is None


def test_reliability() -> None:
    bins = [
        {"low": 0.4, "high": 0.5, "utterances": 3, "confidence": 0.45, "accuracy": 0.3},
        {"low": 0.9, "high": 1.0, "utterances": 9, "confidence": 0.97, "accuracy": 1.0},
    ]
    figure = reliability_figure(bins)
    assert [bar.get_height() for bar in figure.axes[1].patches] == [3, 9]
    to_png(figure)


def test_subsets_show_score_ceiling_floor_and_the_net_of_its_own() -> None:
    def score(value: float) -> dict[str, float | None]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    rows = [
        SubsetRow("speech+text", score(0.8), None, None, 0.9, 0.9),
        SubsetRow("speech", score(0.5), score(0.6), None, 0.7, 0.5),
        SubsetRow("text", {"value": 0.3, "low": None, "high": None}, score(0.4), None, None, None),
    ]
    figure = subsets_figure(rows, "macro F1", 0.2)
    (axes,) = figure.axes
    filled, hollow = (
        c for c in axes.collections if len(c.get_offsets()) == 3 and c.get_sizes().size
    )
    assert filled.get_offsets()[:, 0].tolist() == [0.8, 0.5, 0.3]
    assert hollow.get_offsets()[1:, 0].tolist() == [0.6, 0.4]
    assert np.ma.getmaskarray(hollow.get_offsets())[:, 0].tolist() == [True, False, False]
    top = axes.transData.transform([(0.8, 0), (0.3, 2)])[:, 1]
    assert top[0] > top[1]  # the first row stands on top
    assert {"speech+text", "macro F1", "ceiling", "floor", "trained on it alone"} <= words(figure)
    to_png(figure)
    plain = subsets_figure([row._replace(retrained=None, ceiling=None) for row in rows], "UAR")
    assert not {"ceiling", "floor", "trained on it alone"} & words(plain)
    to_png(plain)


def test_nothing_is_left_in_pyplot() -> None:
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    to_png(confusion_figure(MATRIX, LABELS))
    assert plt.get_fignums() == before
