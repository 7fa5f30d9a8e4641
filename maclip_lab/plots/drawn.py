"""What a figure shows, read back as numbers: the data that belong beside it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FuncFormatter

COLUMNS = (
    *("panel", "x_axis", "y_axis", "drawn", "series"),
    *("x", "x_label", "y", "y_label", "value"),
)

_NEAR = 0.5  # of the distance between two words, which is 1 on every axis of words


def drawn_data(figure: Figure) -> pd.DataFrame:
    """The numbers behind a figure, as drawn.

    Args:
        figure: of any function of this package.

    Returns:
        One row a point, corner or cell: its ``panel`` from 1 and what the axes are, how it is
        ``drawn``, the ``series`` it belongs to by the legend, ``x`` and ``y``, and the ``value``
        that a cell's colour stands for; ``x_label`` and ``y_label`` where an axis has words in
        place of numbers. Columns that nothing fills are left out. Photographs give no rows.
    """
    drawn = [
        pd.DataFrame(places, columns=["x", "y", "value"][: places.shape[1]]).assign(
            panel=panel, x_axis=ax.get_xlabel() or None, y_axis=ax.get_ylabel() or None,
            drawn=type(artist).__name__, series=_series(artist),
            x_label=_words(ax.xaxis, places[:, 0]), y_label=_words(ax.yaxis, places[:, 1]),
        )
        for panel, ax in enumerate(figure.axes, 1)
        for artist, places in _places(ax)
    ]  # fmt: skip
    if not drawn:
        return pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(drawn, ignore_index=True).dropna(axis=1, how="all")
    return table[[column for column in COLUMNS if column in table]]


def _places(ax: Axes) -> Iterator[tuple[Artist, np.ndarray]]:
    """What is drawn in the axes' own units: its points ``(N, 2)``, or cells ``(N, 3)``."""
    if ax.get_label() == "<colorbar>":
        return
    for artist in ax.get_children():
        found: list[np.ndarray] = []
        if isinstance(artist, Line2D) and _of_data(artist, ax):
            found = [np.column_stack(artist.get_data())]
        elif isinstance(artist, Patch) and artist is not ax.patch and _of_data(artist, ax):
            found = [artist.get_patch_transform().transform(artist.get_path().vertices)]
        elif isinstance(artist, PathCollection):
            found = [np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)]
        elif isinstance(artist, LineCollection):
            found = artist.get_segments()
        elif isinstance(artist, PolyCollection):
            found = [np.asarray(path.vertices) for path in artist.get_paths()]
        elif isinstance(artist, AxesImage):
            found = _cells(artist)
        if sum(map(len, found)):
            yield artist, np.concatenate(found)


def _of_data(artist: Artist, ax: Axes) -> bool:
    """Whether both coordinates are the axes' own; lines across all of an axis say nothing."""
    return artist.get_transform().contains_branch_seperately(ax.transData) == (True, True)


def _cells(image: AxesImage) -> list[np.ndarray]:
    values = image.get_array()
    if values is None or values.ndim != 2 or values.dtype == np.uint8:  # a photograph
        return []
    row, column = np.indices(values.shape)
    numbers: np.ndarray = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    return [np.column_stack([column.ravel(), row.ravel(), numbers.ravel()])]


def _series(artist: Artist) -> str | None:
    label = str(artist.get_label())
    return None if label.startswith("_") or not label else label


def _words(axis: Axis, places: np.ndarray) -> list[str | None]:
    """The word of an axis nearest to each place; None where numbers stand or none is near."""
    if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
        return [None] * len(places)
    words = [label.get_text().replace("\n", " ") for label in axis.get_ticklabels()]
    ticks = np.asarray(axis.get_ticklocs(), dtype=float)
    if not len(ticks):
        return [None] * len(places)
    apart = np.abs(np.nan_to_num(places, nan=np.inf)[:, None] - ticks)
    near = zip(apart.argmin(axis=1), apart.min(axis=1), strict=True)
    return [words[tick] if distance <= _NEAR else None for tick, distance in near]
