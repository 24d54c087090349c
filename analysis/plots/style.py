"""The look that all plots share, and what a plot is."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8A8A8A",
)  # fmt: skip
"""Okabe and Ito's palette: told apart by colour-blind readers, and by their lightness in print."""

STATES = {
    "COMPLETE": (BLUE, "o"),
    "PRUNED": (ORANGE, "x"),
    "FAIL": (RED, "v"),
    "RUNNING": (GREY, "s"),
}
"""Colour and marker of each state."""

MOST_SVG_BYTES = 150_000
"""A picture of thousands of marks is smaller as pixels, and drawn at once."""

SCALE = "cividis"
"""For values in order: even in lightness, the same to all eyes."""

_LOOK = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": True,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "analysis",
}


@dataclass(frozen=True)
class Plot:
    """A figure, what to call it, and a sentence that says what it shows."""

    name: str
    title: str
    caption: str
    figure: Figure

    def save(self, path: str | Path) -> Path:
        """Write the figure as the path's ending says: .svg, .pdf or .png (at 300 dots an inch)."""
        with mpl.rc_context(_LOOK):  # type: ignore[arg-type]
            self.figure.savefig(
                path, dpi=300, metadata={"Date": None} if Path(path).suffix == ".svg" else None
            )
        return Path(path)

    def svg(self) -> str:
        """The figure as SVG text, the same for the same run."""
        text = io.StringIO()
        with mpl.rc_context(_LOOK):  # type: ignore[arg-type]
            self.figure.savefig(text, format="svg", dpi=150, metadata={"Date": None})
        return text.getvalue()

    @property
    def data_uri(self) -> str:
        """The figure as an address that holds it: as SVG, or where that would be large as WebP."""
        kind, data = "svg+xml", self.svg().encode()
        if len(data) > MOST_SVG_BYTES:
            kind, data = "webp", self._pixels()
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

    def _pixels(self) -> bytes:
        file = io.BytesIO()
        with mpl.rc_context(_LOOK):  # type: ignore[arg-type]
            self.figure.savefig(file, format="webp", dpi=150, pil_kwargs={"quality": 85})
        return file.getvalue()

    def _repr_html_(self) -> str:
        caption = html.escape(self.caption)
        return (
            f'<figure><img src="{self.data_uri}" alt="{caption}" style="max-width:100%">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


@contextmanager
def figure(
    rows: int = 1, columns: int = 1, *, width: float = 7.2, height: float = 3.4
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure in the common look and its axes, row by row; sizes in inches."""
    with mpl.rc_context(_LOOK):  # type: ignore[arg-type]
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, list(made.subplots(rows, columns, squeeze=False).flat)


def few(values: int, share: float = 1.0) -> float:
    """An opacity: many things drawn over one another are fainter."""
    faded: float = share * (60 / max(values, 1)) ** 0.5
    return max(0.12, min(1.0, faded))
