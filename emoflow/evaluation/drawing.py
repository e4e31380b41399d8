"""What all pictures share: colours, fonts, plain axes, PNG files.

Emotions keep their colour from picture to picture, in a palette that colour-blind readers
can tell apart (Okabe and Ito 2008), and their marker, for print in grey.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emoflow.data.paths import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "ORANGE",
    "QUIET",
    "limits",
    "look",
    "new_figure",
    "plain_axes",
    "plain_titles",
    "save_figure",
    "to_pixels",
    "to_png",
]

INK = "#1b2733"
QUIET = "#6b7885"
_GRID = "#e3e8ed"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
_EMOTIONS = {
    "neutral": ("#8a8f98", "o"),
    "calm": ("#56b4e9", "P"),
    "happy": ("#e69f00", "^"),
    "surprise": ("#cc79a7", "D"),
    "angry": ("#d55e00", "s"),
    "sad": ("#0072b2", "v"),
    "disgust": ("#009e73", "X"),
    "fear": ("#5b3a91", "*"),
}
_OTHERS = list(_EMOTIONS.values())


def to_png(figure: Figure, dpi: int = 160) -> bytes:
    """Return a figure as PNG bytes; equal figures give equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(to_pixels(figure, dpi)).save(buffer, format="png", dpi=(dpi, dpi))
    return buffer.getvalue()


def to_pixels(figure: Figure, dpi: int = 100) -> NDArray[np.uint8]:
    """Return a figure's pixels, (height, width, 3).

    Hangul is drawn with a font that comes with emoflow's dependencies, on any machine; ``$`` is
    a dollar.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    families = _families()
    for words in figure.findobj(Text):
        words.set_fontfamily(families)
        words.set_parse_math(False)
    with matplotlib.rc_context({"font.family": families, "text.parse_math": False}):  # for ticks
        canvas: Any = FigureCanvasAgg(figure)  # partly without types
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.set_dpi(dpi)
        canvas.draw()  # savefig would draw it twice
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@functools.cache
def _families() -> list[str]:
    """Return the font families to draw with, in order; a letter takes the first that has it."""
    from matplotlib import font_manager

    home = importlib.util.find_spec("koreanize_matplotlib")
    for folder in (home and home.submodule_search_locations) or ():
        path = Path(folder) / "fonts" / "NanumGothic.ttf"
        if path.is_file():
            font_manager.fontManager.addfont(path)
            return ["DejaVu Sans", "NanumGothic"]
    return ["DejaVu Sans"]


def save_figure(figure: Figure, path: str | Path, dpi: int = 160) -> None:
    """Write a figure as a PNG file, whole or not at all."""
    atomic_write(path, to_png(figure, dpi))


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that draws without a display."""
    import logging

    from matplotlib.figure import Figure

    logging.getLogger("matplotlib.font_manager").setLevel(logging.WARNING)
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain_axes(axes: Axes) -> None:
    """Give axes a light grid behind the values, two quiet edges, and plain titles."""
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b9c2ca")
    axes.tick_params(colors=QUIET, labelsize=8)
    plain_titles(axes)


def plain_titles(axes: Axes) -> None:
    """Set titles and axis names in one size and ink."""
    for words in (axes.title, axes.xaxis.label, axes.yaxis.label):
        words.set_color(INK)
        words.set_fontsize(9.5)


def look(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Return colour and marker of an emotion, ``name``, among ``names``."""
    if name in _EMOTIONS:
        return _EMOTIONS[name]
    return _OTHERS[names.index(name) % len(_OTHERS)]


def limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the least and the largest finite value, with a margin."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
