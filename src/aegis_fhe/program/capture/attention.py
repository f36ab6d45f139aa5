"""From an ordinary `torch.nn.Module` to the description of an attention sub-layer, through `torch.export`.

The module computes LayerNorm(x + Linear(softmax(QK^T / sqrt(C)) V)) from one tensor x [batch, tokens,
features], as the attention block of a BERT-like encoder does (Hugging Face `BertAttention`, or one's own
module). What the exported graph contains is checked, not assumed: an operator that does not belong there is
refused with its module path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from aegis_fhe.errors import UnsupportedModuleError

Array = NDArray[np.float64]

# float32 against float64 on one sub-layer; anything else than this formula is off by far more.
MEANING_TOLERANCE = 1e-3

_SHAPE_ONLY = {
    "view",
    "reshape",
    "_unsafe_view",
    "transpose",
    "permute",
    "contiguous",
    "clone",
    "dropout",
    "alias",
}
_ARITHMETIC = {"linear", "scaled_dot_product_attention", "add", "layer_norm"}


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """y = x weight^T + bias; weight [out, in]."""

    path: str
    weight: Array
    bias: Array


@dataclass(frozen=True, kw_only=True)
class AttentionSubLayer:
    """Post-norm self-attention: LayerNorm(x + output(attention(query(x), key(x), value(x))))."""

    heads: int
    score_scale: float
    query: LinearLayer
    key: LinearLayer
    value: LinearLayer
    output: LinearLayer
    norm_weight: Array
    norm_bias: Array
    norm_eps: float

    @property
    def features(self) -> int:
        """Hidden width."""
        return int(self.query.weight.shape[1])

    def residual(self, hidden: Array) -> Array:
        """x + W_O attention(x) + b_O in float64, [tokens, features]: what the LayerNorm sees."""
        q, k, v = (self._heads(linear, hidden) for linear in (self.query, self.key, self.value))
        scores = q @ k.transpose(0, 2, 1) * self.score_scale
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        attended = (weights / weights.sum(axis=2, keepdims=True)) @ v
        joined = attended.transpose(1, 0, 2).reshape(hidden.shape)
        result: Array = hidden + joined @ self.output.weight.T + self.output.bias
        return result

    def evaluate(self, hidden: Array) -> Array:
        """The whole sub-layer in float64, [tokens, features]."""
        x = self.residual(hidden)
        centred = x - x.mean(axis=1, keepdims=True)
        normalised: Array = centred / np.sqrt(centred.var(axis=1, keepdims=True) + self.norm_eps)
        return normalised * self.norm_weight + self.norm_bias

    def _heads(self, linear: LinearLayer, hidden: Array) -> Array:
        """[heads, tokens, head_dim]."""
        projected = hidden @ linear.weight.T + linear.bias
        by_head: Array = projected.reshape(len(hidden), self.heads, -1).transpose(1, 0, 2)
        return by_head

    @property
    def head_dim(self) -> int:
        """Features of a head."""
        return self.features // self.heads


def capture_attention(module: torch.nn.Module, example: torch.Tensor) -> AttentionSubLayer:
    """Exports the module on `example` [1, tokens, features] and reads the sub-layer off the graph.

    Raises UnsupportedModuleError naming the module path of what does not fit, and what would.
    """
    module = module.eval()
    try:
        exported = torch.export.export(module, (example,))
    except Exception as error:
        raise UnsupportedModuleError(
            f"torch.export could not trace {type(module).__name__}: {str(error).splitlines()[0]}; "
            "the module must take one tensor [batch, tokens, features]"
        ) from error
    layer = _Reader(exported).read()
    _check_meaning(layer, module, example)
    return layer


def _check_meaning(layer: AttentionSubLayer, module: torch.nn.Module, example: torch.Tensor) -> None:
    """The right operators can still be put together wrongly: compares values on random hidden states."""
    hidden = torch.randn(example.shape, generator=torch.Generator().manual_seed(0), dtype=example.dtype)
    with torch.no_grad():
        result = module(hidden)
    output = (result[0] if isinstance(result, tuple) else result).double().numpy()
    expected = np.stack([layer.evaluate(row) for row in hidden.double().numpy()])
    difference = float(np.abs(output - expected).max())
    if not difference <= MEANING_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise UnsupportedModuleError(
            f"{type(module).__name__} has the operators of LayerNorm(x + Linear(attention(x))) but computes "
            f"something else (off by {difference:.3g} on random input): causal attention, another order of "
            "heads, weighted sums are not supported"
        )


class _Reader:
    """Walks the exported graph from its result back to its input."""

    def __init__(self, exported: torch.export.ExportedProgram) -> None:
        self.state: dict[str, Any] = {**exported.state_dict, **exported.constants}
        signature = exported.graph_signature
        self.parameters = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self.inputs = set(signature.user_inputs)
        self.result = next(node for node in exported.graph.nodes if node.op == "output").args[0][0]
        for node in exported.graph.nodes:
            self._check(node)

    def read(self) -> AttentionSubLayer:
        norm = self._expect(self.result, "layer_norm", "the last operator")
        residual = self._expect(_operand(norm, 0), "add", "the input of the LayerNorm")
        branches = [self._skip(_operand(residual, i)) for i in range(2)]
        source = [b for b in branches if b.name in self.inputs]
        projected = [b for b in branches if b.name not in self.inputs]
        if len(source) != 1 or len(projected) != 1:
            raise UnsupportedModuleError(
                f"{_path(residual)}: the LayerNorm must follow x + Linear(attention), "
                "with x the module's input"
            )
        output = self._expect(projected[0], "linear", "the second branch of the residual sum")
        attention = self._expect(
            _operand(output, 0), "scaled_dot_product_attention", "the input of the output projection"
        )
        query, key, value = (
            self._expect(_operand(attention, i), "linear", "an input of the attention") for i in range(3)
        )
        for projection in (query, key, value):
            if self._skip(_operand(projection, 0)) is not source[0]:
                raise UnsupportedModuleError(
                    f"{_path(projection)}: must be applied to the module's input itself"
                )
        if (
            any(argument is not None for argument in attention.args[3:4])
            or attention.kwargs.get("attn_mask") is not None
        ):
            raise UnsupportedModuleError(
                f"{_path(attention)}: an attention mask is not supported; padding is handled"
            )
        shape = _operand(attention, 0).meta["val"].shape
        heads, head_dim = int(shape[-3]), int(shape[-1])
        features = _operand(query, 1).meta["val"].shape[-1]
        if heads * head_dim != features:
            raise UnsupportedModuleError(
                f"{_path(attention)}: {heads} heads of {head_dim} do not make {features} features; expected "
                "queries [batch, heads, tokens, features / heads]"
            )
        scale: Any = attention.kwargs.get("scale")
        epsilon: Any = norm.args[4] if len(norm.args) > 4 else 1e-5
        return AttentionSubLayer(
            heads=heads,
            score_scale=float(scale) if scale is not None else 1 / math.sqrt(head_dim),
            query=self._linear(query),
            key=self._linear(key),
            value=self._linear(value),
            output=self._linear(output),
            norm_weight=self._tensor(norm.args[2], norm),
            norm_bias=self._tensor(norm.args[3], norm),
            norm_eps=float(epsilon),
        )

    def _check(self, node: fx.Node) -> None:
        if node.op != "call_function":
            return
        name = _operator(node)
        if name not in _SHAPE_ONLY | _ARITHMETIC:
            raise UnsupportedModuleError(
                f"{_path(node)}: operator {name} is not supported here; a sub-layer is made of "
                f"{', '.join(sorted(_ARITHMETIC))} and changes of shape"
            )

    def _skip(self, node: fx.Node) -> fx.Node:
        while node.op == "call_function" and _operator(node) in _SHAPE_ONLY:
            node = node.all_input_nodes[0]
        return node

    def _expect(self, node: fx.Node, name: str, role: str) -> fx.Node:
        found = self._skip(node)
        if found.op != "call_function" or _operator(found) != name:
            what = _operator(found) if found.op == "call_function" else "the input"
            raise UnsupportedModuleError(f"{_path(found)}: {role} must be {name}, found {what}")
        return found

    def _linear(self, node: fx.Node) -> LinearLayer:
        weight = self._tensor(node.args[1], node)
        has_bias = len(node.args) > 2 and node.args[2] is not None
        bias = self._tensor(node.args[2], node) if has_bias else np.zeros(weight.shape[0])
        if weight.shape[0] != weight.shape[1]:
            raise UnsupportedModuleError(f"{_path(node)}: expected a square weight, got {list(weight.shape)}")
        return LinearLayer(path=_path(node), weight=weight, bias=bias)

    def _tensor(self, argument: Any, node: fx.Node) -> Array:
        name = getattr(argument, "name", None)
        if name not in self.parameters:
            raise UnsupportedModuleError(f"{_path(node)}: weights must be parameters of the module")
        tensor: torch.Tensor = self.state[self.parameters[name]]
        return tensor.detach().to(torch.float64).numpy()


def _operand(node: fx.Node, index: int) -> fx.Node:
    """An argument of an operator, which must be a tensor."""
    argument = node.args[index]
    if not isinstance(argument, fx.Node):
        raise UnsupportedModuleError(
            f"{_path(node)}: argument {index} of {_operator(node)} must be a tensor, found {argument!r}"
        )
    return argument


def _operator(node: fx.Node) -> str:
    """aten.add.Tensor -> add."""
    name = getattr(node.target, "__name__", str(node.target))
    return name.split(".")[0]


def _path(node: fx.Node) -> str:
    """Dotted path of the module that called the operator."""
    stack: Iterable[tuple[str, Any]] = (node.meta.get("nn_module_stack") or {}).values()
    paths = [path for path, _ in stack if path]
    return paths[-1].removeprefix("L['self'].") if paths else node.name
