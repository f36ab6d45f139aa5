"""The encoded weights of a device's products: made before the run, then used for every token block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from torch import Tensor

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_rows import Rows, common_period, used_columns
from aegis_fhe.ckks.plaintexts import Plaintexts
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.product_terms import ProductTerms
from aegis_fhe.program.operators import Context


class KeptWeights(Plaintexts):
    """Keeps the plaintexts of products with matrices, in the arena; all others are encoded anew.

    An operator asks for its rows in the same order each time: the number of a sum, with its scale, names it.
    """

    def __init__(self, params: Parameters) -> None:
        super().__init__(params)
        self._kept: dict[tuple[Any, ...], list[Tensor]] = {}
        self._encoded: set[MatrixProduct | ProductTerms] = set()
        self._operator: MatrixProduct | ProductTerms | None = None
        self._numbers = count()

    @property
    def nbytes(self) -> int:
        """Of what is kept."""
        return sum(block.nbytes for blocks in self._kept.values() for block in blocks)

    def begin(self, node: Node) -> None:
        """What is asked for from now on is of this node."""
        operator = node.operator
        self._operator = operator if isinstance(operator, MatrixProduct | ProductTerms) else None
        self._numbers = count()

    def blocks(self, rows: Rows, columns: Sequence[int], scale: float, period: int) -> Iterable[Tensor]:
        """As of the class, those that are kept without encoding them."""
        if self._operator is None:
            return super().blocks(rows, columns, scale, period)
        key = self._operator, next(self._numbers), scale, period
        if key not in self._kept:
            arena = self.params.ring.arena
            self._kept[key] = [arena.copy(x) for x in super().blocks(rows, columns, scale, period)]
        return self._kept[key]

    def encode(self, nodes: Iterable[Node], symbols: Mapping[str, Symbol], context: Context) -> None:
        """Now, all of these nodes, whose inputs will have these levels and scales; each operator once."""
        for node in nodes:
            self.begin(node)
            if self._operator is not None and self._operator not in self._encoded:
                run_node(node, _Encoding(self), dict(symbols), context)
                self._encoded.add(self._operator)


class _Encoding(SymbolicBackend):
    """Runs an operator on symbols and encodes the rows of its sums."""

    def __init__(self, weights: KeptWeights) -> None:
        super().__init__(weights.params.q, weights.params.slots)
        self.weights = weights

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[Symbol]:
        period, columns = common_period(rows), used_columns(rows)
        if period < self.slots and columns:
            self.weights.blocks(rows, columns, scale, period)
        return super().mul_plain_sums(xs, rows, scale)
