"""Calibration of whole networks: an observer's pass over sample texts, then margins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import VARIANCE_FACTOR
from aegis_fhe.models.encoder_calibration import BOUND_FACTOR
from aegis_fhe.models.softmax_calibration import score_rows, softmax_ranges
from aegis_fhe.program.encoder_ranges import TokenIntervals
from aegis_fhe.program.network import Attention, LayerNorm, Network, NetworkNode, RmsNorm
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.operators import Weights
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate import NetworkRanges, SoftmaxRanges
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
    bounds = {INPUT: BOUND_FACTOR * _size(texts, public_tokens)}
    attention: dict[str, SoftmaxRanges] = {}
    variance: dict[str, TokenIntervals] = {}
    for node, inputs, value in _evaluate_together(network, weights, texts):
        bounds[node.name] = BOUND_FACTOR * _size(value, public_tokens)
        operator = node.operator
        if isinstance(operator, Attention):
            rows = [
                score_rows(operator, q, k, public_tokens) for q, k in zip(inputs[0], inputs[1], strict=True)
            ]
            attention[node.name] = softmax_ranges(rows)
        elif isinstance(operator, LayerNorm | RmsNorm):
            encrypted = [_variance(operator, x[public_tokens:]) for x in inputs[0]]
            variance[node.name] = _token_intervals(encrypted, apart=public_tokens == 0)
    return NetworkRanges(
        bounds=bounds, attention=attention, variance=variance, public_tokens=public_tokens, origin=origin
    )


def _evaluate_together(
    network: Network, weights: Weights, texts: Sequence[Array]
) -> Iterator[tuple[NetworkNode, list[list[Array]], list[Array]]]:
    """Each node with its inputs and its value in every text: what one layer shows is dropped before the next.

    Rows of scores for all layers at once would take gigabytes for texts of thousands of tokens.
    """
    values: dict[str, list[Array]] = {INPUT: list(texts)}
    expired = network.last_uses()
    for node in network.nodes:
        inputs = [values[name] for name in node.inputs]
        value = [node.operator.evaluate(own, weights) for own in zip(*inputs, strict=True)]
        yield node, inputs, value
        values[node.name] = value
        for name in expired[node.name]:
            del values[name]


def _size(texts: Sequence[Array], public_tokens: int) -> float:
    """The largest size of a value at encrypted tokens; zero is no bound."""
    return max(float(np.finfo(np.float64).tiny), *(float(np.abs(x[public_tokens:]).max()) for x in texts))


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
