"""Shifts and rounds of one attention: ranges hold what was shown, rounds appear where they are needed."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.models.softmax_calibration import (
    LOG_SUM_EXP_MARGIN,
    MARGIN_BELOW,
    score_rows,
    softmax_ranges,
)
from aegis_fhe.program.network import Attention

SIZE = 4


def attention(causal: bool = True) -> Attention:
    return Attention(heads=2, key_value_heads=1, head_dim=SIZE, scale=0.5, causal=causal)


def text(seed: int, size: float, n: int = 40):
    rng = np.random.default_rng(seed)
    return size * rng.normal(size=(n, 2 * SIZE)), rng.normal(size=(n, SIZE))


@pytest.mark.parametrize("size", [1.0, 12.0])
@pytest.mark.parametrize("public", [0, 1])
def test_ranges_hold_what_was_shown(size, public):
    """Checked one row at a time from the definition, for narrow and for wide scores, rounds included."""
    operator, texts = attention(), [text(seed, size) for seed in range(6)]
    ranges = softmax_ranges([score_rows(operator, q, k, public) for q, k in texts])
    for q, k in texts:
        scores = operator.scores(q, k)
        for h in range(2):
            for i in range(public, len(q)):
                query = q[i, h * SIZE : (h + 1) * SIZE] * operator.scale
                shift = query @ np.array(ranges.key_offset[h]) + ranges.shift[h]
                s = scores[h, i, : i + 1] - shift - ranges.growth[h] * np.log(i + 1)
                assert ranges.score.low <= s.min()
                assert s.max() <= ranges.score.high
                y = np.exp((s - ranges.unit) / 2**ranges.rounds)
                for interval in ranges.denominators:
                    assert interval.low <= y.sum() <= interval.high
                    y = (y / y.sum()) ** 2


def test_rounds_come_with_wide_scores_only():
    """Log-sum-exp of wide scores is no affine function of the query; of narrow ones it nearly is."""
    narrow, wide = (
        softmax_ranges([score_rows(attention(), *text(seed, size), 0) for seed in range(6)])
        for size in (0.5, 25.0)
    )
    assert narrow.rounds == 0
    assert wide.rounds > 0


def test_the_number_of_keys_is_predicted():
    """Equal scores: the log-sum-exp is log(i + 1), which is public and costs no range."""
    rows = score_rows(attention(), np.zeros((60, 2 * SIZE)), np.zeros((60, SIZE)), 0)
    ranges = softmax_ranges([rows])
    assert ranges.growth == pytest.approx((1.0, 1.0), abs=1e-3)
    (interval,) = ranges.denominators
    assert np.log(interval.high / interval.low) < LOG_SUM_EXP_MARGIN + MARGIN_BELOW + 0.1
