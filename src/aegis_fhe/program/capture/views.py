"""How the elements of a value lie in a tensor of the exported graph.

Reshapes, transpositions, slices and concatenations are not interpreted one by one: each is run, as PyTorch
defines it, on a tensor of element numbers. What an operator then receives is read off the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant


@dataclass(frozen=True, eq=False)
class View:
    """Elements of one value [tokens, features] in the shape of a tensor.

    entries: token * features + feature of each element; the complement ~entry where its sign is reversed.
    """

    value: str
    features: int
    entries: torch.Tensor

    def same(self, other: View) -> bool:
        """Whether both hold the same elements in the same shape."""
        return self.value == other.value and torch.equal(self.entries, other.entries)

    def with_entries(self, entries: torch.Tensor) -> View:
        """Other elements of the same value."""
        return View(self.value, self.features, entries)

    def negated(self) -> View:
        """The same elements with the other sign."""
        return self.with_entries(~self.entries)

    def by_rows(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(tokens [m], features [d]) when the tensor is those rows and columns of the value, else None."""
        entries = self.entries.reshape(-1, self.entries.shape[-1])
        tokens, columns = entries[:, :1] // self.features, entries[:1] % self.features
        if (entries < 0).any() or not torch.equal(tokens * self.features + columns, entries):
            return None
        return tokens[:, 0], columns[0]

    def by_heads(self) -> torch.Tensor | None:
        """Features [heads, head_dim] when the tensor is [1.., heads, all tokens, head_dim], else None."""
        if self.entries.dim() < 2:
            return None
        entries = self.entries.reshape(-1, *self.entries.shape[-2:])
        columns = entries[:, :1]
        tokens = torch.arange(entries.shape[1])[:, None] * self.features
        if (columns < 0).any() or (columns >= self.features).any():
            return None
        return columns[:, 0] if torch.equal(tokens + columns, entries) else None


def whole(value: str, tokens: int, features: int, shape: tuple[int, ...]) -> View:
    """A value in its own order."""
    return View(value, features, torch.arange(tokens * features).reshape(shape))


def move(call: Call, views: dict[int, View]) -> Any:
    """A shape operator on the views that stand for its arguments, by id: a View, or a list of them."""
    first = next(iter(views.values()))
    if any(view.value != first.value for view in views.values()):
        raise call.refusal("joins several values; nearest supported form: Add, or one Linear for all")

    def entries(part: Any) -> Any:
        if id(part) in views:
            return views[id(part)].entries
        return part.tensor if isinstance(part, Constant) else part

    args, kwargs = call.substituted(entries)
    # The entries may lie in memory in another order than the tensor did, so view must be allowed to copy.
    result = args[0].reshape(call.shape) if "view" in call.operator else call.target(*args, **kwargs)
    if isinstance(result, torch.Tensor):
        return first.with_entries(result)
    return [first.with_entries(part) for part in result]
