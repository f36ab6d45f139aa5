"""softmax(scale Q K^T + mask) V, spelled out, as the "eager" attention of Hugging Face does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant, scalar
from aegis_fhe.program.capture.formula import Formula, factors, operand
from aegis_fhe.program.capture.masks import HIDDEN_SCORE


@dataclass(frozen=True, eq=False)
class SpelledAttention:
    """`call` is the softmax; `keys` are transposed, [1, heads, head_dim, tokens]."""

    call: Call
    queries: Any
    keys: Any
    values: Any
    scale: float
    mask: Constant | None


def spelled_attention(symbol: Any) -> SpelledAttention | None:
    """The attention that a matrix product is; None for anything else."""
    softmax = operand(symbol, "matmul")
    scores = operand(softmax, "softmax")
    if scores is None or softmax["dim"] not in (-1, len(softmax.call.shape) - 1):
        return None
    scores, mask = _mask(scores)
    scale, parts = factors(scores)
    queries, keys = (operand(parts[0], "matmul", name) for name in ("self", "other"))
    if queries is None or len(parts) != 1:
        return None
    (some, left), (other, right) = factors(queries), factors(keys)
    if len(left) != 1 or len(right) != 1:
        return None
    values = symbol["other"]
    return SpelledAttention(softmax.call, left[0], right[0], values, scale * some * other, mask)


def _mask(scores: Formula) -> tuple[Any, Constant | None]:
    """(scores before the mask, the mask): added to them, or where they are kept and elsewhere very small."""
    first, second = operand(scores, "add"), operand(scores, "add", "other")
    if isinstance(second, Constant) and scores["alpha"] == 1:
        return first, second
    if isinstance(first, Constant) and scores["alpha"] == 1:
        return second, first
    hidden, kept = operand(scores, "masked_fill", "mask"), operand(scores, "where", "condition")
    if isinstance(hidden, Constant) and _is_hidden(scores["value"]):
        return scores["self"], Constant(~hidden.tensor, hidden.origin)
    if isinstance(kept, Constant) and _is_hidden(scores["other"]):
        return scores["self"], kept
    return scores, None


def _is_hidden(value: Any) -> bool:
    number = scalar(value)
    return number is not None and number <= HIDDEN_SCORE
