"""Runs from which the seconds of every kernel of the cost model follow, on operands larger than a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.ring.keyswitching import Digits, KeyHalves
from aegis_fhe.ring.sampling import uniform

SEED = bytes(32)
SMALL, LARGE = 8, 16  # rows and columns of matrix products
PRODUCT_LIMBS = 4
PERIODIC_POINTS = 128
COPIED_BYTES = 128 << 20


@dataclass(frozen=True)
class Sample:
    """run: what is timed; takes: how many rows of which kernels that takes, "copy" in bytes."""

    run: Callable[[], object]
    takes: dict[str, float]


class KernelSamples:
    """Samples on the ring of `params`, with its digits; every operand is uniform."""

    def __init__(self, params: Parameters) -> None:
        self.params, self.ring = params, params.ring
        self.limbs = (*params.q_limbs(params.max_level), *params.p_limbs)
        self.digits = params.digits(params.max_level)
        self._drawn = 0
        self.x, self.y = self.rows(self.limbs), self.rows(self.limbs)
        self.out = self.rows(self.limbs)  # what is transformed in place must be residues from the start

    def rows(self, limbs: tuple[int, ...]) -> Tensor:
        """Other residues at every call."""
        self._drawn += 1
        return uniform(self.ring, limbs, SEED, str(self._drawn).encode())

    def samples(self) -> dict[str, Sample]:
        """By name, each before those that are understood with its help."""
        ring, x, y, out, limbs = self.ring, self.x, self.y, self.out, self.limbs
        rows = float(len(limbs))
        return {
            "ntt": Sample(lambda: ring.ntt(out, limbs, out=out), {"ntt": rows}),
            "inverse_ntt": Sample(lambda: ring.intt(out, limbs, out=out), {"inverse_ntt": rows}),
            "addition": Sample(lambda: ring.add(x, y, limbs, out=out), {"addition": rows}),
            "product": Sample(
                lambda: ring.mul_scalar(x, [3] * len(limbs), limbs, out=out), {"product": rows}
            ),
            "combination of one": self._combination(1),
            "combination of many": self._combination(SMALL),
            "uniform": Sample(lambda: uniform(ring, limbs, SEED, b"", out=out), {"uniform": rows}),
            "embedding": self._embedding(),
            "conversion of one limb": self._conversion(1),
            "conversion of a digit": self._conversion(len(self.digits[0])),
            **self._key_products(),
            **self._divisions(),
            "small periodic product": self._periodic(SMALL),
            "periodic product": self._periodic(LARGE),
            "product of ciphertexts": self._tensor(1, 1, 1, self.params.q_limbs(self.params.max_level)),
            "product of matrices": self._tensor(4, SMALL, 4, self.limbs[:PRODUCT_LIMBS]),
            "copy": self._copy(),
        }

    def _embedding(self) -> Sample:
        vector = SlotVector(np.sin(np.arange(self.params.slots)))
        encoder, scale = self.params.encoder, self.params.scale
        return Sample(lambda: encoder.encode(vector, scale), {"embedding": 1.0})

    def _combination(self, terms: int) -> Sample:
        """Of ciphertexts by numbers, as in a polynomial."""
        limbs = self.limbs[:PRODUCT_LIMBS]
        xs, out = self._ciphertexts(terms, limbs), self._ciphertexts(1, limbs)[0]
        scalars, rows = list(range(3, 3 + terms)), 2.0 * len(limbs)
        takes = {"combined_product": terms * rows, "combined_row": rows}
        return Sample(lambda: self.ring.combination(xs, scalars, limbs, constant=1, out=out), takes)

    def _conversion(self, sources: int) -> Sample:
        """From the first limbs to all that are not of the first digit."""
        source, target = self.limbs[:sources], self.limbs[len(self.digits[0]) :]
        x, out = self.x[:sources], self.rows(target)
        takes = {
            "conversion_product": float(sources * len(target)),
            "conversion_row": float(sources + len(target)),
        }
        return Sample(lambda: self.ring.convert(x, source, target, out=out), takes)

    def _key_products(self) -> dict[str, Sample]:
        """One digit, all digits; then with addends, and added to a sum after an automorphism."""
        ring, rows, count, q_rows = self.ring, len(self.limbs), len(self.digits), len(self.params.q)
        d, b, a = (torch.stack([self.rows(self.limbs) for _ in range(count)]) for _ in range(3))
        key, factor, addends = KeyHalves(b=b, a=a), 3, (self.x[:q_rows], self.y[:q_rows])
        one, digits = (Digits.of_rows(d[:n].contiguous(), q_rows, self.limbs) for n in (1, count))
        few, takes = ({"key_product": 2.0 * n * rows, "key_row": 2.0 * rows} for n in (1, count))
        total = ring.key_product(digits, key)
        return {
            "key product of one digit": Sample(lambda: ring.key_product(one, key), few),
            "key product": Sample(lambda: ring.key_product(digits, key), takes),
            "key product with addends": Sample(
                lambda: ring.key_product(digits, key, addends, factor), {**takes, "joined": 2.0 * q_rows}
            ),
            "sum of key products": Sample(
                lambda: ring.add_key_product(total, digits, key, 5), {**takes, "accumulation": 2.0 * rows}
            ),
        }

    def _divisions(self) -> dict[str, Sample]:
        """Two components by all special primes, without and with an automorphism, and by one prime."""
        keep, drop = self.params.q_limbs(self.params.max_level), self.params.p_limbs
        ring, x, q = self.ring, torch.stack([self.x, self.y]), torch.stack([self.x, self.y])[:, : len(keep)]
        k, rows = float(len(drop)), float(len(keep))
        takes = {
            "inverse_ntt": 2 * k,
            "conversion_product": 2 * k * rows,
            "conversion_row": 2 * (k + rows),
            "ntt": 2 * rows,
            "quotient": 2 * rows,
        }
        kept = 2 * (rows - 1)
        return {
            "division": Sample(lambda: ring.mod_down(x, keep, drop), takes),
            "division and automorphism": Sample(
                lambda: ring.mod_down(x, keep, drop, galois=5), {**takes, "automorphism": 2 * rows}
            ),
            "rescale": Sample(
                lambda: ring.mod_down(q, keep[:-1], keep[-1:]),
                {"inverse_ntt": 2.0, "ntt": kept, "rescaled": kept},
            ),
        }

    def _periodic(self, size: int) -> Sample:
        """A square matrix of compressed plaintexts with as many ciphertexts as it has columns."""
        limbs = self.limbs[:PRODUCT_LIMBS]
        xs = self._ciphertexts(size, limbs)
        weights = np.random.default_rng(1).integers(-(1 << 30), 1 << 30, (size * size, PERIODIC_POINTS))
        values = self.ring.periodic_ntt(torch.from_numpy(weights), limbs)
        shaped = values.reshape(size, size, len(limbs), PERIODIC_POINTS)
        rows = 2.0 * len(limbs)
        takes = {"periodic_product": rows * size * size, "periodic_row": rows * 2 * size}
        return Sample(lambda: self.ring.periodic_dot(xs, shaped, limbs), takes)

    def _tensor(self, rows: int, terms: int, columns: int, limbs: tuple[int, ...]) -> Sample:
        """A matrix product of ciphertexts."""
        xs = [self._ciphertexts(terms, limbs) for _ in range(rows)]
        ys = [self._ciphertexts(columns, limbs) for _ in range(terms)]
        passing = 2.0 * (rows + columns) * terms + 3.0 * rows * columns
        takes = {
            "tensor_product": 4.0 * rows * terms * columns * len(limbs),
            "tensor_row": passing * len(limbs),
        }
        return Sample(lambda: self.ring.tensor_product(xs, ys, limbs)[0][0], takes)

    def _ciphertexts(self, count: int, limbs: tuple[int, ...]) -> list[Tensor]:
        """Two components each."""
        return [torch.stack([self.rows(limbs), self.rows(limbs)]) for _ in range(count)]

    def _copy(self) -> Sample:
        arena, words = self.ring.arena, (COPIED_BYTES // 8,)
        x, out = arena.zeros(words), arena.zeros(words)
        return Sample(lambda: out.copy_(x), {"copy": 2.0 * COPIED_BYTES})
