"""Small pieces of HTML from which a report is put together: no script, no second file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from emoflow.evaluation.tables import (
    excludes_zero,
    interval_text,
    metric_order,
    metric_title,
    number,
    share_of_way,
)

__all__ = [
    "Html",
    "banner",
    "cards",
    "details",
    "download",
    "escape",
    "facts",
    "image",
    "listing",
    "page",
    "picture",
    "pictures",
    "score",
    "score_table",
    "section",
    "sound",
    "table",
    "text",
]

CSS = """
:root{--ink:#1b2733;--quiet:#5d6b78;--line:#e3e8ed;--paper:#fff;--back:#f5f7f9;--blue:#0072b2;
--red:#b3261e;--amber:#8a5a00;color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);-webkit-text-size-adjust:100%;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans KR","Apple SD Gothic Neo",
"Malgun Gothic",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:.2rem 0 .3rem}
h2{font-size:1.2rem;margin:0 0 .8rem}h3{font-size:1rem;margin:1.4rem 0 .5rem}
p{margin:.4rem 0 .8rem}.lead{font-size:1.05rem}.quiet,figcaption,small{color:var(--quiet)}
small{font-size:.8rem}code{font:.85em ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
section{background:var(--paper);border:1px solid var(--line);border-radius:10px;
padding:1.1rem 1.2rem;margin:1rem 0}
.banner{border-radius:10px;padding:.8rem 1.1rem;margin:1rem 0;border:1px solid}
.banner p{margin:.15rem 0}.banner ul{margin:.3rem 0;padding-left:1.2rem}
.red{background:#fdecea;border-color:#f0b4ae;color:var(--red)}
.red strong{font-size:1.1rem}
.amber{background:#fff6e0;border-color:#eed9a4;color:var(--amber)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13.5rem,1fr));gap:.8rem}
.card{border:1px solid var(--line);border-radius:8px;padding:.8rem .9rem}
.card b{display:block;font-size:1.9rem;line-height:1.15;font-variant-numeric:tabular-nums}
.card svg{display:block;width:100%;height:34px;margin:.35rem 0 .1rem}
.scroll{overflow-x:auto;margin:0 -.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.93rem}
caption{text-align:left;color:var(--quiet);font-size:.85rem;padding-bottom:.3rem}
th,td{padding:.4rem .55rem;text-align:left;border-bottom:1px solid var(--line);
vertical-align:top}
thead th{color:var(--quiet);font-weight:600;font-size:.82rem;white-space:nowrap}
th.n,td.n{text-align:right;white-space:nowrap}tbody th{font-weight:600;white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}td small{display:block;line-height:1.2}
th small{font-weight:400}
tr.limit>*{background:var(--back);color:var(--quiet);font-weight:400}
.figures{display:grid;gap:1rem;margin:.9rem 0;
grid-template-columns:repeat(auto-fill,minmax(min(100%,18.5rem),1fr))}
figure{margin:0;max-width:44rem}img{display:block;max-width:100%;height:auto}
audio{display:block;width:100%;height:2.2rem;margin:.3rem 0}
figcaption{font-size:.85rem;margin:.3rem 0 .2rem}
dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.25rem 1rem;margin:.4rem 0}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
ul{margin:.3rem 0;padding-left:1.2rem}li{overflow-wrap:anywhere}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--blue)}
pre{background:var(--back);border:1px solid var(--line);border-radius:6px;padding:.7rem;
overflow:auto;font:.8rem/1.45 ui-monospace,Menlo,Consolas,monospace}
footer{color:var(--quiet);font-size:.85rem;margin-top:1.5rem}
@media(max-width:34rem){section{padding:.9rem .8rem}h1{font-size:1.45rem}
th,td{padding:.4rem .35rem}.scroll{margin:0 -.4rem}}
@media print{body{background:#fff;font-size:10.5pt}main{max-width:none;padding:0}
section{border:0;border-top:1px solid var(--line);border-radius:0;padding:.6rem 0}
figure,.card,tr,.banner,.scroll,dl{break-inside:avoid}h2,h3{break-after:avoid}
.scroll{overflow:visible}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


class Html(str):
    """A cell of a table that is HTML already."""


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole page; ``body`` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a section, or nothing if all of its parts are empty; ``parts`` are HTML."""
    inner = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str = "",
    text_columns: int = 1,
    limits: int = 0,
) -> str:
    """Return a table of text; the first ``text_columns`` columns stand left, the others right.

    The last ``limits`` rows are set apart: the floor, say.
    """

    def cell(value: Any, k: int) -> str:
        side = "" if k < text_columns else ' class="n"'
        return (
            f'<th scope="row"{side}>{_text(value)}</th>'
            if k == 0
            else (f"<td{side}>{_text(value)}</td>")
        )

    lines = ["".join(cell(value, k) for k, value in enumerate(row)) for row in rows]
    kinds = [""] * (len(lines) - limits) + [' class="limit"'] * limits
    body = [f"<tr{kind}>{line}</tr>" for kind, line in zip(kinds, lines, strict=True)]
    return _table(_head(header, text_columns), body, caption)


def score(found: Mapping[str, float | None] | None, *, signed: bool = False) -> Html:
    """Return a score as a cell, its interval below.

    ``signed`` is for differences: with their sign, bold where the interval excludes 0.
    """
    if found is None:
        return Html("–")
    value = f"{found['value']:+.3f}" if signed and found["value"] is not None else ""
    value = number(found["value"]) if value in ("", "+0.000", "-0.000") else value
    if signed and excludes_zero(found):
        value = f"<b>{value}</b>"
    return Html(f"{value}<small>{interval_text(found)}</small>")


def score_table(
    groups: Sequence[tuple[str, str, Mapping[str, Mapping[str, float | None]]]],
    limits: Sequence[tuple[str, str, Mapping[str, float | None]]] = (),
    *,
    first: str = "",
    metrics: Sequence[str] | None = None,
    caption: str = "",
) -> str:
    """Return a table of metrics with their intervals below the values.

    Parameters
    ----------
    groups
        Name, note below the name, and metric to ``{"value", "low", "high"}``.
    limits
        Name, note, and metric to value: the floor and the ceiling.
    first
        Heading of the first column.
    metrics
        The columns; all by default.
    caption
        Text above the table.
    """
    names = metrics or metric_order(list(groups[0][2]))
    rows = []
    for name, note, scores in groups:
        cells = "".join(f'<td class="n">{score(scores.get(m))}</td>' for m in names)
        rows.append(f"<tr>{_row_head(name, note)}{cells}</tr>")
    for name, note, values in limits:
        cells = "".join(f'<td class="n">{number(values.get(m))}</td>' for m in names)
        rows.append(f'<tr class="limit">{_row_head(name, note)}{cells}</tr>')
    return _table(_head([first, *map(metric_title, names)], 1), rows, caption)


def cards(
    scores: Mapping[str, Mapping[str, float | None]],
    floor: Mapping[str, float | None],
    ceiling: Mapping[str, float | None],
    metrics: Sequence[str],
) -> str:
    """Return the leading metrics as large numbers, each on a line from floor to ceiling."""
    shown = []
    for name in metrics:
        own, low, high = scores[name], floor.get(name), ceiling.get(name)
        value = own["value"]
        notes = [f"floor {number(low)}"] if low is not None else []
        notes += [f"ceiling {number(high)}"] if high is not None else []
        share = share_of_way(value, low, high)
        way = ""
        if share is not None:
            way = f"<br><small>{100 * share:.0f} % of the way from floor to ceiling</small>"
        interval = interval_text(own)
        small = f"<small>95 % interval {interval}</small>" if interval else ""
        shown.append(
            f'<div class="card">{escape(metric_title(name))}<b>{number(value)}</b>{small}'
            f"{_line(name, own, low, high)}<small>{' · '.join(notes)}</small>{way}</div>"
        )
    return f'<div class="cards">{"".join(shown)}</div>'


def picture(png: bytes, alt: str, caption: str = "") -> str:
    """Return a picture with its bytes inside the page."""
    width = int(0.64 * int.from_bytes(png[16:20], "big"))  # the header's pixels, at 160 per inch
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{image(png, alt, width)}{under}</figure>"


def image(png: bytes, alt: str, width: int | None = None) -> str:
    """Return a picture without a frame, ``width`` pixels of the page wide or as wide as it is."""
    wide = "" if width is None else f' width="{width}"'
    return f'<img src="{_inside("image/png", png)}"{wide} alt="{escape(alt)}">'


def sound(flac: bytes) -> str:
    """Return a player with its FLAC file inside the page."""
    return f'<audio controls preload="none" src="{_inside("audio/flac", flac)}"></audio>'


def download(name: str, content: bytes) -> str:
    """Return a link to a CSV or JSON file that lies inside the page."""
    kind = "application/json" if name.endswith(".json") else "text/csv"
    return f'<a download="{escape(name)}" href="{_inside(kind, content)}">{escape(name)}</a>'


def pictures(*found: str) -> str:
    """Return pictures side by side, one below the other on a phone."""
    inner = "".join(found)
    return f'<div class="figures">{inner}</div>' if inner else ""


def banner(colour: str, heading: str, lines: Sequence[str] = ()) -> str:
    """Return a coloured box, ``red`` or ``amber``; texts are escaped."""
    inner = "".join(f"<li>{escape(line)}</li>" for line in lines)
    below = f"<ul>{inner}</ul>" if inner else ""
    return (
        f'<div class="banner {colour}" role="note"><strong>{escape(heading)}</strong>{below}</div>'
    )


def facts(pairs: Mapping[str, Any]) -> str:
    """Return names and values; nested ones are written with dots."""
    flat = _flat(pairs)
    inner = "".join(f"<dt>{escape(k)}</dt><dd>{_text(v)}</dd>" for k, v in flat.items())
    return f"<dl>{inner}</dl>" if inner else ""


def listing(lines: Sequence[str], limit: int = 50) -> str:
    """Return a list, cut after ``limit`` lines with a count of the rest."""
    inner = "".join(f"<li>{escape(line)}</li>" for line in lines[:limit])
    if len(lines) > limit:
        inner += f"<li>and {len(lines) - limit:,} more</li>"
    return f"<ul>{inner}</ul>" if inner else ""


def details(summary: str, inner: str) -> str:
    """Return HTML that opens at a click."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>" if inner else ""


def text(words: str, kind: str = "") -> str:
    """Return a paragraph of escaped text."""
    return f'<p class="{kind}">{escape(words)}</p>' if kind else f"<p>{escape(words)}</p>"


def _inside(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _line(
    name: str, own: Mapping[str, float | None], floor: float | None, ceiling: float | None
) -> str:
    """Draw the value, its interval, the floor and the ceiling on one axis."""
    marks = [v for v in (*own.values(), floor, ceiling) if v is not None]
    start = min(0.0, *marks)
    end = max(1.0, *marks) if not name.startswith("rmse") else 1.15 * max(marks) or 1.0

    def at(value: float) -> str:
        return f"{2 + 96 * (value - start) / (end - start):.2f}%"

    value, low, high = own["value"], own.get("low"), own.get("high")
    parts = [_stroke(at(start), at(end), 17, "#d5dce3", 2)]
    for limit, colour in ((floor, "#5d6b78"), (ceiling, "#009e73")):
        if limit is not None:
            x = at(limit)
            parts.append(
                f'<line x1="{x}" x2="{x}" y1="5" y2="29" stroke="{colour}" stroke-width="2.5"/>'
            )
    if low is not None and high is not None:
        parts.append(_stroke(at(low), at(high), 17, "#7fb8d8", 8))
    if value is not None:
        parts.append(f'<circle cx="{at(value)}" cy="17" r="6" fill="#0072b2"/>')
    return f'<svg role="img" aria-label="{escape(metric_title(name))}">{"".join(parts)}</svg>'


def _stroke(start: str, end: str, y: int, colour: str, width: int) -> str:
    return (
        f'<line x1="{start}" x2="{end}" y1="{y}" y2="{y}" stroke="{colour}" '
        f'stroke-width="{width}" stroke-linecap="round"/>'
    )


def _table(head: str, rows: Sequence[str], caption: str) -> str:
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{above}{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _head(names: Sequence[str], text_columns: int) -> str:
    cells = "".join(
        f'<th scope="col"{"" if k < text_columns else " class=n"}>{escape(name)}</th>'
        for k, name in enumerate(names)
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _row_head(name: str, note: str) -> str:
    below = f"<small>{escape(note)}</small>" if note else ""
    return f'<th scope="row">{escape(name)}{"<br>" if below else ""}{below}</th>'


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Html):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value))) or "–"
    return escape(str(value))


def _flat(pairs: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
