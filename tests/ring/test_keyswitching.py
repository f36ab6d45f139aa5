"""A key switch's steps equal elementary operations on every path, and the mathematics in Python integers."""

from __future__ import annotations

import dataclasses
import math
import random
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes, native
from aegis_fhe.ring.keyswitching import Digits, KeyHalves, SwitchOperand

from . import elementary, oracle
from .rings import EVERY_PATH, Ring, strides_matter

LIMBS = (0, 4, 7, 1, 9, 5, 2, 8)  # of q: sizes mixed within a digit
SPECIAL = (3, 6)
SKIPPED = 2  # rows of the key between those of q and those of p: levels above that of d
DIVISIONS = [(6,), (1, 2, 6), (3, 6), (2, 4, 5, 6)]
FACTOR = math.prod(find_primes(50, 8, 2))


@cache
def moduli_of(degree: int) -> tuple[int, ...]:
    """Primes of 50, 24, 49, 40 and 31 bits in turn."""
    rounds = zip(*(find_primes(bits, degree, 2) for bits in (50, 24, 49, 40, 31)), strict=True)
    return tuple(q for some in rounds for q in some)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A polynomial over the first six of `LIMBS`, a key with more digits and higher levels, and addends."""

    ring: Ring
    ends: tuple[int, ...]
    limbs: tuple[int, ...]
    d: Tensor
    key: KeyHalves
    addends: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, ring: Ring, ends: tuple[int, ...]) -> Case:
        q_limbs = LIMBS[: ends[-1]]
        above = [ring.moduli[limb] for limb in (*LIMBS[: ends[-1] + SKIPPED], *SPECIAL)]
        b, a = (
            torch.stack([random_rows(above, ring.degree, 10 * half + j) for j in range(len(ends) + 1)])
            for half in (1, 2)
        )
        d, *addends = (random_rows([ring.moduli[i] for i in q_limbs], ring.degree, s) for s in (3, 4, 5))
        limbs = (*q_limbs, *SPECIAL)
        return cls(
            ring=ring, ends=ends, limbs=limbs, d=d, key=KeyHalves(b=b, a=a), addends=(addends[0], addends[1])
        )

    @property
    def q_limbs(self) -> tuple[int, ...]:
        return self.limbs[: self.ends[-1]]

    def digits(self) -> Digits:
        return self.ring.mod_up(self.d, self.ends, self.limbs)


def random_rows(moduli: list[int], degree: int, seed: int) -> Tensor:
    """Uniform but for some entries q - 1, where lazy sums are fullest."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.stack([torch.randint(q, (degree,), generator=generator) for q in moduli])
    rows[:, :3] = torch.tensor(moduli)[:, None] - 1
    return rows


@cache
def expected_of(degree: int, ends: tuple[int, ...]) -> dict[str, Tensor]:
    """From elementary operations of the portable path, one thread."""
    case = Case.of(Ring(degree, moduli_of(degree), "portable"), ends)
    ring, limbs, q = case.ring, case.limbs, case.ends[-1]
    digits = elementary.mod_up(ring, case.d, case.ends, limbs)
    products = [
        elementary.key_product(ring, digits, case.key, q, limbs, case.addends[:n], FACTOR) for n in range(3)
    ]
    results = {"digits": torch.stack(digits)} | {f"product {n}": x for n, x in enumerate(products)}
    total = torch.zeros_like(products[0])
    for n, galois in enumerate(elements(degree)):
        total = ring.add(total, ring.automorphism(products[n % 3], galois), limbs)
        results[f"total {n}"] = total
        quotient = ring.mod_down(total, case.q_limbs, SPECIAL)
        results[f"quotient {n}"] = ring.automorphism(quotient, galois)
    return results


def elements(degree: int) -> list[int]:
    """The identity, a rotation, the conjugation, and elements beyond 2N and below zero."""
    return [1, pow(5, 3, 2 * degree), 2 * degree - 1, 2 * degree + 3, -5]


def results_of(case: Case) -> dict[str, Tensor]:
    digits = case.digits()
    results = {"digits": torch.stack(elementary.whole(digits))}
    for n in range(3):
        results[f"product {n}"] = case.ring.key_product(digits, case.key, case.addends[:n], FACTOR)
    total: Tensor | None = None
    for n, galois in enumerate(elements(case.ring.degree)):
        addends = case.addends[: n % 3]
        added = case.ring.add_key_product(total, digits, case.key, galois, addends, FACTOR)
        assert total is None or added.data_ptr() == total.data_ptr()
        total = added
        results[f"total {n}"] = total.clone()
        results[f"quotient {n}"] = case.ring.mod_down(total, case.q_limbs, SPECIAL, galois=galois)
    return results


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("log_degree", [3, 6, 13])
@pytest.mark.parametrize("count", range(1, 8))
def test_switched_together_equal_to_product_and_division_of_each(
    path: str, log_degree: int, count: int
) -> None:
    case = Case.of(Ring(1 << log_degree, moduli_of(1 << log_degree), path), DIVISIONS[count % len(DIVISIONS)])
    ring, galois = case.ring, elements(1 << log_degree)[count % 5]
    keep = len(case.q_limbs) - count % 2
    operands = [
        SwitchOperand(
            ring.mod_up(
                random_rows([ring.moduli[i] for i in case.q_limbs], ring.degree, seed), case.ends, case.limbs
            ),
            case.addends[: seed % 3],
        )
        for seed in range(count)
    ]
    found = ring.switch_key(operands, case.key, keep, factor=FACTOR, galois=galois)
    assert len({x.data_ptr() for x in found}) == count
    for result, (digits, addends) in zip(found, operands, strict=True):
        product = ring.key_product(digits, case.key, addends, FACTOR)
        expected = ring.mod_down(product, case.limbs[:keep], case.limbs[keep:], galois=galois)
        assert torch.equal(result, expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("log_degree", range(3, 14))
def test_equal_to_elementary_operations(path: str, log_degree: int, threads: int) -> None:
    degree = 1 << log_degree
    native.set_threads(threads)
    ends = DIVISIONS[log_degree % len(DIVISIONS)]
    found, expected = (
        results_of(Case.of(Ring(degree, moduli_of(degree), path), ends)),
        expected_of(degree, ends),
    )
    assert list(found) == list(expected)
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("ends", DIVISIONS)
def test_every_division_into_digits(path: str, ends: tuple[int, ...]) -> None:
    found, expected = results_of(Case.of(Ring(64, moduli_of(64), path), ends)), expected_of(64, ends)
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def test_one_digit_of_all_limbs_converts_nothing() -> None:
    ring = Ring(64, moduli_of(64))
    d = random_rows([ring.moduli[i] for i in LIMBS], 64, 1)
    digits = ring.mod_up(d, [len(LIMBS)], LIMBS)
    assert digits.extended.shape == (0, 64)
    key = KeyHalves(b=d[None], a=d[None])
    assert torch.equal(ring.key_product(digits, key), torch.stack([ring.mul(d, d, LIMBS)] * 2))


def coefficients(ring: Ring, row: Tensor, limb: int) -> list[int]:
    return [int(x) for x in ring.intt(row[None].contiguous(), (limb,))[0]]


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("degree", [8, 32])
def test_the_whole_key_switch_in_integers(path: str, degree: int) -> None:
    """sigma(round((sum_j d_j (b_j, a_j) + F (c_0, c_1)) / P)): centred integers d_j, schoolbook products."""
    galois = 2 * degree - 3
    case = Case.of(Ring(degree, moduli_of(degree), path), (1, 2, 6))
    ring, q_rows, count = case.ring, case.ends[-1], len(case.limbs)
    digits = [
        oracle.centred(
            ring.intt(case.d[i:j], case.limbs[i:j]), [ring.moduli[limb] for limb in case.limbs[i:j]]
        )
        for i, j in pairwise((0, *case.ends))
    ]
    halves = elementary.key_rows(case.key, len(digits), q_rows, count)
    sums = torch.empty((2, count, degree), dtype=torch.int64)
    for c, half in enumerate(halves):
        for row, limb in enumerate(case.limbs):
            q = ring.moduli[limb]
            total = [0] * degree
            if row < q_rows:
                total = [FACTOR * x for x in coefficients(ring, case.addends[c][row], limb)]
            for digit, rows in zip(digits, half, strict=True):
                product = oracle.negacyclic_product(digit, coefficients(ring, rows[row], limb), q)
                total = [x + y for x, y in zip(total, product, strict=True)]
            sums[c, row] = torch.tensor([x % q for x in total])
    product = ring.key_product(case.digits(), case.key, case.addends, FACTOR)
    assert torch.equal(ring.intt(product, case.limbs), sums)

    divisor = math.prod(ring.moduli[limb] for limb in SPECIAL)
    quotient = ring.intt(ring.mod_down(product, case.q_limbs, SPECIAL, galois=galois), case.q_limbs)
    for c in range(2):
        values = oracle.centred(sums[c], [ring.moduli[limb] for limb in case.limbs])
        rounded = [(v + divisor // 2) // divisor for v in values]
        for row, limb in enumerate(case.q_limbs):
            assert quotient[c, row].tolist() == oracle.automorphism(rounded, galois, ring.moduli[limb])


@pytest.mark.parametrize("path", EVERY_PATH)
def test_digits_are_the_centred_integers(path: str) -> None:
    case = Case.of(Ring(16, moduli_of(16), path), (2, 4, 5, 6))
    all_moduli = [case.ring.moduli[limb] for limb in case.limbs]
    bounds = list(pairwise((0, *case.ends)))
    for (i, j), digit in zip(bounds, elementary.whole(case.digits()), strict=True):
        own = case.ring.intt(case.d[i:j], case.limbs[i:j])
        values = oracle.centred(own, all_moduli[i:j])
        assert max(map(abs, values)) <= math.prod(all_moduli[i:j]) // 2
        assert torch.equal(case.ring.intt(digit, case.limbs), oracle.residues(values, all_moduli))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("dropped", [1, 2, 5])
def test_an_automorphism_comes_before_or_after_the_division(path: str, dropped: int) -> None:
    """Rounding commutes with it bit for bit, which is what lets it come last; views of lower levels too."""
    ring = Ring(128, moduli_of(128), path)
    x = torch.stack([random_rows(list(ring.moduli), 128, seed) for seed in (1, 2)])
    keep, drop = tuple(range(10 - dropped)), tuple(range(10 - dropped, 10))
    view = torch.cat((x, x), dim=1)[:, :10]
    assert not view.is_contiguous()
    for galois in (5, 77, 255):
        before = ring.mod_down(ring.automorphism(x, galois), keep, drop)
        for operand in (x, view):
            assert torch.equal(ring.mod_down(operand, keep, drop, galois=galois), before)
            out = torch.empty_like(before)
            assert ring.mod_down(operand, keep, drop, galois=galois, out=out) is out
            assert torch.equal(out, before)


RING = Ring(64, moduli_of(64))
CASE = Case.of(RING, (2, 4, 5, 6))
DIGITS = CASE.digits()


@pytest.mark.parametrize(
    "ends", [(), (0, 6), (2, 2, 6), (4, 2, 6), (-1, 6), (6, 9), (2, 4, 5, 6, 7, 8, 9)], ids=str
)
def test_ends_that_do_not_divide_are_refused(ends: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="do not divide"):
        RING.mod_up(CASE.d, ends, CASE.limbs)
    # Digits may have no row of their own on one of several devices; then the extended rows are more.
    message = "do not divide|extended has shape"
    with pytest.raises((ParameterError, LayoutError), match=message):
        RING.key_product(dataclasses.replace(DIGITS, ends=ends), CASE.key)


@pytest.mark.parametrize(
    ("limbs", "message"),
    [((0, 4, 7, 1, 9, 5, 3, 3), "do not divide"), ((0, 4, 7, 1, 9, 5, 3, 10), "limbs"), ((), "limbs")],
    ids=str,
)
def test_limbs_that_repeat_or_are_unknown_are_refused(limbs: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RING.mod_up(CASE.d, CASE.ends, limbs)
    with pytest.raises(ParameterError, match=message):
        RING.key_product(dataclasses.replace(DIGITS, limbs=limbs), CASE.key)
    with pytest.raises(ParameterError, match=message):
        RING.add_key_product(None, dataclasses.replace(DIGITS, limbs=limbs), CASE.key, 5)


@pytest.mark.parametrize(
    "d",
    [
        CASE.d[:5],
        torch.stack([CASE.d, CASE.d]),
        CASE.d[:, :32].contiguous(),
        CASE.d.double(),
        CASE.d[:, ::2],
        CASE.d[:0],
    ],
    ids=["few rows", "two polynomials", "degree", "dtype", "strides", "empty"],
)
def test_a_wrong_polynomial_is_refused(d: Tensor) -> None:
    with pytest.raises(LayoutError):
        RING.mod_up(d, CASE.ends, CASE.limbs)
    for changed in ({"d": d}, {"extended": d}):
        with pytest.raises(LayoutError):
            RING.key_product(dataclasses.replace(DIGITS, **changed), CASE.key)


@strides_matter
@pytest.mark.parametrize(
    "half",
    [
        CASE.key.b[:3],
        CASE.key.b[:, :7].contiguous(),
        CASE.key.b[0],
        CASE.key.b[:, :, :32].contiguous(),
        CASE.key.b.double(),
        CASE.key.b[:, :8],
    ],
    ids=["few digits", "few rows", "one digit", "degree", "dtype", "strides"],
)
def test_a_key_that_is_too_small_or_wrong_is_refused(half: Tensor) -> None:
    for key in (KeyHalves(b=half, a=half), KeyHalves(b=CASE.key.b, a=half), KeyHalves(b=half, a=CASE.key.a)):
        with pytest.raises(LayoutError):
            RING.key_product(DIGITS, key)
        with pytest.raises(LayoutError):
            RING.add_key_product(None, DIGITS, key, 5)


def test_wrong_addends_are_refused() -> None:
    first, second = CASE.addends
    for wrong in ((first, second, first), (first[:5],), (first, second[None].expand(2, -1, -1).contiguous())):
        with pytest.raises(LayoutError, match="addends"):
            RING.key_product(DIGITS, CASE.key, wrong)


def test_unequal_digits_no_operand_and_nothing_to_divide_by_are_refused() -> None:
    other = RING.mod_up(CASE.d, (3, CASE.ends[-1]), CASE.limbs)
    for operands in (
        [DIGITS, other],
        [other, dataclasses.replace(other, limbs=(*CASE.limbs[:-1], LIMBS[-1]))],
    ):
        with pytest.raises(LayoutError, match="one key multiplies equal ones"):
            RING.switch_key([SwitchOperand(digits) for digits in operands], CASE.key, 2)
    with pytest.raises(LayoutError, match="no operand"):
        RING.switch_key([], CASE.key, 2)
    for keep in (-1, len(CASE.limbs)):
        with pytest.raises(ParameterError, match="to keep"):
            RING.switch_key([SwitchOperand(DIGITS)], CASE.key, keep)


def test_even_elements_are_refused() -> None:
    product = RING.key_product(DIGITS, CASE.key)
    for galois in (0, 4, -2, 128):
        with pytest.raises(ParameterError, match="even"):
            RING.switch_key([SwitchOperand(DIGITS)], CASE.key, 2, galois=galois)
        with pytest.raises(ParameterError, match="even"):
            RING.add_key_product(None, DIGITS, CASE.key, galois)
        with pytest.raises(ParameterError, match="even"):
            RING.mod_down(product, CASE.q_limbs, SPECIAL, galois=galois)


@strides_matter
def test_a_total_that_is_none_is_refused() -> None:
    """Of another shape, or in the memory of an operand: what it still reads would be overwritten."""
    memory = torch.zeros((3, 2, 8, 64), dtype=torch.int64)
    total = memory[1]
    for wrong in (total[:, :7].contiguous(), total[0], total.double(), memory[:2, :, :, :]):
        with pytest.raises(LayoutError):
            RING.add_key_product(wrong, DIGITS, CASE.key, 5)
    rows = memory.reshape(-1, 64)
    extended = torch.cat([rows] * 2)[: len(DIGITS.extended)]
    halves = torch.zeros((5, 10, 64), dtype=torch.int64)
    aliases = [
        (dataclasses.replace(DIGITS, d=rows[20:26]), CASE.key, ()),
        (dataclasses.replace(DIGITS, extended=extended), CASE.key, ()),
        (DIGITS, KeyHalves(b=halves, a=CASE.key.a), ()),
        (DIGITS, KeyHalves(b=CASE.key.b, a=halves), ()),
        (DIGITS, CASE.key, (CASE.addends[0], rows[31:37])),
    ]
    totals = [
        total,
        extended[:16].reshape(2, 8, 64),
        *[halves.reshape(-1, 64)[9:25].reshape(2, 8, 64)] * 2,
        total,
    ]
    for to, (digits, key, addends) in zip(totals, aliases, strict=True):
        with pytest.raises(LayoutError, match="shares memory"):
            RING.add_key_product(to, digits, key, 5, addends)


def test_rings_too_small_for_blocks_of_eight_are_refused() -> None:
    """Below N = 8 the permutation has no whole block; the division without it and ModUp need none."""
    ring = Ring(4, find_primes(40, 4, 4))
    x = random_rows(list(ring.moduli), 4, 1)
    digits = ring.mod_up(x[:2].contiguous(), (1, 2), (0, 1, 2, 3))
    assert torch.equal(
        elementary.whole(digits)[0], elementary.mod_up(ring, digits.d, (1, 2), (0, 1, 2, 3))[0]
    )
    key = KeyHalves(b=torch.stack([x] * 2), a=torch.stack([x] * 2))
    for galois in (1, 5):
        with pytest.raises(ParameterError, match="degree of 8"):
            ring.add_key_product(None, digits, key, galois)
    with pytest.raises(ParameterError, match="degree of 8"):
        ring.mod_down(x, (0, 1), (2, 3), galois=5)
    assert torch.equal(ring.mod_down(x, (0, 1), (2, 3), galois=9), ring.mod_down(x, (0, 1), (2, 3)))


def test_any_element_and_any_residue_survive() -> None:
    """Random jobs on random rings: no address leaves its tensor (the checked build would end the process)."""
    generator = random.Random(3)
    for _ in range(40):
        degree = 1 << generator.randrange(3, 9)
        ring = Ring(degree, moduli_of(degree), generator.choice(EVERY_PATH))
        rows = generator.randrange(1, 7)
        ends = tuple(sorted(generator.sample(range(1, rows + 1), generator.randrange(1, rows + 1))))
        case = Case.of(ring, ends)
        galois = 2 * generator.randrange(4 * degree) + 1
        total = ring.add_key_product(None, case.digits(), case.key, galois, case.addends[:1], 7)
        product = ring.key_product(case.digits(), case.key, case.addends[:1], 7)
        assert torch.equal(total, ring.automorphism(product, galois))
