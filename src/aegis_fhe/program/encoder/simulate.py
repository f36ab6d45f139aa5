"""An encoder's program on whole texts [tokens, features]: the same polynomials, noise instead of ciphertexts.

Some forty times as fast as `CompiledProgram.run_simulated` on slots: for evaluations on thousands of texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.attention_layer import KEY_BLOCKS
from aegis_fhe.program.encoder.fits import EncoderLayerFits, NormFit
from aegis_fhe.program.encoder.layer import EncoderLayer
from aegis_fhe.program.encoder_ranges import EncoderLayerRanges, EncoderRanges, TokenIntervals
from aegis_fhe.program.network import Attention, LayerNorm
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.norm import SimulatedNorm
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.ranges import SoftmaxRanges
from aegis_fhe.program.simulate.softmax import SimulatedAttention

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedEncoder:
    """Hidden states [tokens <= capacity, features] -> those after all layers, or their mean [1, features].

    Values outside their calibrated range go through the polynomials as they are: the result is then as wrong
    as an encrypted one, and may not be finite.
    """

    layers: tuple[SimulatedLayer, ...]
    mean: bool

    @classmethod
    def of(
        cls, layers: Sequence[EncoderLayer], ranges: EncoderRanges, *, max_tokens: int, mean: bool
    ) -> SimulatedEncoder:
        """What `compile_encoder` makes of the same arguments."""
        bounds, blocks = ranges.bounds(), math.ceil(max_tokens / layers[0].attention.head_dim)
        simulated = [
            SimulatedLayer(
                layer=layer,
                ranges=found,
                fits=EncoderLayerFits.of(
                    found, layer.gelu, layer.features, blocks * layer.attention.head_dim
                ),
                keys=math.ceil(blocks / KEY_BLOCKS) * KEY_BLOCKS * layer.attention.head_dim,
                next_hidden=following,
            )
            for layer, found, following in zip(layers, ranges.layers, bounds[1:], strict=True)
        ]
        return cls(layers=tuple(simulated), mean=mean)

    def __call__(self, hidden: Array, noise: Noise, outside: Outside | None = None) -> Array:
        """The noise's bound is what a slot holds at most: every value's calibrated bound.

        outside: is told what left its range, as the polynomials met it. Values of the exact model may all be
        inside, and one that an approximation before has moved outside.
        """
        outside = Outside() if outside is None else outside
        with np.errstate(over="ignore", invalid="ignore"):  # what is outside may explode
            x = noise.on(np.asarray(hidden, dtype=np.float64), self.layers[0].ranges.hidden)
            for index, layer in enumerate(self.layers):
                x = layer(x, noise, outside, name=f"layer {index}")
            return x.mean(axis=0, keepdims=True) if self.mean else x

    def outside(self, hidden: Array) -> tuple[str, ...]:
        """What of a text leaves its calibrated range in the program, in words, the first to leave first.

        For whoever holds text and weights: then the encrypted result is wrong, unseen.
        """
        found = Outside()
        self(hidden, Noise(math.inf, np.random.default_rng(0)), found)
        return found.messages()


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedLayer:
    """One layer with its fits; keys: of the program, padding included; next_hidden: bound of the result."""

    layer: EncoderLayer
    ranges: EncoderLayerRanges
    fits: EncoderLayerFits
    keys: int
    next_hidden: float

    def __call__(self, x: Array, noise: Noise, outside: Outside, *, name: str) -> Array:
        """[tokens, features] -> the same shape; name: of what is outside."""
        layer, ranges = self.layer, self.ranges
        outside.node = f"{name}, attention"
        outside.check("inputs", x, _size(ranges.hidden))
        attended = self._attention(x, noise, outside)
        z = x + attended @ layer.attention.output.weight.T + layer.attention.output.bias
        z = noise.on(z, 1 / self.fits.attention.norm_scale)
        first, second = self._norms
        y = first(
            z, {"weight": layer.attention.norm_weight, "bias": layer.attention.norm_bias}, noise, outside
        )
        outside.node = f"{name}, feed-forward"
        outside.check("inputs", y, _size(ranges.middle))
        units = noise.on(y @ layer.expand.weight.T + layer.expand.bias, ranges.activation)
        outside.check("activation inputs", units, _size(ranges.activation))
        activated = noise.on(ranges.activation * self.fits.activation(units), ranges.activation)
        total = noise.on(y + activated @ layer.contract.weight.T + layer.contract.bias, ranges.residual)
        outside.check("sums", total - total.mean(axis=1, keepdims=True), _size(ranges.residual))
        return second(total, {"weight": layer.norm_weight, "bias": layer.norm_bias}, noise, outside)

    def _attention(self, x: Array, noise: Noise, outside: Outside) -> Array:
        """softmax(QK^T) V of all heads, [tokens, features]."""
        layer, ranges = self.layer.attention, self.ranges.attention
        q, k, v = (x @ part.weight.T + part.bias for part in (layer.query, layer.key, layer.value))
        q, v = q * layer.score_scale, noise.on(v, self.ranges.value)
        outside.check("values V", v, _size(self.ranges.value))
        before = np.maximum(np.arange(len(x)) - 1, 0)
        result, mask = np.empty_like(v), np.ones((len(x), len(x)), dtype=bool)
        for head in range(layer.heads):
            own = slice(head * layer.head_dim, (head + 1) * layer.head_dim)
            prediction = q[:, own] @ np.array(ranges.key_offset[head]) + ranges.shift[head]
            prediction += ranges.anchor[head] * (q[:, own] * k[before, own]).sum(axis=1)
            result[:, own] = self._softmax.rows(
                q[:, own] @ k[:, own].T - prediction[:, None],
                mask,
                v[:, own],
                noise,
                outside,
                padding=self.keys - len(x),
            )
        return result

    @cached_property
    def _softmax(self) -> SimulatedAttention:
        layer, ranges, fits = self.layer.attention, self.ranges.attention, self.fits.attention
        operator = Attention(
            heads=layer.heads, key_value_heads=layer.heads, head_dim=layer.head_dim, scale=layer.score_scale
        )
        return SimulatedAttention(
            operator=operator,
            ranges=SoftmaxRanges(
                key_offset=ranges.key_offset,
                shift=ranges.shift,
                growth=(0.0,) * layer.heads,
                score=Interval(fits.exp.low, fits.exp.high),
                rounds=0,
                denominators=(ranges.denominator,),
            ),
            exp=fits.exp,
            squarings=fits.squarings,
            reciprocals=(fits.reciprocal,),
            bound=self.ranges.value,
            value_bound=self.ranges.value,
        )

    @cached_property
    def _norms(self) -> tuple[SimulatedNorm, SimulatedNorm]:
        """The attention's, all of whose tokens share one interval, and the layer's."""
        attention, fits, interval = self.layer.attention, self.fits, self.ranges.attention.variance
        alike = TokenIntervals(opening=interval, inner=interval, closing=interval)
        factors = dict.fromkeys(alike.highs(), 1.0)
        first = NormFit(series=fits.attention.inverse_sqrt, factors=factors, scale=1.0)
        return (
            SimulatedNorm(
                operator=self._operator(attention.norm_eps),
                variance=alike,
                fit=first,
                bound=self.ranges.middle,
            ),
            SimulatedNorm(
                operator=self._operator(self.layer.norm_eps),
                variance=self.ranges.variance,
                fit=fits.norm,
                bound=self.next_hidden,
            ),
        )

    def _operator(self, epsilon: float) -> LayerNorm:
        return LayerNorm(weight="weight", bias="bias", epsilon=epsilon, features=self.layer.features)


def _size(bound: float) -> Interval:
    return Interval(-bound, bound)
