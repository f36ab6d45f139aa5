"""Rotary position embedding, spelled out as LLaMA does (Su et al., arXiv 2104.09864)."""

from __future__ import annotations

from typing import Any

import torch

from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant
from aegis_fhe.program.capture.formula import Formula, operand
from aegis_fhe.program.capture.heads import by_head, heads_of
from aegis_fhe.program.capture.views import View
from aegis_fhe.program.network import Rotary


def rotary(formula: Formula, builder: NetworkBuilder) -> View | None:
    """x cos + rotated(x) sin as one node, both tables known at capture; None for anything else."""
    products = [_with_table(operand(formula, "add", name)) for name in ("self", "other")]
    if None in products or formula["alpha"] != 1:
        return None
    for first, second in (products, products[::-1]):
        if first is None or second is None:
            return None
        (x, cosine), (rotated, sine) = first, second
        if x.value == rotated.value and torch.equal(rotated.entries, _rotated(x.entries)):
            return _node(formula.call, builder, x, cosine, sine)
    return None


def _with_table(product: Any) -> tuple[View, Constant] | None:
    """(value, table) of a product of both."""
    first, second = operand(product, "mul"), operand(product, "mul", "other")
    for view, table in ((first, second), (second, first)):
        if isinstance(view, View) and isinstance(table, Constant):
            return view, table
    return None


def _rotated(entries: torch.Tensor) -> torch.Tensor:
    """(-second half, first half) of the last dimension."""
    first, second = entries.chunk(2, dim=-1)
    return torch.cat([~second, first], dim=-1)


def _node(call: Call, builder: NetworkBuilder, x: View, cosine: Constant, sine: Constant) -> View:
    columns = heads_of(call, builder, x)
    heads, head_dim = columns.shape
    operator = Rotary(
        heads=heads,
        head_dim=head_dim,
        cosine=builder.weight(_table(call, cosine, "cosine")),
        sine=builder.weight(_table(call, sine, "sine")),
    )
    source = builder.columns(call, x, columns.reshape(-1))
    made = builder.append(call, operator, [source], heads * head_dim, f"{source}.rotary")
    return made.with_entries(by_head(builder.tokens, heads, head_dim).reshape(call.shape))


def _table(call: Call, constant: Constant, kind: str) -> Constant:
    """[tokens, head_dim], the same for all heads."""
    by_heads = constant.tensor.expand(call.shape).reshape(-1, *call.shape[-2:])
    if not torch.equal(by_heads, by_heads[:1].expand_as(by_heads)):
        raise call.refusal("rotates each head by another table; nearest supported form: Rotary, one for all")
    return Constant(by_heads[0], f"{constant.origin}.{kind}")
