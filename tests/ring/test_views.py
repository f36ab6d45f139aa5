"""A polynomial of fewer limbs is read where it lies: a view gives the bits that a copy of it gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from aegis_fhe.errors import LayoutError
from aegis_fhe.ring import find_primes

from . import oracle
from .rings import Ring, strides_matter

DEGREE = 64
MODULI = tuple(find_primes(45, DEGREE, 6))
RING = Ring(DEGREE, MODULI)
LIMBS = (0, 1, 2)
X, Y = (
    torch.stack([oracle.random_residues(MODULI, DEGREE, 10 * seed + c) for c in range(2)]) for seed in (1, 2)
)
WEIGHTS = torch.stack([oracle.random_residues(MODULI[:3], 16, seed) for seed in range(4)]).reshape(
    2, 2, 3, 16
)
VIEWS = (X[:, :3], Y[:, :3])

OPERATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": lambda x, y: RING.add(x, y, LIMBS),
    "sub": lambda x, y: RING.sub(x, y, LIMBS),
    "mul": lambda x, y: RING.mul(x, y, LIMBS),
    "shared": lambda x, y: RING.mul(x, y[1], LIMBS),
    "neg": lambda x, y: RING.neg(x, LIMBS),
    "scalar": lambda x, y: RING.mul_scalar(y, [3, -5, 7**30], LIMBS),
    "dot": lambda x, y: RING.dot([x, y], [y, y], LIMBS),
    "shared dot": lambda x, y: RING.dot([x, y], [y[0], x[1]], LIMBS),
    "mod down": lambda x, y: RING.mod_down(x, LIMBS[:2], LIMBS[2:]),
    "periodic": lambda x, y: RING.periodic_dot([x, y], WEIGHTS, LIMBS),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_view_gives_the_bits_of_a_copy(name: str) -> None:
    """Alone, and beside an operand that is contiguous."""
    operation, copies = OPERATIONS[name], [v.contiguous() for v in VIEWS]
    expected = operation(*copies)
    assert not VIEWS[0].is_contiguous()
    assert torch.equal(operation(*VIEWS), expected)
    assert torch.equal(operation(VIEWS[0], copies[1]), expected)
    assert torch.equal(operation(copies[0], VIEWS[1]), expected)


@strides_matter
def test_views_of_other_strides_and_types_are_refused() -> None:
    wide = torch.zeros((2, 3, 2 * DEGREE), dtype=torch.int64)
    for wrong, message in (
        (wide[:, :, ::2], "contiguous"),
        (X.double()[:, :3], "dtype"),
        (X[:, :4], "shape"),
        (X.unsqueeze(0)[:, :, :3], "contiguous"),
    ):
        with pytest.raises(LayoutError, match=message):
            RING.add(wrong, wrong, LIMBS)
        with pytest.raises(LayoutError):
            RING.periodic_dot([wrong, VIEWS[0]], WEIGHTS, LIMBS)
        with pytest.raises(LayoutError):
            RING.mod_down(wrong, LIMBS[:2], LIMBS[2:])


@strides_matter
def test_out_within_the_memory_of_a_view_is_refused() -> None:
    """Also in the gap between two components, and beyond what the entries alone would cover."""
    memory = torch.zeros((2, 6, DEGREE), dtype=torch.int64)
    with pytest.raises(LayoutError, match="shares memory"):
        RING.mod_down(memory[:, :3], LIMBS[:2], LIMBS[2:], out=memory.reshape(6, 2, DEGREE)[3:5])
