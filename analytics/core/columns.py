"""State of many columns in one array, so that any set of columns can be put aside and put back bit by bit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Columns:
    """Named arrays `(*shape, n_columns)` that share one array `(n_rows, n_columns)`.

    Parameters
    ----------
    shapes : mapping from name to shape without the last axis
    n_columns : int
    dtype : dtype
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], n_columns: int, dtype: npt.DTypeLike) -> None:
        rows = [int(np.prod(shape)) for shape in shapes.values()]
        self._all: npt.NDArray[Any] = np.zeros((sum(rows), n_columns), dtype)
        self._parts: dict[str, npt.NDArray[Any]] = {}
        start = 0
        for (name, shape), n_rows in zip(shapes.items(), rows, strict=True):
            self._parts[name] = self._all[start : start + n_rows].reshape(*shape, n_columns)
            start += n_rows

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return the named array; it stays the same array for ever."""
        return self._parts[name]

    def take(self, columns: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        """Return a copy of everything that stands in these columns."""
        return self._all[:, columns]

    def put(self, columns: npt.NDArray[np.intp], saved: npt.NDArray[Any]) -> None:
        """Write back what `take` returned, to the same or to other columns."""
        self._all[:, columns] = saved

    def clear(self, columns: npt.NDArray[np.intp] | int) -> None:
        """Set everything in these columns to zero."""
        self._all[:, columns] = 0
