"""Sums, products and dot products against Python integers."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes

from . import oracle
from .rings import EVERY_PATH, Ring, strides_matter

DEGREE = 32
MODULI = find_primes(50, DEGREE, 1) + find_primes(40, DEGREE, 1) + find_primes(20, DEGREE, 1)
LIMBS = (0, 1, 2)
RING = Ring(DEGREE, MODULI)
X, Y = (oracle.random_residues(MODULI, DEGREE, seed) for seed in (1, 2))


def expected(operation: object, *tensors: torch.Tensor) -> list[list[int]]:
    columns = zip(*(t.tolist() for t in tensors), MODULI, strict=True)
    return [[operation(*values) % q for values in zip(*rows, strict=True)] for *rows, q in columns]  # type: ignore[operator]


def test_add_sub_mul_neg() -> None:
    assert RING.add(X, Y, LIMBS).tolist() == expected(lambda a, b: a + b, X, Y)
    assert RING.sub(X, Y, LIMBS).tolist() == expected(lambda a, b: a - b, X, Y)
    assert RING.mul(X, Y, LIMBS).tolist() == expected(lambda a, b: a * b, X, Y)
    assert RING.neg(X, LIMBS).tolist() == expected(lambda a: -a, X)


@pytest.mark.parametrize("scalar", [0, 1, -1, 3**80, -(2**200) + 1])
def test_scalars_of_any_size_and_sign(scalar: int) -> None:
    assert RING.mul_scalar(X, [scalar] * 3, LIMBS).tolist() == expected(lambda a: a * scalar, X)
    assert RING.add_scalar(X, [scalar] * 3, LIMBS).tolist() == expected(lambda a: a + scalar, X)


def test_one_scalar_per_limb_and_out_may_be_x() -> None:
    x = X.clone()
    assert RING.mul_scalar(x, [1, 0, 2], LIMBS, out=x) is x
    assert x[0].equal(X[0])
    assert not x[1].any()


def test_right_operand_is_shared_by_leading_axes() -> None:
    both = torch.stack([X, Y])
    assert torch.equal(RING.mul(both, Y, LIMBS), torch.stack([RING.mul(X, Y, LIMBS), RING.mul(Y, Y, LIMBS)]))


@pytest.mark.parametrize("terms", [1, 2, 9, 40])
def test_dot(terms: int) -> None:
    xs = [oracle.random_residues(MODULI, DEGREE, 10 + i) for i in range(terms)]
    ys = [oracle.random_residues(MODULI, DEGREE, 60 + i) for i in range(terms)]
    products = [torch.tensor(expected(lambda a, b: a * b, x, y)) for x, y in zip(xs, ys, strict=True)]
    assert RING.dot(xs, ys, LIMBS).tolist() == expected(lambda a: a, sum(products, torch.zeros_like(X)))
    both = [torch.stack([x, y]) for x, y in zip(xs, ys, strict=True)]
    assert torch.equal(RING.dot(both, ys, LIMBS)[0], RING.dot(xs, ys, LIMBS))


def test_dot_of_many_largest_residues() -> None:
    largest = torch.tensor([[q - 1] * DEGREE for q in MODULI])
    terms = 2500  # beyond what one pass of the vector kernels accumulates
    got = RING.dot([largest] * terms, [largest] * terms, LIMBS)
    assert got.tolist() == [[terms % q] * DEGREE for q in MODULI]


@pytest.mark.parametrize("terms", [2, 3, 40])
@pytest.mark.parametrize("path", EVERY_PATH)
def test_sum(terms: int, path: str) -> None:
    """Of rows longer than a block, of views of fewer limbs, and of the largest residues."""
    degree = 4096
    moduli = find_primes(50, degree, 2) + find_primes(40, degree, 1)
    ring = Ring(degree, moduli, path)
    pairs = [
        torch.stack([oracle.random_residues(moduli, degree, 2 * i + c) for c in (0, 1)]) for i in range(terms)
    ]
    largest = torch.tensor([[q - 1] * degree for q in moduli])
    pairs[-1][1] = pairs[0][1] = largest
    total = sum(pairs) % torch.tensor(moduli)[:, None]
    assert torch.equal(ring.sum(pairs, LIMBS), total)
    assert torch.equal(ring.sum([x[:, :2] for x in pairs], LIMBS[:2]), total[:, :2])


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 9, 70])
@pytest.mark.parametrize("path", EVERY_PATH)
def test_combination(terms: int, path: str) -> None:
    """By integers of any size, of two components and three, of views, of the largest residues."""
    degree = 64
    moduli = find_primes(50, degree, 1) + find_primes(40, degree, 1) + find_primes(20, degree, 1)
    ring, q = Ring(degree, moduli, path), torch.tensor(moduli)[:, None]
    xs = [
        torch.stack([oracle.random_residues(moduli, degree, 3 * i + c) for c in range(2 + i % 2)])
        for i in range(terms)
    ]
    xs[-1][0] = xs[0][1] = q - 1
    for scalars, constant in (
        ([(-1) ** i * 3 ** (7 * i) for i in range(terms)], -(5**60)),
        ([-1] * terms, -1),
        ([(moduli[0] + 1) // 2] * terms, 0),
    ):
        wanted = [
            [
                [oracle_entry(xs, scalars, constant, c, row, j, m) for j in range(degree)]
                for row, m in enumerate(moduli)
            ]
            for c in range(max(len(x) for x in xs))
        ]
        assert ring.combination(xs, scalars, LIMBS, constant=constant).tolist() == wanted
        low = ring.combination([x[:, :2] for x in xs], scalars, LIMBS[:2], constant=constant)
        assert low.tolist() == [rows[:2] for rows in wanted]


def oracle_entry(
    xs: list[torch.Tensor], scalars: list[int], constant: int, c: int, row: int, j: int, modulus: int
) -> int:
    total = constant if c == 0 else 0
    for x, scalar in zip(xs, scalars, strict=True):
        if c < len(x):
            total += scalar * int(x[c, row, j])
    return total % modulus


@strides_matter
def test_combinations_that_are_refused() -> None:
    pair = torch.stack([X, Y])
    for wrong, cause in (
        (X, "shape"),
        (pair[:, :2], "shape"),
        (pair.double(), "dtype"),
        (pair.transpose(0, 1).contiguous().transpose(0, 1), "contiguous"),
        (torch.stack([pair, pair], dim=-1)[..., 0], "contiguous"),
    ):
        with pytest.raises(LayoutError, match=cause):
            RING.combination([pair, wrong], [1, 2], LIMBS)
    for xs, scalars in (([], []), ([pair], [1, 2])):
        with pytest.raises(LayoutError, match="scalars for"):
            RING.combination(xs, scalars, LIMBS)
    with pytest.raises(ParameterError, match="limbs"):
        RING.combination([pair], [1], (0, 1, 3))
    x = pair.clone()
    with pytest.raises(LayoutError, match="shares memory"):
        RING.combination([x], [1], LIMBS, out=x)
    with pytest.raises(LayoutError, match="shape"):
        RING.combination([x], [1], LIMBS, out=X.clone())


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (X.to(torch.int32), "dtype"),
        (X.double(), "dtype"),
        (X[:, ::2], "shape|contiguous"),
        (X.t().contiguous().t(), "contiguous"),
        (X[:2], "shape"),
        (X[0], "shape"),
    ],
)
def test_wrong_tensors_are_refused(bad: torch.Tensor, cause: str) -> None:
    with pytest.raises(LayoutError, match=cause):
        RING.add(bad, Y, LIMBS)
    with pytest.raises(LayoutError, match=cause):
        RING.dot([bad], [bad], LIMBS)
    with pytest.raises(LayoutError, match=cause):
        RING.ntt(bad, LIMBS)
    with pytest.raises(LayoutError):
        RING.add(X, Y, LIMBS, out=bad)


@strides_matter
def test_out_is_an_operand_or_apart_from_it() -> None:
    memory = torch.zeros(4, DEGREE, dtype=torch.int64)
    x, shifted = memory[:3], memory[1:]
    pair = torch.stack([X, Y])
    wrong = [
        lambda: RING.ntt(x, LIMBS, out=shifted),
        lambda: RING.intt(x, LIMBS, out=shifted),
        lambda: RING.add(x, Y, LIMBS, out=shifted),
        lambda: RING.sub(X, x, LIMBS, out=shifted),
        lambda: RING.mul_scalar(x, [1, 2, 3], LIMBS, out=shifted),
        lambda: RING.add_scalar(x, [1, 2, 3], LIMBS, out=shifted),
        lambda: RING.dot([x], [Y], LIMBS, out=shifted),
        lambda: RING.sum([X, Y, x], LIMBS, out=shifted),
        lambda: RING.from_signed(memory[1], LIMBS, out=x),
        lambda: RING.mul(pair, pair[0], LIMBS, out=pair),  # the second row would meet what the first left
    ]
    for operation in wrong:
        with pytest.raises(LayoutError, match="shares memory"):
            operation()
    x, y = X.clone(), Y.clone()
    assert torch.equal(RING.add(x, y, LIMBS, out=y), RING.add(X, Y, LIMBS))
    assert torch.equal(RING.add(x, x, LIMBS, out=x), RING.add(X, X, LIMBS))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ParameterError, match="limbs"):
        RING.add(X, Y, (0, 1, 3))
    with pytest.raises(ParameterError, match="limbs"):
        RING.add(X, Y, (0, 1, -1))
    with pytest.raises(LayoutError, match="scalars"):
        RING.mul_scalar(X, [1, 2], LIMBS)
    with pytest.raises(LayoutError, match="dot of"):
        RING.dot([X, X], [Y], LIMBS)
    with pytest.raises(LayoutError, match="two or more"):
        RING.sum([X], LIMBS)
    with pytest.raises(LayoutError, match="shape"):
        RING.sum([X, Y[:2]], LIMBS)
    x = X.clone()
    with pytest.raises(LayoutError, match="shares memory"):
        RING.dot([x, x], [Y, Y], LIMBS, out=x)
    with pytest.raises(LayoutError, match="shape"):
        RING.add(X, torch.stack([Y, Y]), LIMBS)
