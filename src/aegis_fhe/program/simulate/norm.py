"""LayerNorm and RmsNorm with 1/sqrt by a polynomial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.program.encoder.fits import NormFit
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.network import LayerNorm, RmsNorm
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SimulatedNorm:
    """x * p(mean(x^2) + epsilon), of x less its mean for LayerNorm; bound: on the size of the result."""

    operator: LayerNorm | RmsNorm
    variance: TokenIntervals
    fit: NormFit
    bound: float

    @classmethod
    def of(cls, operator: LayerNorm | RmsNorm, variance: TokenIntervals, *, bound: float) -> SimulatedNorm:
        """The fit for the calibrated range."""
        fit = NormFit.of(variance, operator.features)
        return cls(operator=operator, variance=variance, fit=fit, bound=bound)

    def __call__(self, x: Array, weights: Weights, noise: Noise, outside: Outside) -> Array:
        """[m, features], in the order of the text, its last token last -> the same shape."""
        centred = x - x.mean(axis=1, keepdims=True) if isinstance(self.operator, LayerNorm) else x
        result = np.empty_like(x)
        for kind, rows in _kinds(len(x)).items():
            interval, factor = getattr(self.variance, kind), self.fit.factors[kind]
            square = (centred[rows] ** 2).mean(axis=1, keepdims=True) + self.operator.epsilon
            square = noise.on(square, interval.high)
            outside.check("variances", square, interval)
            result[rows] = centred[rows] * (self.fit.series(factor**2 * square) * factor)
        return noise.on(self._affine(result, weights), self.bound)

    def _affine(self, x: Array, weights: Weights) -> Array:
        x = x if self.operator.weight is None else x * weights[self.operator.weight]
        bias = self.operator.bias if isinstance(self.operator, LayerNorm) else None
        return x if bias is None else x + weights[bias]


def _kinds(tokens: int) -> dict[str, slice]:
    """Rows of each kind of `TokenIntervals`; none is empty."""
    kinds = {
        "opening": slice(0, 1),
        "inner": slice(1, tokens - 1),
        "closing": slice(max(1, tokens - 1), tokens),
    }
    return {kind: rows for kind, rows in kinds.items() if rows.start < rows.stop}
