"""Operation counts that also know how many different slots plaintexts have: what encoding them costs."""

from __future__ import annotations

from collections.abc import Sequence

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.cost import Chain, DeviceModel, KernelCounts, OperationCosts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.operand_rows import OperandRows


def chain_of(params: Parameters) -> Chain:
    """The chain of parameters as plain numbers."""
    return Chain(
        degree=params.degree,
        limbs=len(params.q),
        specials=len(params.p),
        digits=params.digits(params.max_level),
    )


class PlaintextCounts(OperandRows):
    """`by_period` has the counts by the period of plaintexts, the rest by 1."""

    def __init__(self, params: Parameters) -> None:
        super().__init__(params.q, params.slots)
        self.params = params
        self._plain: dict[int, OperationCounts] = {}

    def add_plain(self, x: Symbol, v: SlotVector) -> Symbol:
        """Counted under the period of v."""
        self._at(v.period).add("plain add", x.level)
        return super().add_plain(x, v)

    def mul_plain(self, x: Symbol, v: SlotVector, scale: float) -> Symbol:
        """Counted under the period of v."""
        self._at(v.period).add("plain product", x.level)
        return super().mul_plain(x, v, scale)

    def mul_plain_sums(
        self, xs: Sequence[Symbol], rows: Sequence[Sequence[SlotVector | None]], scale: float
    ) -> list[Symbol]:
        """All plaintexts of a call are made as long as the longest."""
        periods = [v.period for row in rows for v in row if v is not None]
        if periods:
            self._at(max(periods)).add("plain product", min(x.level for x in xs), len(periods))
        return super().mul_plain_sums(xs, rows, scale)

    @property
    def by_period(self) -> dict[int, dict[tuple[str, int], float]]:
        """period -> counts; every operation is in one of them."""
        plain = {period: dict(found.by_level) for period, found in self._plain.items()}
        names = {name for found in plain.values() for name, _ in found}
        rest = {key: times for key, times in self.counts.by_level.items() if key[0] not in names}
        plain.setdefault(1, {}).update(rest)
        return plain

    def kernels(self, device: DeviceModel, *, encoded: bool = False) -> KernelCounts:
        """Everything on one device; encoded: plaintexts are, in advance."""
        total = KernelCounts()
        for period, counts in self.by_period.items():
            costs = self._costs(device, None, period, encoded)
            total += costs.total_kernels(counts)
        return total

    def seconds(
        self, device: DeviceModel, placement: LimbPlacement | None = None, *, encoded: bool = False
    ) -> float:
        """Everything, one operation after the other; messages and key expansions are not in it."""
        return sum(
            self._costs(device, placement, period, encoded).total_seconds(counts)
            for period, counts in self.by_period.items()
        )

    def _costs(
        self, device: DeviceModel, placement: LimbPlacement | None, period: int, encoded: bool
    ) -> OperationCosts:
        chain = chain_of(self.params)
        return OperationCosts(chain, device, placement, period=period, encoded=encoded)

    def _at(self, period: int) -> OperationCounts:
        return self._plain.setdefault(period, OperationCounts())


def bootstrap_counts(plan: BootstrapPlan) -> PlaintextCounts:
    """What one bootstrap of complex slots does."""
    backend = PlaintextCounts(plan.params)
    plan.combined(backend, plan.refresh(backend, Symbol(plan.input_level, plan.params.scale)))
    return backend
