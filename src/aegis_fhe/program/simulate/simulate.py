"""A network as its encrypted program would compute it, on numbers: polynomials for functions, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError, UnsupportedModuleError
from aegis_fhe.program.network import (
    Attention,
    Gelu,
    LayerNorm,
    Network,
    NetworkNode,
    RmsNorm,
    Rotary,
    Silu,
    Tanh,
    evaluate,
)
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate.activation import fit_activation
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.norm import SimulatedNorm
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.ranges import NetworkRanges
from aegis_fhe.program.simulate.softmax import SimulatedAttention

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedStates:
    """What an encrypted program is predicted to return. Nothing was encrypted.

    values: of the network's result [tokens, features], public tokens first and exact. noise_bits: of every
    operator. outside: what left its calibrated range, in words; there the prediction shows polynomials where
    they no longer approximate.
    """

    values: Array
    noise_bits: float
    outside: tuple[str, ...]


def simulate(
    network: Network,
    weights: Weights,
    ranges: NetworkRanges,
    hidden: Array,
    *,
    noise_bits: float,
    rng: np.random.Generator,
) -> SimulatedStates:
    """The result for hidden states [tokens, features], every function a polynomial, every operator noisy.

    Noise is Gaussian, its standard deviation 2^-noise_bits of the value's calibrated bound, after every
    operator and every step inside attentions and norms. The ranges' public tokens are computed in clear, and
    their keys and values enter exactly. Raises RangeError when the text has no encrypted token, or the
    ranges are another network's; UnsupportedModuleError when public tokens would see encrypted ones.
    """
    if len(hidden) <= ranges.public_tokens:
        raise RangeError(
            f"{len(hidden)} tokens, of which {ranges.public_tokens} are public: none is encrypted"
        )
    lacking = [node.name for node in network.nodes if node.name not in ranges.bounds]
    if lacking:
        raise RangeError(f"the ranges lack {lacking[0]}: calibrate this network")
    run = _Simulation(
        weights, ranges, Noise(noise_bits, rng), public_values(network, weights, ranges, hidden)
    )
    values = {INPUT: run.noise.on(hidden[ranges.public_tokens :], ranges.bounds[INPUT])}
    expired = network.last_uses()
    for node in network.nodes:
        values[node.name] = run.node(node, [values[name] for name in node.inputs])
        for name in expired[node.name]:
            del values[name]
    result = run.with_public(network.result, values[network.result])
    return SimulatedStates(values=result, noise_bits=noise_bits, outside=run.outside.messages())


def public_values(
    network: Network, weights: Weights, ranges: NetworkRanges, hidden: Array
) -> dict[str, Array]:
    """Every value at the public tokens alone, which in causal networks need nothing else."""
    count = ranges.public_tokens
    if count == 0:
        return {}
    check_causal(network)
    values = {INPUT: hidden[:count]}
    evaluate(
        network, weights, hidden[:count], observe=lambda node, _, value: values.update({node.name: value})
    )
    return values


def check_causal(network: Network) -> None:
    """Raises UnsupportedModuleError unless every token's value needs only those up to it."""
    for node in network.nodes:
        mixes = type(node.operator).__name__ in ("MeanTokens", "TakeToken")
        if mixes or (isinstance(node.operator, Attention) and not node.operator.causal):
            raise UnsupportedModuleError(
                f"{node.path or node.name}: public tokens would see encrypted ones; only causal attention "
                "can have a public start: calibrate with public_tokens=0"
            )


class _Simulation:
    """The state of one run: values of encrypted tokens pass through `node`."""

    def __init__(
        self, weights: Weights, ranges: NetworkRanges, noise: Noise, public: dict[str, Array]
    ) -> None:
        self.weights, self.ranges, self.noise, self.public = weights, ranges, noise, public
        self.outside = Outside()

    def with_public(self, name: str, value: Array) -> Array:
        """The value of all tokens."""
        return np.concatenate([self.public[name], value]) if self.public else value

    def node(self, node: NetworkNode, inputs: Sequence[Array]) -> Array:
        """The value of one node at the encrypted tokens."""
        self.outside.node = node.path or node.name
        operator, bound = node.operator, self.ranges.bounds[node.name]
        if isinstance(operator, Attention):
            q = inputs[0]
            k, v = (self.with_public(node.inputs[i], inputs[i]) for i in (1, 2))
            attention = SimulatedAttention.of(
                operator,
                self.ranges.attention[node.name],
                bound=bound,
                value_bound=self.ranges.bounds[node.inputs[2]],
            )
            return attention(q, k, v, self.noise, self.outside)
        if isinstance(operator, LayerNorm | RmsNorm):
            norm = SimulatedNorm.of(operator, self.ranges.variance[node.name], bound=bound)
            return norm(inputs[0], self.weights, self.noise, self.outside)
        if isinstance(operator, Gelu | Silu | Tanh):
            return self.noise.on(self._activation(operator, node.inputs[0], inputs[0]), bound)
        if isinstance(operator, Rotary):  # its tables count from the first public token
            turned = operator.evaluate([self.with_public(node.inputs[0], inputs[0])], self.weights)
            return self.noise.on(turned[self.ranges.public_tokens :], bound)
        return self.noise.on(operator.evaluate(inputs, self.weights), bound)

    def _activation(self, operator: Gelu | Silu | Tanh, name: str, x: Array) -> Array:
        bound = self.ranges.bounds[name]
        self.outside.check("inputs", x, Interval(-bound, bound))
        return fit_activation(operator, bound)(x)
