"""GELU and SiLU, spelled out."""

from __future__ import annotations

import math
from typing import Any

from aegis_fhe.program.capture.formula import close, factors, is_power, operand, same, sum_with_number
from aegis_fhe.program.network import Gelu, Silu

CUBIC = 0.044715  # Hendrycks and Gimpel, arXiv 1606.08415


def activation(symbol: Any) -> tuple[Gelu | Silu, Any] | None:
    """(operator, x) of a product that is an activation of x; None for everything else."""
    number, parts = factors(symbol)
    if len(parts) != 2:
        return None
    for x, gate in (parts, parts[::-1]):
        if close(number, 1.0) and same(operand(gate, "sigmoid"), x):
            return Silu(), x
        shifted = sum_with_number(gate)
        if shifted is None or not close(number, 0.5) or shifted[1] != 1.0:
            continue
        if _is_tanh_argument(operand(shifted[0], "tanh"), x):
            return Gelu(tanh=True), x
        scale, rest = factors(operand(shifted[0], "erf"))
        if close(scale, math.sqrt(0.5)) and is_power(rest, x, 1):
            return Gelu(), x
    return None


def _is_tanh_argument(argument: Any, x: Any) -> bool:
    """sqrt(2 / pi) (x + 0.044715 x^3), or sqrt(2 / pi) x (1 + 0.044715 x^2)."""
    number, parts = factors(argument)
    if not close(number, math.sqrt(2 / math.pi)):
        return False
    if len(parts) == 1:
        terms = operand(parts[0], "add"), operand(parts[0], "add", "other")
        return any(same(first, x) and _is_cubic_term(second, x, 3) for first, second in (terms, terms[::-1]))
    for first, second in (parts, parts[::-1]) if len(parts) == 2 else ():
        shifted = sum_with_number(second)
        if same(first, x) and shifted is not None and shifted[1] == 1.0:
            return _is_cubic_term(shifted[0], x, 2)
    return False


def _is_cubic_term(term: Any, x: Any, exponent: int) -> bool:
    number, parts = factors(term)
    return close(number, CUBIC) and is_power(parts, x, exponent)
