"""Ciphertexts with plaintexts: sums, products, and sums of products with periodic weights kept compressed.

A plaintext of period p has only M = 2p different NTT values: weights stay [limb, M] instead of [limb, N].
Axes: R output row, B input ciphertext, C component, L limb, N coefficient, M periodic coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

import torch

from aegis_fhe.ckks.arithmetic import Arithmetic
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.encoder import COEFFICIENT_BITS
from aegis_fhe.ckks.kept_plaintexts import KeptPlaintexts
from aegis_fhe.ckks.plain_rows import TEMPORARY_BYTES, Rows, common_period, used_columns
from aegis_fhe.ckks.plaintexts import Plaintexts
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import CompatibilityError


class PlainProducts(Arithmetic):
    """The operations between ciphertexts and slot vectors. plaintexts: whether periodic ones are kept."""

    @cached_property
    def plaintexts(self) -> Plaintexts:
        """Encoded anew each time, or beside a GPU's kernels kept where they last; others may be put here."""
        return KeptPlaintexts(self.params) if self.params.ring.off_host else Plaintexts(self.params)

    def lasting(self, circuit: Hashable, make: Callable[[], Rows]) -> Rows:
        """The plaintexts of a circuit that is run again and again: `make`'s, which may be encoded once."""
        return self.plaintexts.lasting(circuit, make)

    def add_plain(self, x: Ciphertext, v: SlotVector) -> Ciphertext:
        """x + v, v encoded at x's scale and level: both unchanged, no noise but the rounding of v.

        At a scale beyond 2^53 the low bits of the encoding are zero (float64 holds no more). Raises
        LayoutError when v's period does not fit.
        """
        ring, limbs = self.params.ring, self._limbs(x)
        size = v.largest * x.scale
        shift = max(0, math.frexp(size)[1] + 1 - COEFFICIENT_BITS)
        values = self.plaintexts.residues(v, x.scale / 2.0**shift, limbs)
        if shift:
            values = ring.mul_scalar(values, [1 << shift] * len(limbs), limbs)
        parts = ring.arena.copy(x.parts)
        ring.add(parts[0], values, limbs, out=parts[0])
        return self.made(parts, x.level, x.scale)

    def mul_plain(self, x: Ciphertext, v: SlotVector, scale: float) -> Ciphertext:
        """x * v, v encoded at `scale`. Level unchanged, scale x.scale * `scale`; 2 or 3 components.

        Raises ScaleError when the product does not fit the modulus or a coefficient of v reaches 2^62,
        LayoutError when v's period does not fit.
        """
        return self.mul_plain_sums([x], [[v]], scale)[0]

    def mul_plain_sums(self, xs: Sequence[Ciphertext], rows: Rows, scale: float) -> list[Ciphertext]:
        """out[r] = sum_b xs[b] * rows[r][b], every plaintext encoded at `scale`; None is a zero plaintext.

        xs: equal scales and components; they meet at the lowest level. Out: scale xs.scale * `scale`, that
        level. When every plaintext of the call has a period below N/2 all weights stay compressed, at the
        largest period of the call. Temporary memory at most about 200 MiB besides the result. Raises
        CompatibilityError for rows of another length than xs, ScaleError and LayoutError as `mul_plain`.
        """
        self._check_sums(xs, rows)
        level = min(x.level for x in xs)
        out_scale = self._product_scale(xs[0].scale, scale, level)
        inputs, limbs = [self.drop_to(x, level).parts for x in xs], self.limbs_at(level)
        period = common_period(rows)
        if period < self.slots:
            results = self._periodic_sums(inputs, rows, scale, period, limbs)
        else:
            results = [self._dense_sum(inputs, row, scale, limbs) for row in rows]
        return [self.made(parts, level, out_scale) for parts in results]

    def _periodic_sums(
        self, inputs: list[torch.Tensor], rows: Rows, scale: float, period: int, limbs: tuple[int, ...]
    ) -> list[torch.Tensor]:
        """All rows with common period `period` < N/2; the inputs no row uses are skipped."""
        columns = used_columns(rows)
        if not columns:
            return [self.params.ring.arena.zeros(inputs[0].shape) for _ in rows]
        used = [inputs[b] for b in columns]
        results: list[torch.Tensor] = []
        for coefficients in self.plaintexts.blocks(rows, columns, scale, period):
            results.extend(self.params.ring.periodic_sums(used, coefficients, limbs))
        return results

    def _dense_sum(
        self,
        inputs: list[torch.Tensor],
        row: Sequence[SlotVector | None],
        scale: float,
        limbs: tuple[int, ...],
    ) -> torch.Tensor:
        """One row with at least one dense vector somewhere in the call."""
        ring = self.params.ring
        terms = [(x, v) for x, v in zip(inputs, row, strict=True) if v is not None]
        terms_at_once = max(1, TEMPORARY_BYTES // (max(1, len(limbs)) * self.params.degree * 8))
        total: torch.Tensor | None = None
        for start in range(0, len(terms), terms_at_once):
            chunk = terms[start : start + terms_at_once]
            plain = [self.plaintexts.residues(v, scale, limbs) for _, v in chunk]
            partial = ring.dot([x for x, _ in chunk], plain, limbs)
            total = partial if total is None else ring.add(total, partial, limbs, out=total)
        return ring.arena.zeros(inputs[0].shape) if total is None else total

    def _check_sums(self, xs: Sequence[Ciphertext], rows: Rows) -> None:
        if not xs or any(len(row) != len(xs) for row in rows):
            raise CompatibilityError(
                f"{len(xs)} ciphertexts with rows of {sorted({len(row) for row in rows})} plaintexts; each "
                "row needs one plaintext (or None) for each ciphertext"
            )
        if len({x.components for x in xs}) > 1:
            raise CompatibilityError(
                "mul_plain_sums needs ciphertexts of equally many components: relinearize first"
            )
        self._check_operands(xs)
