"""A network read as encoder layers: x -> LayerNorm(x + attention), y -> LayerNorm(y + feed-forward)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import AttentionSubLayer, LinearLayer
from aegis_fhe.program.encoder.head import Head
from aegis_fhe.program.encoder.read_head import read_head
from aegis_fhe.program.encoder.walk import EncoderWalk
from aegis_fhe.program.network import (
    Attention,
    Gelu,
    LayerNorm,
    Linear,
    Network,
)
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EncoderLayer:
    """Post-norm layer of a BERT-like encoder; `expand` and `contract` with GELU between them."""

    attention: AttentionSubLayer
    expand: LinearLayer
    contract: LinearLayer
    gelu: Gelu
    norm_weight: Array
    norm_bias: Array
    norm_eps: float

    @property
    def features(self) -> int:
        """Hidden width."""
        return self.attention.features

    def sums(self, hidden: Array) -> tuple[Array, Array, Array]:
        """(first sub-layer's result y, what the activation is applied to, y + feed-forward) [tokens, ...]."""
        y = self.attention.evaluate(hidden)
        units = y @ self.expand.weight.T + self.expand.bias
        activated = self.gelu.evaluate([units], {})
        return y, units, y + activated @ self.contract.weight.T + self.contract.bias

    def evaluate(self, hidden: Array) -> Array:
        """The whole layer in float64, [tokens, features]."""
        return self.normalise(self.sums(hidden)[2])

    def normalise(self, z: Array) -> Array:
        """The second LayerNorm."""
        centred = z - z.mean(axis=1, keepdims=True)
        y: Array = centred / np.sqrt(centred.var(axis=1, keepdims=True) + self.norm_eps)
        return y * self.norm_weight + self.norm_bias


def encoder_layers(network: Network, weights: Weights) -> tuple[list[EncoderLayer], Head]:
    """The layers, and the head on the last one's result.

    Raises UnsupportedModuleError naming the module path of what is not a post-norm encoder layer.
    """
    reader = _Reader(network, weights)
    head, value = read_head(reader, network.result)
    layers: list[EncoderLayer] = []
    while value != INPUT:
        layer, value = reader.layer(value)
        layers.insert(0, layer)
    if not layers:
        raise UnsupportedModuleError("the network has no layer")
    return layers, head


class _Reader(EncoderWalk):
    """Walks from a layer's result back to its input."""

    def layer(self, result: str) -> tuple[EncoderLayer, str]:
        norm, second = self.expect(result, LayerNorm, "the end of a layer")
        y, contract_value = self.branches(second.inputs[0], Linear, "the input of the LayerNorm")
        contract, contract_node = self.linear(contract_value, "the feed-forward branch")
        gelu, gelu_node = self.expect(contract_node.inputs[0], Gelu, "the activation")
        expand, expand_node = self.linear(gelu_node.inputs[0], "the input of the activation")
        if expand_node.inputs[0] != y:
            raise UnsupportedModuleError(f"{expand_node.path}: must be applied to the layer's normalised sum")
        attention, x = self._attention(y)
        layer = EncoderLayer(
            attention=attention,
            expand=expand,
            contract=contract,
            gelu=gelu,
            norm_weight=self.vector(norm.weight, norm.features, 1.0),
            norm_bias=self.vector(norm.bias, norm.features, 0.0),
            norm_eps=norm.epsilon,
        )
        return layer, x

    def _attention(self, result: str) -> tuple[AttentionSubLayer, str]:
        norm, first = self.expect(result, LayerNorm, "the attention's LayerNorm")
        x, output_value = self.branches(first.inputs[0], Linear, "the input of the LayerNorm")
        output, output_node = self.linear(output_value, "the attention branch")
        attention, node = self.expect(output_node.inputs[0], Attention, "the input of the output projection")
        if attention.causal or attention.key_value_heads != attention.heads:
            raise UnsupportedModuleError(
                f"{node.path}: causal or grouped-query attention is not supported in an encoder layer"
            )
        linears = [self.linear(name, "an input of the attention") for name in node.inputs]
        for _, linear in linears:
            if linear.inputs[0] != x:
                raise UnsupportedModuleError(f"{linear.path}: must be applied to the layer's input")
        query, key, value = (weighted for weighted, _ in linears)
        sub_layer = AttentionSubLayer(
            heads=attention.heads,
            score_scale=attention.scale,
            query=query,
            key=key,
            value=value,
            output=output,
            norm_weight=self.vector(norm.weight, norm.features, 1.0),
            norm_bias=self.vector(norm.bias, norm.features, 0.0),
            norm_eps=norm.epsilon,
        )
        return sub_layer, x
