"""What keeps the residual stream fit for the next layer: refreshes that rescale it, biases only at tokens."""

from __future__ import annotations

import numpy as np
import pytest

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.long.slotwise import AddFeatures
from aegis_fhe.program.operators import Refresh

PLAN = presets.insecure(9, levels_left=6)


def context(**constants: np.ndarray) -> GridContext:
    return GridContext(
        constants=constants, scale=PLAN.params.scale, tokens=13, bootstrap=PLAN, public_tokens=2
    )


@pytest.mark.parametrize("values", [1, 2])
def test_a_factor_of_a_refresh_costs_nothing(values: int):
    """Level for level the operations of a refresh without one; scales come out nominal, but for float64."""
    params, counts = PLAN.params, []
    for factor in (1.0, 0.3, 7.0):
        backend = SymbolicBackend(params.q, params.slots)
        fresh = [Symbol(PLAN.input_level, params.scale)] * values
        for result in Refresh(factor).lower(backend, fresh, context()):
            assert result.level == PLAN.output_level
            assert result.scale == pytest.approx(params.scale, rel=2.0**-45)
        counts.append((backend.counts.by_level, backend.counts.keys))
    assert counts[0] == counts[1] == counts[2]


def test_a_factor_multiplies(rng: np.random.Generator):
    params = PLAN.params
    backend = ClearBackend(params.q, params.slots)
    x, y = rng.uniform(-1.0, 1.0, (2, params.slots))
    inputs = [backend.encode(v / 7, PLAN.input_level, params.scale) for v in (x, y)]
    for found, expected in zip(Refresh(7.0).lower(backend, inputs, context()), (x, y), strict=True):
        np.testing.assert_allclose(found.slots.real, expected, atol=1e-4)


def test_biases_stay_away_from_public_tokens_and_padding(rng: np.random.Generator):
    layout = GridLayout(slots=256, tokens=8, blocks=2)
    placement = Placement.dense(40, layout.sub_slots)
    bias = rng.normal(size=40)
    backend = ClearBackend(PLAN.params.q, PLAN.params.slots)
    zero = backend.encode(np.zeros(256), 3, PLAN.params.scale)
    grid = []
    for block in range(2):
        operator = AddFeatures("bias", placement, layout, block)
        grid.append([x.slots for x in operator.lower(backend, [zero] * 2, context(bias=bias))])
    found = placement.unpack(grid, layout)
    np.testing.assert_array_equal(found[2:13], np.tile(bias, (11, 1)))
    np.testing.assert_array_equal(found[:2], 0.0)
    np.testing.assert_array_equal(found[13:], 0.0)
