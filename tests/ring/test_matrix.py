"""Matrix products of ciphertexts on every path, against Python integers and elementary operations."""

from __future__ import annotations

import pytest
import torch

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import find_primes, native, sampling

from .rings import EVERY_PATH, Ring

SIZES = [(1, 1, 1), (1, 9, 1), (2, 3, 4)]


def ring_of(degree: int, path: str) -> Ring:
    moduli = [q for bits, count in ((50, 1), (49, 1), (40, 2)) for q in find_primes(bits, degree, count)]
    return Ring(degree, moduli, path)


def factors(ring: Ring, rows: int, columns: int, label: bytes) -> list[list[torch.Tensor]]:
    limbs = range(len(ring.moduli))
    return [
        [
            torch.stack(
                [sampling.uniform(ring, limbs, bytes(32), b"%s %d %d %d" % (label, r, s, c)) for c in (0, 1)]
            )
            for s in range(columns)
        ]
        for r in range(rows)
    ]


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(("rows", "terms", "columns"), SIZES)
def test_tensor_product_is_that_of_integers(path, rows, terms, columns):
    ring = ring_of(64, path)
    xs, ys = factors(ring, rows, terms, b"x"), factors(ring, terms, columns, b"y")
    out = ring.tensor_product(xs, ys, range(len(ring.moduli)))
    assert [[x.shape for x in row] for row in out] == [[(3, len(ring.moduli), 64)] * columns] * rows
    for r in range(rows):
        for s in range(columns):
            for limb, q in enumerate(ring.moduli):
                for j in (0, 1, 31, 63):
                    x = [[int(v) for v in xs[r][b][:, limb, j]] for b in range(terms)]
                    y = [[int(v) for v in ys[b][s][:, limb, j]] for b in range(terms)]
                    pairs = list(zip(x, y, strict=True))
                    expected = [
                        sum(a[0] * c[0] for a, c in pairs) % q,
                        sum(a[0] * c[1] + a[1] * c[0] for a, c in pairs) % q,
                        sum(a[1] * c[1] for a, c in pairs) % q,
                    ]
                    assert out[r][s][:, limb, j].tolist() == expected


@pytest.mark.parametrize("path", EVERY_PATH)
def test_chunks_and_threads_do_not_matter(path):
    """Enough operands that a row is cut into chunks; views of more limbs; one thread and two."""
    ring = ring_of(4096, path)
    limbs = (0, 1)
    xs, ys = factors(ring, 2, 11, b"x"), factors(ring, 11, 2, b"y")
    views = [[[x[:, :2] for x in row] for row in m] for m in (xs, ys)]
    results = []
    threads = native.get_threads()
    try:
        for count in (1, 2):
            native.set_threads(count)
            results.append(ring.tensor_product(*views, limbs))
    finally:
        native.set_threads(threads)
    for r in range(2):
        for s in range(2):
            assert torch.equal(results[0][r][s], results[1][r][s])
            x = [xs[r][b][:, :2].contiguous() for b in range(11)]
            y = [ys[b][s][:, :2].contiguous() for b in range(11)]
            first, last = ([v[c] for v in x] for c in (0, 1)), ([v[c] for v in y] for c in (0, 1))
            (x0, x1), (y0, y1) = first, last
            expected = [ring.dot(x0, y0, limbs), ring.dot(x0 + x1, y1 + y0, limbs), ring.dot(x1, y1, limbs)]
            assert torch.equal(results[0][r][s], torch.stack(expected))


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize(("rows", "terms", "columns"), SIZES)
def test_products_are_added_to_sums(path, rows, terms, columns):
    """As one after the other, bit for bit; sums of more limbs are read as they are."""
    ring = ring_of(2048, path)
    xs, ys = factors(ring, rows, terms, b"x"), factors(ring, terms, columns, b"y")
    onto = [[torch.cat([x, x[:1]]) for x in row] for row in factors(ring, rows, columns, b"sum")]
    limbs = (0, 1, 2)
    low = [[[x[:, :3] for x in row] for row in m] for m in (xs, ys, onto)]
    products = ring.tensor_product(low[0], low[1], limbs)
    found = ring.tensor_product(low[0], low[1], limbs, low[2])
    for r in range(rows):
        for s in range(columns):
            assert torch.equal(found[r][s], ring.add(products[r][s], low[2][r][s].contiguous(), limbs))
            assert not torch.equal(found[r][s], products[r][s])


def test_wrong_factors_are_refused():
    ring = ring_of(64, "portable")
    limbs = range(len(ring.moduli))
    xs, ys = factors(ring, 1, 2, b"x"), factors(ring, 2, 1, b"y")
    with pytest.raises(LayoutError, match="cannot be added"):
        ring.tensor_product(xs, ys, limbs, [[], []])
    with pytest.raises(LayoutError, match=r"\[3, limb, N\]"):
        ring.tensor_product(xs, ys, limbs, [[xs[0][0]]])
    with pytest.raises(LayoutError, match="at least one"):
        ring.tensor_product([], ys, limbs)
    with pytest.raises(LayoutError, match="make a product"):
        ring.tensor_product([xs[0][:1]], ys, limbs)
    with pytest.raises(LayoutError, match="make a product"):
        ring.tensor_product(xs, [ys[0], []], limbs)
    with pytest.raises(LayoutError, match="component"):
        ring.tensor_product(xs, ys, (0, 1))
    with pytest.raises(LayoutError, match=r"\[2, limb, N\]"):
        ring.tensor_product([[xs[0][0][0], xs[0][1]]], ys, limbs)
    with pytest.raises(ParameterError, match="limbs"):
        ring.tensor_product(xs, ys, (0, 1, 2, 9))
