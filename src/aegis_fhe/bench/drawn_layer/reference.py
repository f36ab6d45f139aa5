"""A layer's exact meaning as a network, written independently of the encrypted graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.long.weights import LayerWeights
from aegis_fhe.program.network import (
    Add,
    Attention,
    LayerNorm,
    Linear,
    Multiply,
    Network,
    NetworkNode,
    NetworkOperator,
    RmsNorm,
    Rotary,
)
from aegis_fhe.program.network.graph import INPUT


def reference_network(shape: LayerShape) -> Network:
    """Hidden states -> hidden states; its weights are `named_weights`."""
    layer = _Layer(shape)
    attended = layer.attention(INPUT)
    middle = layer.add("middle", Add(), INPUT, attended)
    middle = middle if shape.pre_norm else layer.norm("first", middle)
    total = layer.add("sum", Add(), middle, layer.feed_forward(middle))
    result = total if shape.pre_norm else layer.norm("second", total)
    return Network(features=shape.features, nodes=tuple(layer.nodes), result=result)


def named_weights(weights: LayerWeights) -> dict[str, Array]:
    """Under the names that the network has for them."""
    assert weights.cosine is not None
    assert weights.sine is not None
    named = {f"{name}.weight": value for name, value in weights.matrices.items()}
    named |= {f"{name}.bias": value for name, value in weights.biases.items()}
    for name in ("first", "second"):
        named[f"{name}.norm"] = weights.norms[f"{name}.weight"]
        if f"{name}.bias" in weights.norms:
            named[f"{name}.norm.bias"] = weights.norms[f"{name}.bias"]
    return named | {"cosine": weights.cosine, "sine": weights.sine}


@dataclass
class _Layer:
    shape: LayerShape
    nodes: list[NetworkNode] = field(default_factory=list)

    def add(self, name: str, operator: NetworkOperator, *inputs: str) -> str:
        self.nodes.append(NetworkNode(name=name, operator=operator, inputs=inputs))
        return name

    def attention(self, x: str) -> str:
        """With the norm before it and the product after it."""
        s = self.shape
        queries, keys = s.heads * s.head_dim, s.key_value_heads * s.head_dim
        source = self.norm("first", x) if s.pre_norm else x
        q = self.linear("query", source, s.features, queries)
        k = self.linear("key", source, s.features, keys)
        v = self.linear("value", source, s.features, keys)
        if s.rotary:
            q = self.add("query.turned", self.rotary(s.heads), q)
            k = self.add("key.turned", self.rotary(s.key_value_heads), k)
        operator = Attention(
            heads=s.heads,
            key_value_heads=s.key_value_heads,
            head_dim=s.head_dim,
            scale=s.head_dim**-0.5,
            causal=s.causal,
        )
        return self.linear("output", self.add("attention", operator, q, k, v), queries, s.features)

    def feed_forward(self, x: str) -> str:
        """With the norm before it."""
        s = self.shape
        source = self.norm("second", x) if s.pre_norm else x
        units = self.linear("up", source, s.features, s.hidden)
        if s.gated:
            gate = self.linear("gate", source, s.features, s.hidden)
            units = self.add("gated", Multiply(), self.add("activated", s.activation, gate), units)
        else:
            units = self.add("activated", s.activation, units)
        return self.linear("down", units, s.hidden, s.features)

    def linear(self, name: str, x: str, size_in: int, size_out: int) -> str:
        bias = f"{name}.bias" if self.shape.biases else None
        linear = Linear(weight=f"{name}.weight", bias=bias, in_features=size_in, out_features=size_out)
        return self.add(name, linear, x)

    def norm(self, name: str, x: str) -> str:
        weight, n, epsilon = f"{name}.norm", self.shape.features, self.shape.epsilon
        if self.shape.norm == "rms":
            return self.add(name, RmsNorm(weight=weight, epsilon=epsilon, features=n), x)
        return self.add(name, LayerNorm(weight=weight, bias=f"{weight}.bias", epsilon=epsilon, features=n), x)

    def rotary(self, heads: int) -> Rotary:
        return Rotary(heads=heads, head_dim=self.shape.head_dim, cosine="cosine", sine="sine")
