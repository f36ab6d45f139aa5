"""Python-integer oracles: the mathematics, with none of the tricks."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from aegis_fhe.ring.primes import root_of_unity


def random_residues(moduli: Sequence[int], degree: int, seed: int) -> Tensor:
    """[limb, degree] residues; a few entries are the extremes 0 and q - 1."""
    generator = random.Random(seed)
    rows = [[generator.randrange(q) for _ in range(degree)] for q in moduli]
    for row, q in zip(rows, moduli, strict=True):
        row[0], row[-1] = q - 1, 0
    return torch.tensor(rows, dtype=torch.int64)


def residues(values: Sequence[int], moduli: Sequence[int]) -> Tensor:
    return torch.tensor([[v % q for v in values] for q in moduli], dtype=torch.int64)


def bit_reverse(value: int, bits: int) -> int:
    return int(format(value, f"0{bits}b")[::-1], 2) if bits else 0


def ntt(coefficients: Sequence[int], q: int) -> list[int]:
    """By definition: out[j] = p(psi^(2 brv(j) + 1))."""
    n = len(coefficients)
    psi, bits = root_of_unity(q, n), n.bit_length() - 1
    roots = [pow(psi, 2 * bit_reverse(j, bits) + 1, q) for j in range(n)]
    return [sum(c * pow(x, i, q) for i, c in enumerate(coefficients)) % q for x in roots]


def negacyclic_product(a: Sequence[int], b: Sequence[int], q: int) -> list[int]:
    """Schoolbook product modulo X^n + 1 and q."""
    n = len(a)
    result = [0] * n
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            result[(i + j) % n] += x * y if i + j < n else -x * y
    return [r % q for r in result]


def automorphism(a: Sequence[int], galois: int, q: int) -> list[int]:
    n = len(a)
    result = [0] * n
    for i, x in enumerate(a):
        k = i * galois % (2 * n)
        result[k % n] = (x if k < n else -x) % q
    return result


def centred(x: Tensor, moduli: Sequence[int]) -> list[int]:
    """The integers |v| < Q/2 with the residues x [limb, n], by the Chinese remainder theorem."""
    product = math.prod(moduli)
    result = []
    for column in zip(*x.tolist(), strict=True):
        value = sum(
            r * (product // q) * pow(product // q, -1, q) for r, q in zip(column, moduli, strict=True)
        )
        value %= product
        result.append(value - product if 2 * value > product else value)
    return result
