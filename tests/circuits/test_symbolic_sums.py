"""Sums without data: what they count, where they meet, what they refuse."""

from __future__ import annotations

import pytest

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.errors import CompatibilityError, ScaleError

MODULI = [2**45 - 229, 2**40 - 87, 2**40 - 167]
HIGH, LOW = Symbol(2, 2.0**30), Symbol(1, 2.0**30)


@pytest.fixture
def backend() -> SymbolicBackend:
    return SymbolicBackend(MODULI, 8)


def test_a_sum_counts_what_it_reads_besides_the_first_two(backend: SymbolicBackend):
    assert backend.sum([HIGH, LOW, HIGH, HIGH]) == LOW
    assert backend.counts.by_level == {("add", 1): 1, ("addend", 1): 2}


def test_a_sum_of_one_is_itself(backend: SymbolicBackend):
    assert backend.sum([HIGH]) is HIGH
    assert not backend.counts.by_level


def test_a_sum_of_three_components_reads_more(backend: SymbolicBackend):
    product = backend.multiply(HIGH, HIGH)
    assert backend.sum([product] * 3).components == 3
    assert backend.counts.by_level == {("product", 2): 1, ("add", 2): 1, ("addend", 2): 1.5}


def test_products_onto_a_sum_meet_at_the_lowest_level(backend: SymbolicBackend):
    held = Symbol(1, 2.0**60, 3)
    assert backend.multiply_sum([HIGH, HIGH], [HIGH, HIGH], held) == held
    assert backend.counts.by_level == {("product", 1): 2, ("addend", 1): 1.5}


def test_a_linear_combination_counts_a_term_for_two_components(backend: SymbolicBackend):
    product = backend.multiply(HIGH, HIGH)
    assert backend.linear_combination([HIGH, LOW], [0.5, 2.0], 2.0**60, constant=1.0) == Symbol(1, 2.0**60)
    found = backend.linear_combination([HIGH], [0.5], 2.0**60 * (1 + 2.0**-50), onto=product)
    assert found == product
    assert backend.counts.by_level == {("product", 2): 1, ("scalar term", 1): 2, ("scalar term", 2): 2.5}


def test_linear_combinations_that_are_refused(backend: SymbolicBackend):
    with pytest.raises(CompatibilityError, match="pairs"):
        backend.linear_combination([HIGH], [], 2.0**60)
    with pytest.raises(ScaleError, match="lose all its digits"):
        backend.linear_combination([HIGH], [1.0], 2.0**29)
    with pytest.raises(ScaleError, match="no room"):
        backend.linear_combination([HIGH], [1.0], 2.0**124)
    with pytest.raises(ScaleError, match="cannot be added"):
        backend.linear_combination([HIGH], [1.0], 2.0**60, onto=HIGH)


def test_what_cannot_be_added_is_refused(backend: SymbolicBackend):
    with pytest.raises(CompatibilityError, match="components"):
        backend.sum([])
    with pytest.raises(CompatibilityError, match="components"):
        backend.sum([HIGH, Symbol(2, 2.0**30, 3)])
    with pytest.raises(ScaleError):
        backend.sum([HIGH, Symbol(2, 2.0**29)])
    with pytest.raises(CompatibilityError, match="2 components"):
        backend.multiply_sum([HIGH], [HIGH], Symbol(2, 2.0**60))
    with pytest.raises(ScaleError):
        backend.multiply_sum([HIGH], [HIGH], Symbol(2, 2.0**59, 3))


def test_a_matrix_of_products_is_refused_as_on_ciphertexts(backend: SymbolicBackend):
    """Of no row, ragged, or onto other sums than it has entries."""
    for xs, ys, onto in (
        ([], [[HIGH]], ()),
        ([[HIGH]], [], ()),
        ([[HIGH, HIGH]], [[HIGH], [HIGH, HIGH]], ()),
        ([[HIGH]], [[HIGH]], [[]]),
    ):
        with pytest.raises(CompatibilityError, match="a product of"):
            backend.multiply_matrix(xs, ys, onto)
    with pytest.raises(CompatibilityError):
        backend.multiply_matrix([[HIGH]], [[HIGH], [HIGH]])
