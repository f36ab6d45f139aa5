"""A network read as decoder layers: x + attention(norm(x)), y + feed-forward(norm(y))."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.long.shape import LayerRanges, LayerShape
from aegis_fhe.program.long.weights import LayerWeights
from aegis_fhe.program.network import (
    Attention,
    Gelu,
    LayerNorm,
    Linear,
    Multiply,
    Network,
    RmsNorm,
    Rotary,
    Silu,
)
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.network.walk import NetworkWalk
from aegis_fhe.program.simulate import NetworkRanges

Norm = LayerNorm | RmsNorm


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderLayer:
    """A layer's shape and weights, and which node of the network makes what.

    values: names of "input", "middle" (after attention), "result", both norms ("first", "second"),
    "attention", "activation" (what the activation is applied to) and, where gated, "up".
    """

    shape: LayerShape
    weights: LayerWeights
    values: dict[str, str]

    def ranges(self, known: NetworkRanges) -> LayerRanges:
        """Of this layer."""
        names, bounds = self.values, known.bounds
        softmax = known.attention[names["attention"]]
        return LayerRanges(
            score=softmax.score,
            denominator=softmax.denominators[-1],
            rounds=softmax.denominators[:-1],
            unit=softmax.unit,
            first_norm=known.variance[names["first"]].whole,
            second_norm=known.variance[names["second"]].whole,
            activation=bounds[names["activation"]],
            up=bounds[names["up"]] if self.shape.gated else bounds[names["activation"]],
            hidden=max(bounds[names[value]] for value in ("input", "middle", "result")),
            normalised=float(np.sqrt(self.shape.features)),  # |x_f| <= sqrt(sum of all squares)
            value=bounds[names["attention"]],
        )

    def weights_for(self, known: NetworkRanges, public: Array | None) -> LayerWeights:
        """The weights with what the calibration subtracts from scores, and with public tokens.

        public: hidden states [public tokens, features] before the layer.
        """
        softmax = known.attention[self.values["attention"]]
        return replace(
            self.weights,
            shift=np.array(softmax.shift),
            growth=np.array(softmax.growth),
            key_offset=np.array(softmax.key_offset),
            public=public,
        )


def decoder_layers(network: Network, weights: Weights) -> list[DecoderLayer]:
    """The layers from first to last; a norm after the last belongs to the client.

    Raises UnsupportedModuleError naming the module path of what is not a layer that normalises first.
    """
    reader, value = _Reader(network, weights), network.result
    if reader.made_by(value, (LayerNorm, RmsNorm)):
        value = reader.producers[value].inputs[0]
    layers: list[DecoderLayer] = []
    while value != INPUT:
        layer = reader.layer(value)
        value = layer.values["input"]
        layers.insert(0, layer)
    if not layers:
        raise UnsupportedModuleError("the network has no layer")
    return layers


@dataclass
class _Found:
    """What has been read of a layer."""

    matrices: dict[str, Array]
    biases: dict[str, Array]
    values: dict[str, str]


class _Reader(NetworkWalk):
    """Walks from a layer's result back to its input."""

    def layer(self, result: str) -> DecoderLayer:
        found = _Found({}, {}, {"result": result})
        second, function = self._feed_forward(result, found)
        attention, first, rotary = self._attention(found)
        if type(first) is not type(second) or first.epsilon != second.epsilon:
            raise UnsupportedModuleError(f"{result}: both norms of a layer must be of one kind")
        shape = LayerShape(
            features=first.features,
            heads=attention.heads,
            key_value_heads=attention.key_value_heads,
            head_dim=attention.head_dim,
            hidden=len(found.matrices["up"]),
            norm="rms" if isinstance(first, RmsNorm) else "layer",
            pre_norm=True,
            gated=isinstance(function, Silu),
            causal=attention.causal,
            rotary=rotary is not None,
            biases=bool(found.biases),
            epsilon=first.epsilon,
            tanh=isinstance(function, Gelu) and function.tanh,
        )
        weights = LayerWeights(
            matrices=found.matrices,
            biases=found.biases,
            norms=self._affine("first", first) | self._affine("second", second),
            cosine=None if rotary is None else self.weights[rotary.cosine],
            sine=None if rotary is None else self.weights[rotary.sine],
            score_scale=attention.scale,
        )
        return DecoderLayer(shape=shape, weights=weights, values=found.values)

    def _feed_forward(self, result: str, found: _Found) -> tuple[Norm, Gelu | Silu]:
        """Its norm, and its activation: the gate's where there is one."""
        middle, branch = self.branches(result, Linear, "the end of a layer")
        units = self._linear("down", branch, "the feed-forward branch", found)
        found.values["middle"] = middle
        function: Gelu | Silu
        if self.made_by(units, Multiply):
            inputs = self.producers[units].inputs
            gate, up = inputs if self.made_by(inputs[0], Silu) else reversed(inputs)
            function, activation = self.expect(gate, Silu, "the gate's activation")
            found.values |= {"activation": activation.inputs[0], "up": up}
            source = self._linear("gate", activation.inputs[0], "the gate", found)
            same = self._linear("up", up, "what is gated", found)
        else:
            function, activation = self.expect(units, Gelu, "the activation")
            found.values["activation"] = activation.inputs[0]
            source = same = self._linear("up", activation.inputs[0], "the input of the activation", found)
        if source != same:
            raise UnsupportedModuleError(f"{source}, {same}: gate and value must be of one input")
        return self._norm("second", source, middle, found), function

    def _attention(self, found: _Found) -> tuple[Attention, Norm, Rotary | None]:
        x, branch = self.branches(found.values["middle"], Linear, "the sum after attention")
        found.values |= {"input": x}
        mixed = self._linear("output", branch, "the attention branch", found)
        attention, node = self.expect(mixed, Attention, "the input of the output projection")
        found.values["attention"] = mixed
        query, key, value = node.inputs
        turned = [self.producers[name] for name in (query, key) if self.made_by(name, Rotary)]
        tables = {(t.operator.cosine, t.operator.sine) for t in turned if isinstance(t.operator, Rotary)}
        if len(turned) == 1 or len(tables) > 1:
            raise UnsupportedModuleError(f"{node.path}: queries and keys must turn by the same tables")
        if turned:
            query, key = (t.inputs[0] for t in turned)
        sources = {
            self._linear(role, name, f"the {role} projection", found)
            for role, name in (("query", query), ("key", key), ("value", value))
        }
        if len(sources) > 1:
            raise UnsupportedModuleError(f"{node.path}: queries, keys and values must be of one input")
        rotary = turned[0].operator if turned else None
        assert rotary is None or isinstance(rotary, Rotary)
        return attention, self._norm("first", sources.pop(), x, found), rotary

    def _norm(self, name: str, value: str, x: str, found: _Found) -> Norm:
        """The norm that made a value of x."""
        kind = RmsNorm if self.made_by(value, RmsNorm) else LayerNorm
        _, node = self.expect(value, kind, f"the {name} norm of a layer")
        norm = node.operator
        assert isinstance(norm, LayerNorm | RmsNorm)
        if node.inputs[0] != x:
            raise UnsupportedModuleError(f"{node.path}: must be applied to the layer's residual stream")
        found.values[name] = value
        return norm

    def _linear(self, name: str, value: str, role: str, found: _Found) -> str:
        """Notes the layer that made a value; what it was applied to."""
        operator, node = self.expect(value, Linear, role)
        found.matrices[name] = self.weights[operator.weight]
        if operator.bias is not None:
            found.biases[name] = self.weights[operator.bias]
        return node.inputs[0]

    def _affine(self, name: str, norm: Norm) -> dict[str, Array]:
        parts = {"weight": norm.weight, "bias": norm.bias if isinstance(norm, LayerNorm) else None}
        return {
            f"{name}.{part}": self.weights[weight] for part, weight in parts.items() if weight is not None
        }
