"""Arithmetic that is not read yet: what it stands for shows only when it is complete.

tanh, powers, means and products make a GELU, a norm or a rotation together. They are kept as a tree until an
operator needs the value; then the known forms are tried, and what remains is an addition or a product of two
values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import scalar
from aegis_fhe.program.capture.views import View

ARITHMETIC = {
    "add",
    "div",
    "erf",
    "masked_fill",
    "matmul",
    "mean",
    "mul",
    "pow",
    "rsqrt",
    "sigmoid",
    "softmax",
    "tanh",
    "where",
}


@dataclass(frozen=True, eq=False)
class Formula:
    """The value of an arithmetic operator whose operands are views, formulas, constants or numbers."""

    call: Call

    def __getitem__(self, name: str) -> Any:
        """An operand by its name."""
        return self.call[name]


def operand(symbol: Any, operator: str, name: str = "self") -> Any:
    """An operand of a formula of that operator; None for everything else."""
    return symbol[name] if isinstance(symbol, Formula) and symbol.call.operator == operator else None


def same(first: Any, second: Any) -> bool:
    """Whether two operands are one value."""
    if isinstance(first, View) and isinstance(second, View):
        return first.same(second)
    return first is second


def factors(symbol: Any) -> tuple[float, list[Any]]:
    """A product as (number, the other factors), products inside it included: 0.5 * x * y is (0.5, [x, y])."""
    number = scalar(symbol)
    if number is not None:
        return number, []
    for operator, sign in (("mul", 1), ("div", -1)):
        first, second = operand(symbol, operator), operand(symbol, operator, "other")
        if first is None or (sign < 0 and not scalar(second)):
            continue
        (left, some), (right, others) = factors(first), factors(second)
        return left * right**sign, some + others
    return 1.0, [symbol]


def sum_with_number(symbol: Any) -> tuple[Any, float] | None:
    """(x, c) of x + c for a number c; None for everything else."""
    if operand(symbol, "add") is None or symbol["alpha"] != 1:
        return None
    for term, other in ((symbol["self"], symbol["other"]), (symbol["other"], symbol["self"])):
        number = scalar(other)
        if number is not None:
            return term, number
    return None


def is_power(parts: list[Any], x: Any, exponent: int) -> bool:
    """Whether the factors' product is x^exponent, written as a power or a product."""
    total = 0.0
    for part in parts:
        base = operand(part, "pow")
        if not same(x, part if base is None else base):
            return False
        total += 1 if base is None else scalar(part["exponent"]) or math.nan
    return total == exponent


def close(number: float, expected: float) -> bool:
    """Whether two numbers are one constant, rounded to the digits that people write."""
    return math.isclose(number, expected, rel_tol=1e-6)
