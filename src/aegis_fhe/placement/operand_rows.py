"""Operation counts that also know how often operands and results of sums of products pass memory."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.plain_rows import used_columns
from aegis_fhe.ckks.slots import SlotVector


class OperandRows(SymbolicBackend):
    """The symbolic interpreter, which also counts operands and results that are read or written once by all
    the products of a call: "plain row" by plaintexts, "product row" of ciphertexts, "scalar row" of a linear
    combination (its result; the operands are its terms), two components each. Each of these calls is a
    "call": of other operations every count is one.
    """

    def mul_plain(self, x: Symbol, v: SlotVector, scale: float) -> Symbol:
        """One operand and one result."""
        self.counts.add("plain row", x.level, 2)
        self.counts.add("call", x.level)
        return super().mul_plain(x, v, scale)

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[Symbol]:
        """Operands with a plaintext, and a result for each row."""
        used = len(used_columns(rows))
        if used:
            level = min(x.level for x in xs)
            self.counts.add("plain row", level, used + len(rows))
            self.counts.add("call", level)
        return super().mul_plain_sums(xs, rows, scale)

    def linear_combination(
        self,
        xs: Sequence[Symbol],
        coefficients: Sequence[float],
        scale: float,
        *,
        constant: float = 0.0,
        onto: Symbol | None = None,
    ) -> Symbol:
        """The result: operands are in their terms."""
        found = super().linear_combination(xs, coefficients, scale, constant=constant, onto=onto)
        self.counts.add("scalar row", found.level, found.components / 2)
        self.counts.add("call", found.level)
        return found

    def multiply_sum(self, xs: Sequence[Symbol], ys: Sequence[Symbol], onto: Symbol | None = None) -> Symbol:
        """All factors, and three components of a result."""
        found = super().multiply_sum(xs, ys, onto)
        self.counts.add("product row", found.level, 2 * len(xs) + 3 / 2)
        self.counts.add("call", found.level)
        return found

    def multiply_matrix(
        self,
        xs: Sequence[Sequence[Symbol]],
        ys: Sequence[Sequence[Symbol]],
        onto: Sequence[Sequence[Symbol]] = (),
    ) -> list[list[Symbol]]:
        """Factors once, not once for each entry as there; one call."""
        found = super().multiply_matrix(xs, ys, onto)
        rows, terms, columns = len(xs), len(ys), len(ys[0])
        again = terms * (2 * rows * columns - rows - columns)
        self.counts.add("product row", found[0][0].level, -again)
        self.counts.add("call", found[0][0].level, 1 - rows * columns)
        return found
