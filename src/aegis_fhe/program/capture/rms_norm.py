"""RMSNorm, spelled out as LLaMA does (Zhang and Sennrich, arXiv 1910.07467)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aegis_fhe.program.capture.constants import Constant
from aegis_fhe.program.capture.formula import factors, is_power, operand, sum_with_number


@dataclass(frozen=True, eq=False)
class SpelledNorm:
    """x / sqrt(mean(x^2) + epsilon) * weight."""

    x: Any
    epsilon: float
    weight: Constant | None


def rms_norm(symbol: Any) -> SpelledNorm | None:
    """The norm that a product is: x, its reciprocal root mean square, a constant. None for anything else."""
    number, parts = factors(symbol)
    weights = [part for part in parts if isinstance(part, Constant)]
    values = [part for part in parts if not isinstance(part, Constant)]
    if number != 1.0 or len(values) != 2 or len(weights) > 1:
        return None
    for x, root in (values, values[::-1]):
        epsilon = _epsilon(operand(root, "rsqrt"), x)
        if epsilon is not None:
            return SpelledNorm(x, epsilon, weights[0] if weights else None)
    return None


def _epsilon(argument: Any, x: Any) -> float | None:
    """c of mean(x^2, features) + c."""
    shifted = sum_with_number(argument)
    square = None if shifted is None else operand(shifted[0], "mean")
    if shifted is None or square is None or not is_power(factors(square)[1], x, 2):
        return None
    return shifted[1] if factors(square)[0] == 1.0 else None
