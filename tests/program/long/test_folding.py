"""How often keys are folded over spare sub-slots: as often as it saves key switches."""

from __future__ import annotations

import pytest

from aegis_fhe.program.long.folding import best_key_blocks, folded_key_switches


@pytest.mark.parametrize(
    ("most", "tokens", "columns", "best"),
    [
        (1, 2048, 64, 1),  # BERT-base: no sub-slot is spare
        (4, 512, 32, 4),  # MiniLM-L6
        (16, 128, 64, 8),  # SmolLM2-135M: folding further would cost more than it saves
        (32, 64, 64, 4),
        (256, 8, 64, 2),
    ],
)
def test_best(most, tokens, columns, best):
    assert best_key_blocks(most, tokens, columns) == best


def test_cost_is_that_of_the_published_case():
    """MiniLM-L6, 512 tokens, folded four times: 672 rotations each, 128 scores, 320 sums, and the fold."""
    assert folded_key_switches(4, 512, 32) == 2 * 672 + 9 * 128 + 320 + 2 * 32 * 3
