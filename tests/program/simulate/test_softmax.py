"""Attention by polynomials: softmax's result, whatever the shifts, the rounds and the grouping of heads."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from aegis_fhe.errors import RangeError
from aegis_fhe.program.network import Attention
from aegis_fhe.program.ranges import Interval
from aegis_fhe.program.simulate import SoftmaxRanges
from aegis_fhe.program.simulate.noise import Noise
from aegis_fhe.program.simulate.outside import Outside
from aegis_fhe.program.simulate.softmax import SimulatedAttention, visible_keys

HEADS, SHARED, SIZE, TOKENS = 4, 2, 8, 90


def operator(causal: bool) -> Attention:
    return Attention(heads=HEADS, key_value_heads=SHARED, head_dim=SIZE, scale=SIZE**-0.5, causal=causal)


def inputs(seed: int = 1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(TOKENS, heads * SIZE)) for heads in (HEADS, SHARED, SHARED)]


def ranges_of(scores: np.ndarray, rounds: int, shift: float, growth: float) -> SoftmaxRanges:
    """Wide enough for these scores [heads, n, n], from the definition of the rounds."""
    n = scores.shape[1]
    relative = scores - shift - growth * np.log(np.arange(n) + 1.0)[:, None]
    seen = relative[np.isfinite(relative)]
    high = seen.max() + 3.0
    y, intervals = np.exp((relative - high) / 2**rounds), []
    for _ in range(rounds + 1):
        d = y.sum(axis=2)
        intervals.append(Interval(d.min() / 1.2, d.max() * 1.2))
        y = (y / d[:, :, None]) ** 2
    return SoftmaxRanges(
        key_offset=((0.0,) * SIZE,) * HEADS,
        shift=(shift,) * HEADS,
        growth=(growth,) * HEADS,
        score=Interval(seen.min() - 1.0, high),
        rounds=rounds,
        denominators=tuple(intervals),
    )


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("causal", [True, False])
def test_it_is_softmax(causal, rounds):
    """Against the exact operator, with shifts and rounds that must cancel; the division is good to 1e-3."""
    exact, (q, k, v) = operator(causal), inputs()
    ranges = ranges_of(exact.scores(q, k), rounds, 0.7, 0.5 if causal else 0.0)
    outside = Outside()
    attention = SimulatedAttention.of(exact, ranges, bound=4.0, value_bound=4.0)
    found = attention(q, k, v, Noise(50, np.random.default_rng(1)), outside)
    np.testing.assert_allclose(found, exact.evaluate([q, k, v], {}), atol=4e-3)
    assert outside.messages() == ()


def test_an_offset_of_the_keys_cancels():
    exact, (q, k, v) = operator(True), inputs()
    offset = np.random.default_rng(2).normal(size=(HEADS, SIZE)) * 0.3
    queries = q.reshape(TOKENS, HEADS, SIZE) * exact.scale
    change = np.einsum("nhc,hc->hn", queries, offset)[:, :, None]
    narrow = ranges_of(exact.scores(q, k) - change, 0, 0.0, 0.0)
    shifted = msgspec.structs.replace(narrow, key_offset=tuple(map(tuple, offset.tolist())))
    attention = SimulatedAttention.of(exact, shifted, bound=4.0, value_bound=4.0)
    found = attention(q, k, v, Noise(50, np.random.default_rng(1)), Outside())
    np.testing.assert_allclose(found, exact.evaluate([q, k, v], {}), atol=4e-3)


def test_the_last_queries_alone_give_the_last_rows():
    """As when public tokens come first: their keys count, their queries do not."""
    exact, (q, k, v) = operator(True), inputs()
    attention = SimulatedAttention.of(
        exact, ranges_of(exact.scores(q, k), 0, 0.0, 0.0), bound=4.0, value_bound=4.0
    )
    found = attention(q[5:], k, v, Noise(50, np.random.default_rng(1)), Outside())
    np.testing.assert_allclose(found, exact.evaluate([q, k, v], {})[5:], atol=4e-3)
    assert visible_keys(exact, 3, 5).tolist() == [3, 4, 5]
    assert visible_keys(operator(False), 3, 5).tolist() == [5, 5, 5]


def test_noise_grows_where_the_denominator_is_small():
    """The same noise on exp weighs more beside a sum that shifts have made a thousand times smaller."""
    exact, (q, k, v) = operator(True), inputs()
    expected, errors = exact.evaluate([q, k, v], {}), []
    for shift in (0.0, 7.0):
        ranges = ranges_of(exact.scores(q, k), 0, 0.0, 0.0)
        shifted = SoftmaxRanges(
            key_offset=ranges.key_offset,
            shift=(shift,) * HEADS,
            growth=ranges.growth,
            score=Interval(ranges.score.low - shift, ranges.score.high),
            rounds=0,
            denominators=(Interval(ranges.denominators[0].low * np.exp(-shift), 1.0),),
        )
        attention = SimulatedAttention.of(exact, shifted, bound=4.0, value_bound=4.0)
        found = attention(q, k, v, Noise(18, np.random.default_rng(1)), Outside())
        errors.append(np.abs(found - expected).max())
    assert errors[1] > 10 * errors[0]


def test_what_leaves_its_range_is_said():
    exact, (q, k, v) = operator(True), inputs()
    attention = SimulatedAttention.of(
        exact, ranges_of(exact.scores(q, k), 0, 0.0, 0.0), bound=4.0, value_bound=4.0
    )
    outside = Outside()
    outside.node = "layer 3"
    with np.errstate(over="ignore", invalid="ignore"):
        attention(5 * q, k, v, Noise(50, np.random.default_rng(1)), outside)
    assert any("layer 3" in line and "scores outside" in line for line in outside.messages())


def test_ranges_must_fit_their_rounds():
    score = Interval(-1.0, 1.0)
    with pytest.raises(RangeError, match="2 denominators"):
        SoftmaxRanges(key_offset=(), shift=(), growth=(), score=score, rounds=1, denominators=(score,))
    with pytest.raises(RangeError, match="positive"):
        SoftmaxRanges(key_offset=(), shift=(), growth=(), score=score, rounds=0, denominators=(score,))
