"""The order of nodes that hides exchanges, switched off: other orders of the same values."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aegis_fhe.program.long.divide import REWRITES, Division, NodeDivisions, without
from aegis_fhe.program.long.product_terms import ProductTerms

from .layers import ENCODER
from .test_divide import compiled

PRODUCTS = frozenset({"qkv", "output", "expand", "contract"})
DIVISION = Division(parts=4, paired=True, giants=2, chunks=2, shared=PRODUCTS, own_first=True)


@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_rewrite_changes_the_order_alone(rewrite: str):
    """But for own terms, without which products are one node again."""
    program, hidden = compiled(ENCODER)
    on, off = program.divided(DIVISION), program.divided(without(DIVISION, rewrite))
    assert on.graph != off.graph
    if rewrite == "own terms":
        assert any(isinstance(node.operator, ProductTerms) for node in on.graph.nodes)
        assert not any(isinstance(node.operator, ProductTerms) for node in off.graph.nodes)
    else:
        assert Counter(on.graph.nodes) == Counter(off.graph.nodes)
    np.testing.assert_allclose(off.run_clear(hidden), on.run_clear(hidden), atol=1e-9)


def test_a_rewrite_is_switched_off_in_every_node():
    program, _ = compiled(ENCODER)
    own = NodeDivisions(tuple((node.name, DIVISION) for node in program.graph.nodes))
    off = without(own, "turns")
    assert program.divided(off).graph == program.divided(without(DIVISION, "turns")).graph


def test_an_unknown_rewrite_is_refused():
    with pytest.raises(KeyError):
        without(DIVISION, "magic")
