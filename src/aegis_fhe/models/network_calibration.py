"""Calibration of whole networks: an observer's pass over sample texts, then margins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import VARIANCE_FACTOR
from aegis_fhe.models.encoder_calibration import BOUND_FACTOR
from aegis_fhe.models.softmax_calibration import ScoreRows, score_rows, softmax_ranges
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.network import Attention, LayerNorm, Network, NetworkNode, RmsNorm, evaluate
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate import NetworkRanges
from aegis_fhe.program.simulate.simulate import check_causal

Array = NDArray[np.float64]


def calibrate_network(
    network: Network, weights: Weights, texts: Sequence[Array], *, public_tokens: int = 0, origin: str
) -> NetworkRanges:
    """Ranges of every node on hidden states [n, features] of sample texts, with margins.

    public_tokens: so many tokens at the start of every text are public; nothing of them is encrypted, so no
    range covers them. Raises RangeError without texts, or when one has fewer than three encrypted tokens;
    UnsupportedModuleError when public tokens would see encrypted ones.
    """
    if not texts or min(len(text) for text in texts) < public_tokens + 3:
        raise RangeError("calibration needs at least one text, and three encrypted tokens in each")
    if public_tokens:
        check_causal(network)
    seen = _Observations(public_tokens)
    for text in texts:
        seen.bound(INPUT, text)
        evaluate(network, weights, text, observe=seen)
    opened = public_tokens == 0
    return NetworkRanges(
        bounds={name: BOUND_FACTOR * size for name, size in seen.sizes.items()},
        attention={name: softmax_ranges(rows) for name, rows in seen.rows.items()},
        variance={name: _token_intervals(found, opened) for name, found in seen.variances.items()},
        public_tokens=public_tokens,
        origin=origin,
    )


class _Observations:
    """What one node after the other shows: sizes, variances, and rows of scores."""

    def __init__(self, public_tokens: int) -> None:
        self.public_tokens = public_tokens
        self.sizes: defaultdict[str, float] = defaultdict(float)
        self.variances: defaultdict[str, list[Array]] = defaultdict(list)
        self.rows: defaultdict[str, list[ScoreRows]] = defaultdict(list)

    def __call__(self, node: NetworkNode, inputs: Sequence[Array], value: Array) -> None:
        self.bound(node.name, value)
        if isinstance(node.operator, Attention):
            self.rows[node.name].append(score_rows(node.operator, inputs[0], inputs[1], self.public_tokens))
        elif isinstance(node.operator, LayerNorm | RmsNorm):
            self.variances[node.name].append(_variance(node.operator, inputs[0][self.public_tokens :]))

    def bound(self, name: str, value: Array) -> None:
        """The largest size of a value at encrypted tokens; zero is no bound."""
        size = float(np.abs(value[self.public_tokens :]).max())
        self.sizes[name] = max(self.sizes[name], size, np.finfo(np.float64).tiny)


def _variance(operator: LayerNorm | RmsNorm, x: Array) -> Array:
    """What the norm divides by, squared, of every token."""
    centred = x - x.mean(axis=1, keepdims=True) if isinstance(operator, LayerNorm) else x
    result: Array = (centred**2).mean(axis=1) + operator.epsilon
    return result


def _token_intervals(texts: Sequence[Array], apart: bool) -> TokenIntervals:
    """Of the first, the inner and the last tokens of every text, apart or together.

    Where a text follows public tokens no encrypted one is special, and single tokens are few to go by.
    """
    everything = _interval(np.concatenate(texts))
    if not apart:
        return TokenIntervals(opening=everything, inner=everything, closing=everything)
    return TokenIntervals(
        opening=_interval(np.array([v[0] for v in texts])),
        inner=_interval(np.concatenate([v[1:-1] for v in texts])),
        closing=_interval(np.array([v[-1] for v in texts])),
    )


def _interval(values: Array) -> Interval:
    return Interval(float(values.min()) / VARIANCE_FACTOR, float(values.max()) * VARIANCE_FACTOR)
