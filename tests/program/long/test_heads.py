"""Rotary positions and folded keys against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.heads import PlaceHeads
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.network import Rotary

MODULI = (2**50, *(2**40 for _ in range(4)))
SCALE = 2.0**40


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("tokens", [16, 24])
def test_rotary_positions_and_folding(tokens, folded, rng):
    """Sub-slot (kb, h) of token t holds what Rotary makes of token t + kb T / phi of the same block."""
    heads, dim, layout = 4, 6, GridLayout.of(256, tokens)
    placement = Placement.head_minor(heads, dim, layout)
    x = rng.normal(size=(tokens, heads * dim))
    tables = {name: rng.normal(size=(tokens, dim)) for name in ("cosine", "sine")}
    turned = Rotary(heads=heads, head_dim=dim, cosine="cosine", sine="sine").evaluate([x], tables)
    backend = ClearBackend(MODULI, layout.slots)
    facts = GridContext(constants=tables, scale=SCALE, tokens=tokens)
    for p, (row, wanted) in enumerate(
        zip(placement.pack(x, layout), placement.pack(turned, layout), strict=True)
    ):
        operator = PlaceHeads(
            layout=layout, placement=placement, block=p, cosine="cosine", sine="sine", folded=folded
        )
        found = operator.lower(backend, [backend.encode(values, 3, SCALE) for values in row], facts)
        for value, expected in zip(found, wanted, strict=True):
            grid = expected.reshape(layout.tokens, placement.key_blocks, -1).copy()
            if folded:
                for kb in range(placement.key_blocks):
                    shift = kb * layout.tokens // placement.key_blocks
                    grid[:, kb] = np.roll(grid[:, kb], -shift, axis=0)
            np.testing.assert_allclose(value.slots, grid.reshape(-1), atol=1e-12)
            assert (value.symbol.level, value.symbol.scale) == (2, SCALE)


def test_rotary_takes_no_rotation(rng):
    """The two features of a pair lie in different ciphertexts."""
    layout = GridLayout.of(256, 16)
    placement = Placement.head_minor(4, 6, layout)
    operator = PlaceHeads(layout=layout, placement=placement, block=0, cosine="c", sine="s")
    backend = ClearBackend(MODULI, 256)
    facts = GridContext(constants={"c": np.asarray(1.0), "s": np.asarray(0.0)}, scale=SCALE, tokens=16)
    operator.lower(backend, [backend.encode(rng.normal(size=256), 3, SCALE)] * 6, facts)
    counts = backend.symbolic.counts
    assert counts.total("plain product") == 12
    assert counts.total("rotation") + counts.total("accumulated rotation") == 0
