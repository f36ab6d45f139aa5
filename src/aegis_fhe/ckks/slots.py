"""The values a ciphertext or a plaintext holds: one number in each slot, stored up to its period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis_fhe.errors import LayoutError, RangeError


@dataclass(frozen=True, eq=False)
class SlotVector:
    """Slot values v, repeated with period p = len(values): slot j holds values[j mod p].

    Shape: [p], p a power of two that divides the slot count (p equal to the slot count: a dense vector).
    dtype: float64 or complex128; other numeric types are converted. Raises LayoutError for another shape,
    RangeError for NaN or infinity. Identity (not value) equality, so vectors can be dictionary keys.
    """

    values: NDArray[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked(np.asarray(self.values), axes=1))

    @classmethod
    def of(cls, values: ArrayLike) -> SlotVector:
        """A vector from any sequence of numbers, or from one number (period 1)."""
        return cls(np.atleast_1d(np.asarray(values)))

    @classmethod
    def rows(cls, table: ArrayLike) -> list[SlotVector]:
        """A vector of each row of a table [count, p], which is checked as a whole; raises as one does."""
        return [cls._of_checked(row) for row in _checked(np.asarray(table), axes=2)]

    @classmethod
    def _of_checked(cls, values: NDArray[Any]) -> SlotVector:
        vector = object.__new__(cls)
        object.__setattr__(vector, "values", values)
        return vector

    @property
    def period(self) -> int:
        """Number of stored values, p."""
        return int(self.values.size)

    @property
    def is_real(self) -> bool:
        """True when the values are stored as float64."""
        return not np.iscomplexobj(self.values)

    @property
    def real(self) -> SlotVector:
        """The real parts, as float64."""
        return SlotVector(np.ascontiguousarray(self.values.real))

    @property
    def largest(self) -> float:
        """max |v|."""
        return float(np.abs(self.values).max())

    def dense(self, slots: int) -> NDArray[Any]:
        """All slot values, shape [slots]. Raises LayoutError when the period does not divide `slots`."""
        if slots % self.period:
            raise LayoutError(f"a vector of period {self.period} does not fit {slots} slots")
        return np.tile(self.values, slots // self.period)


def _checked(values: NDArray[Any], axes: int) -> NDArray[Any]:
    """As float64 or complex128: finite numbers along so many axes, the last one a period."""
    period = values.shape[-1] if values.ndim == axes else 0
    if period == 0 or period & (period - 1):
        expected = "one dimension" if axes == 1 else "rows"
        raise LayoutError(
            f"slot values have shape {values.shape}; expected {expected} with a power of two of values (the "
            "period): pad or tile them"
        )
    values = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64, copy=False)
    if not np.isfinite(values).all():
        raise RangeError("slot values contain NaN or infinity; only finite numbers can be encoded")
    return values
