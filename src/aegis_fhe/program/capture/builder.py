"""The network under construction: names, weights, and values taken out of views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import Constant
from aegis_fhe.program.capture.views import View, whole
from aegis_fhe.program.network import Linear, Network, NetworkNode, NetworkOperator, TakeToken
from aegis_fhe.program.network.graph import INPUT


class NetworkBuilder:
    """Appends nodes. `leaves` are the paths of modules without children, which name their only operator."""

    def __init__(self, tokens: int, features: int, leaves: frozenset[str]) -> None:
        self.tokens = tokens
        self.features = features
        self.weights: dict[str, torch.Tensor] = {}
        self._leaves = leaves
        self._nodes: dict[str, NetworkNode] = {}
        self._rows = {INPUT: tokens}

    def network(self, result: str) -> Network:
        """All nodes, those that nothing uses included."""
        return Network(features=self.features, nodes=tuple(self._nodes.values()), result=result)

    def append(
        self,
        call: Call,
        operator: NetworkOperator,
        inputs: Sequence[str],
        features: int,
        name: str = "",
        rows: int | None = None,
    ) -> View:
        """The value of a new node, in its own order and the call's shape; `rows`: its tokens if others."""
        kind = type(operator).__name__.lower()
        path = call.path if call.path in self._leaves else f"{call.path}.{kind}".lstrip(".")
        name = _unused(name or path, {INPUT, *self._nodes})
        self._nodes[name] = NetworkNode(name=name, operator=operator, inputs=tuple(inputs), path=call.path)
        self._rows[name] = self._rows[inputs[0]] if rows is None else rows
        size = self._rows[name] * features
        fits = torch.Size(call.shape).numel() == size
        return whole(name, self._rows[name], features, call.shape if fits else (self._rows[name], features))

    def weight(self, constant: Constant) -> str:
        """The name of a weight: its parameter's path, numbered when the path holds other numbers already."""
        name, number = constant.origin, 2
        while name in self.weights and not torch.equal(self.weights[name], constant.tensor):
            name, number = f"{constant.origin}.{number}", number + 1
        self.weights[name] = constant.tensor
        return name

    def linear(self, call: Call, source: str, weight: Constant, bias: Constant | None) -> View:
        """x weight^T + bias; named after its weight."""
        n_out, n_in = weight.tensor.shape
        operator = Linear(
            weight=self.weight(weight),
            bias=None if bias is None else self.weight(bias),
            in_features=n_in,
            out_features=n_out,
        )
        return self.append(call, operator, [source], n_out, _layer_of(weight.origin))

    def rows(self, call: Call, operand: Any) -> str:
        """The value that an operand is, token by token; slices of a Linear become a Linear of their own."""
        if not isinstance(operand, View):
            raise call.refusal(
                "needs a value computed from the input; constants belong in a Linear or a norm"
            )
        if (operand.entries < 0).any():
            raise call.refusal("uses -x; nearest supported form: Linear, with the minus sign in its weight")
        found = operand.by_rows()
        if found is None:
            raise call.refusal("needs [1, tokens, features]: each token's features together, in one order")
        tokens, columns = found
        value = self.columns(call, operand, columns)
        return self._tokens(call, value, tokens, len(columns))

    def columns(self, call: Call, view: View, columns: torch.Tensor) -> str:
        """The chosen features of a view's value: itself, or a Linear with those rows of the weight."""
        if torch.equal(columns, torch.arange(view.features)):
            return view.value
        node = self._nodes.get(view.value)
        if node is None or not isinstance(node.operator, Linear):
            raise call.refusal(
                f"takes some features of {view.value} alone or in another order; nearest supported form: "
                "choose them in the weight of a Linear"
            )
        made = Call("linear", node.path, None, (), {}, ())
        weight = self._slice(node.operator.weight, columns)
        bias = None if node.operator.bias is None else self._slice(node.operator.bias, columns)
        return self.linear(made, node.inputs[0], weight, bias).value

    def rows_of(self, value: str) -> int:
        """Number of tokens of a value."""
        return self._rows[value]

    def _slice(self, name: str, rows: torch.Tensor) -> Constant:
        first, last = int(rows[0]), int(rows[-1])
        contiguous = torch.equal(rows, torch.arange(first, last + 1))
        part = f"{first}:{last + 1}" if contiguous else "reordered"
        return Constant(self.weights[name][rows], f"{name}[{part}]")

    def _tokens(self, call: Call, value: str, tokens: torch.Tensor, features: int) -> str:
        total = self._rows[value]
        if torch.equal(tokens, torch.arange(total)):
            return value
        if len(tokens) != 1 or int(tokens[0]) not in (0, total - 1):
            raise call.refusal(
                "uses some tokens only; supported: all, the first (x[:, 0]), the last (x[:, -1])"
            )
        take = TakeToken(index=0 if int(tokens[0]) == 0 else -1)
        return self.append(call, take, [value], features, f"{value}.token[{take.index}]", 1).value


def _layer_of(weight: str) -> str:
    """encoder.query.weight -> encoder.query; self_attn.in_proj_weight[0:32] -> self_attn.in_proj[0:32]."""
    path, bracket, part = weight.partition("[")
    return path.removesuffix("weight").rstrip("._") + bracket + part


def _unused(name: str, taken: Any) -> str:
    found, number = name, 2
    while found in taken:
        found, number = f"{name}.{number}", number + 1
    return found
