"""Arithmetic that is not read yet: what it stands for shows only when it is complete.

tanh, powers, means and products make a GELU, a norm or a rotation together. They are kept as a tree until an
operator needs the value; then the known forms are tried, and what remains is an addition or a product of two
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.views import View

ARITHMETIC = {"add", "mul", "tanh"}


@dataclass(frozen=True, eq=False)
class Formula:
    """The value of an arithmetic operator whose operands are views, formulas, constants or numbers."""

    call: Call

    @property
    def operator(self) -> str:
        """Name of the outermost operator."""
        return self.call.operator


def same(first: Any, second: Any) -> bool:
    """Whether two operands are one value."""
    if isinstance(first, View) and isinstance(second, View):
        return first.same(second)
    return first is second
