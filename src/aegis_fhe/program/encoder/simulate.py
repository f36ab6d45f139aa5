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
from aegis_fhe.program.encoder.head import FirstToken, Head
from aegis_fhe.program.encoder.layer import EncoderLayer
from aegis_fhe.program.encoder.simulated_head import SimulatedHead
from aegis_fhe.program.encoder_ranges import EncoderLayerRanges, EncoderRanges, TokenIntervals
from aegis_fhe.program.network import Attention, LayerNorm
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.returns import HiddenStates, TokenMean
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.norm import SimulatedNorm
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.ranges import SoftmaxRanges
from aegis_fhe.program.simulate.softmax import SimulatedAttention

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedEncoder:
    """Hidden states [tokens <= capacity, features] -> what the head makes of those after all layers.

    Values outside their calibrated range go through the polynomials as they are: the result is then as wrong
    as an encrypted one, and may not be finite.
    """

    layers: tuple[SimulatedLayer, ...]
    head: HiddenStates | TokenMean | SimulatedHead

    @classmethod
    def of(
        cls, layers: Sequence[EncoderLayer], ranges: EncoderRanges, *, max_tokens: int, head: Head
    ) -> SimulatedEncoder:
        """What `compile_encoder` makes of the same arguments."""
        bounds, blocks = ranges.bounds(), math.ceil(max_tokens / layers[0].attention.head_dim)
        simulated = []
        for index, (layer, found) in enumerate(zip(layers, ranges.layers, strict=True)):
            block, first = layer.attention.head_dim, isinstance(head, FirstToken) and index == len(layers) - 1
            fits = EncoderLayerFits.of(found, layer.gelu, layer.features, blocks * block, first_token=first)
            simulated.append(
                SimulatedLayer(
                    layer=layer,
                    ranges=found,
                    fits=fits,
                    keys=math.ceil(blocks / KEY_BLOCKS) * KEY_BLOCKS * block,
                    next_hidden=bounds[index + 1],
                    first_token=first,
                )
            )
        end = SimulatedHead.of(head, ranges.head) if isinstance(head, FirstToken) else head
        return cls(layers=tuple(simulated), head=end)

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
            match self.head:
                case HiddenStates():
                    return x
                case TokenMean():
                    mean: Array = x.mean(axis=0, keepdims=True)
                    return mean
                case SimulatedHead():
                    return self.head(x, noise, outside)

    def outside(self, hidden: Array) -> tuple[str, ...]:
        """What of a text leaves its calibrated range in the program, in words, the first to leave first.

        For whoever holds text and weights: then the encrypted result is wrong, unseen.
        """
        found = Outside()
        self(hidden, Noise(math.inf, np.random.default_rng(0)), found)
        return found.messages()


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedLayer:
    """One layer with its fits; keys: of the program, padding included; next_hidden: bound of the result.

    first_token: the first token alone is wanted, and the program computes the queries of its block alone.
    """

    layer: EncoderLayer
    ranges: EncoderLayerRanges
    fits: EncoderLayerFits
    keys: int
    next_hidden: float
    first_token: bool

    def __call__(self, x: Array, noise: Noise, outside: Outside, *, name: str) -> Array:
        """[tokens, features] -> the same shape, or [1, features]; name: of what is outside."""
        layer, ranges = self.layer, self.ranges
        outside.node = f"{name}, attention"
        outside.check("inputs", x, _size(ranges.hidden))
        asked = x[: layer.attention.head_dim] if self.first_token else x
        attended = self._attention(x, len(asked), noise, outside)
        z = asked + attended @ layer.attention.output.weight.T + layer.attention.output.bias
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
        total = total[:1] if self.first_token else total
        return second(total, {"weight": layer.norm_weight, "bias": layer.norm_bias}, noise, outside)

    def _attention(self, x: Array, queries: int, noise: Noise, outside: Outside) -> Array:
        """softmax(QK^T) V of all heads, [queries, features]: of the first tokens."""
        layer, ranges = self.layer.attention, self.ranges.attention
        q, k, v = (x @ part.weight.T + part.bias for part in (layer.query, layer.key, layer.value))
        q, v = q[:queries] * layer.score_scale, noise.on(v, self.ranges.value)
        outside.check("values V", v, _size(self.ranges.value))
        before = np.maximum(np.arange(queries) - 1, 0)
        result: Array = np.empty_like(q)
        mask = np.ones((queries, len(x)), dtype=bool)
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
        factors = dict.fromkeys(alike.kinds(), 1.0)
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
