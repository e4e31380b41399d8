"""Pictures of a run that need its tables, as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from emoflow.evaluation import page as html
from emoflow.evaluation import plots
from emoflow.evaluation.drawing import to_png
from emoflow.evaluation.results import main_subset, scored
from emoflow.evaluation.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["curves", "plane", "scatter"]


def plane(run: RunFolder) -> str:
    """Show truth against prediction, put together from this run and its stages."""
    values = _predicted_values(run)
    rows = _main_rows(run)
    if rows is None or not {"arousal", "valence"} <= set(rows) or rows["key"].duplicated().any():
        return ""
    rows = rows[rows["arousal"].notna() & rows["valence"].notna()]
    if rows.empty:
        return ""
    labels = list(run.test.get("labels") or ())
    emotion = list(rows["emotion"]) if "emotion" in rows and rows["emotion"].notna().any() else None
    panels = [plots.Panel("rated", rows["valence"], rows["arousal"], emotion)]
    caption = "Each point is an utterance of the test split, where the raters put it"
    if {"arousal", "valence"} <= set(values):
        place = {t: values[t].reindex(rows["key"]).to_numpy() for t in ("valence", "arousal")}
        panels.append(plots.Panel("predicted", place["valence"], place["arousal"], emotion))
        caption += " and where the two regressors put it. Colours are the true emotions."
    elif labels and "predicted" in rows:
        panels.append(
            plots.Panel("rated", rows["valence"], rows["arousal"], list(rows["predicted"]))
        )
        panels[0] = panels[0]._replace(title="coloured by the true emotion")
        panels[1] = panels[1]._replace(title="coloured by the predicted emotion")
        caption += "."
    else:
        return ""
    figures = [plots.plane_figure([panel], labels, like=panels) for panel in panels]
    alt = "Utterances on the valence-arousal plane"
    return html.pictures(
        *(
            html.picture(to_png(f), f"{alt}, {p.title}")
            for f, p in zip(figures, panels, strict=True)
        )
    ) + html.text(caption, "quiet")


def _predicted_values(run: RunFolder) -> dict[str, pd.Series[float]]:
    """Return predicted arousal and valence by key, from whichever stage predicts them."""
    found: dict[str, pd.Series[float]] = {}
    for one in [*run.stages.values(), run]:
        rows = _main_rows(one)
        for target in ("arousal", "valence"):
            column = f"predicted_{target}"
            if rows is not None and column in rows and not rows["key"].duplicated().any():
                found[target] = rows.set_index("key")[column]
    return found


def curves(run: RunFolder) -> list[str]:
    """Show loss and monitored metric by epoch."""
    training = run.metrics.get("training") or {}
    if run.history is None or "epoch" not in run.history or run.history.empty:
        return []
    parts: tuple[Literal["loss", "metric"], ...] = ("loss", "metric")
    figures = [
        plots.curves_figure(
            run.history, training.get("monitor"), training.get("best_epoch"), (part,)
        )
        for part in parts
    ]
    return [html.picture(to_png(f), "Learning curve by epoch") for f in figures if f]


def scatter(run: RunFolder) -> str:
    """Show predicted against true values of a regressor."""
    target, rows = run.test.get("target"), _main_rows(run)
    if target not in ("arousal", "valence") or rows is None or f"predicted_{target}" not in rows:
        return ""
    figure = plots.values_figure(rows[target], rows[f"predicted_{target}"], target)
    return html.picture(
        to_png(figure),
        f"Predicted against true {target}",
        "Test utterances; on the dashed line the prediction is right.",
    )


def _main_rows(run: RunFolder) -> pd.DataFrame | None:
    """Return the scored test rows of the subset with the most modalities."""
    test = run.test
    if not test or "target" not in test:
        return None
    rows = run.test_rows(main_subset(list(test["subsets"])))
    if rows is None or "key" not in rows or test["target"] not in rows:
        return None
    return scored(rows, test["target"], test.get("labels") or ())
