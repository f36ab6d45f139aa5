"""Basis conversion is exact and centred, down to the rounding of x = +-Q/2; mod_down rounds to nearest."""

from __future__ import annotations

import math
import random

import pytest
import torch

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes

from . import oracle
from .rings import EVERY_PATH, Ring

DEGREE = 32
MODULI = find_primes(50, DEGREE, 4) + find_primes(40, DEGREE, 6) + find_primes(30, DEGREE, 2)
ROUNDS = zip(*(find_primes(bits, DEGREE, 11) for bits in (50, 24, 37)), strict=True)
MANY = tuple(q for some in ROUNDS for q in some)
SPLITS = [((0,), (4, 5)), ((4, 5, 6), (0, 1, 11)), ((0, 5, 10), (1, 2, 3, 4)), (tuple(range(9)), (9, 10, 11))]


def edge_values(moduli: list[int], count: int) -> list[int]:
    """Integers around +-Q/2, 0 and +-Q/4, where a count of overflows by floating point would go wrong."""
    half = (math.prod(moduli) - 1) // 2
    near = [half, -half, half - 1, 1 - half, 0, 1, -1, half // 2, -half // 2, half - 2**20, 2**20 - half]
    return [near[i % len(near)] for i in range(count)]


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(("src", "dst"), SPLITS)
def test_convert_is_exact_and_centred(path: str, src: tuple[int, ...], dst: tuple[int, ...]) -> None:
    ring = Ring(DEGREE, MODULI, path)
    source, target = [MODULI[i] for i in src], [MODULI[j] for j in dst]
    x = oracle.random_residues(source, DEGREE, seed=len(src))
    assert torch.equal(ring.convert(x, src, dst), oracle.residues(oracle.centred(x, source), target))
    edges = edge_values(source, DEGREE)
    assert torch.equal(ring.convert(oracle.residues(edges, source), src, dst), oracle.residues(edges, target))


def near_half(moduli: tuple[int, ...], count: int) -> list[int]:
    """Up to Q/2 from below and, by their negatives, from above: some exactly, some at a distance of 2^-k Q.

    k from 37 to 59: the kernels estimate x/Q to about 2^-42, and settle exactly what that leaves in doubt.
    Among them values where nothing is in doubt, so that lanes of one vector differ.
    """
    half, generator = (math.prod(moduli) - 1) // 2, random.Random(len(moduli))
    values = []
    for i in range(count):
        distance = half >> generator.randrange(37, 60)
        near = half - generator.choice((0, 1, distance, generator.randrange(distance + 1)))
        value = near if i % 4 else generator.randrange(half)
        values.append(generator.choice((value, -value)))
    return values


@pytest.mark.parametrize("path", EVERY_PATH)
def test_convert_where_the_fraction_is_next_to_one_half(path: str) -> None:
    """Every number of sources up to 30, of 50, 24 and 37 bits."""
    ring, dst = Ring(DEGREE, MANY, path), (30, 31, 32)
    for sources in range(1, 31):
        moduli = MANY[:sources]
        values = near_half(moduli, 8 * DEGREE)
        for start in range(0, len(values), DEGREE):
            some = values[start : start + DEGREE]
            got = ring.convert(oracle.residues(some, moduli), range(sources), dst)
            assert torch.equal(got, oracle.residues(some, MANY[30:])), sources


@pytest.mark.parametrize("path", EVERY_PATH)
def test_convert_does_not_depend_on_the_order_of_limbs(path: str) -> None:
    ring, src, dst = Ring(DEGREE, MODULI, path), (0, 3, 5, 7, 8), (1, 9)
    source = [MODULI[i] for i in src]
    values = edge_values(source, DEGREE // 2) + oracle.centred(
        oracle.random_residues(source, DEGREE // 2, 3), source
    )
    x = oracle.residues(values, source)
    assert torch.equal(ring.convert(x, src, dst), ring.convert(x.flip(0).contiguous(), src[::-1], dst))


def test_convert_of_many_coefficients_in_blocks() -> None:
    degree, moduli = 2048, find_primes(40, 2048, 5)
    ring = Ring(degree, moduli)
    x = torch.stack([oracle.random_residues(moduli[:3], degree, seed) for seed in (1, 2)])
    got = ring.convert(x, (0, 1, 2), (3, 4))
    for part in range(2):
        assert torch.equal(got[part], oracle.residues(oracle.centred(x[part], moduli[:3]), moduli[3:]))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(
    ("keep", "drop"), [((0,), (1,)), ((0, 4, 10), (5, 6)), ((4, 5, 6, 7), (0, 1, 2, 3, 8))]
)
def test_mod_down_rounds_to_nearest(path: str, keep: tuple[int, ...], drop: tuple[int, ...]) -> None:
    ring = Ring(DEGREE, MODULI, path)
    moduli = [MODULI[i] for i in (*keep, *drop)]
    divisor = math.prod(MODULI[i] for i in drop)
    values = oracle.centred(oracle.random_residues(moduli, DEGREE, seed=7), moduli)
    values[:4] = [divisor // 2, divisor // 2 + 1, -(divisor // 2), -(divisor // 2) - 1]  # 0, 1, 0, -1
    rounded = [(v + divisor // 2) // divisor for v in values]
    assert rounded[:4] == [0, 1, 0, -1]
    x = ring.ntt(oracle.residues(values, moduli), (*keep, *drop))
    got = ring.intt(ring.mod_down(torch.stack([x, x]), keep, drop), keep)
    assert torch.equal(got[0], oracle.residues(rounded, [MODULI[i] for i in keep]))
    assert torch.equal(got[1], got[0])


def test_wrong_arguments_are_refused() -> None:
    ring = Ring(DEGREE, MODULI)
    x = oracle.random_residues(MODULI[:2], DEGREE, seed=1)
    with pytest.raises(ParameterError, match="repeat"):
        ring.convert(x, (0, 0), (1,))
    with pytest.raises(ParameterError, match="repeat"):
        ring.mod_down(x, (0,), (0,))
    with pytest.raises(ParameterError, match="limbs"):
        ring.convert(x[:0], (), (2,))
    with pytest.raises(ParameterError, match="limbs"):
        ring.mod_down(x, (0, 1), ())
    assert ring.convert(x, (0, 1), ()).shape == (0, DEGREE)  # nothing of it is on this device
    with pytest.raises(LayoutError, match="shape"):
        ring.convert(x, (0, 1, 2), (3,))
    with pytest.raises(LayoutError, match="shares memory"):
        ring.convert(x, (0, 1), (2, 3), out=x)
