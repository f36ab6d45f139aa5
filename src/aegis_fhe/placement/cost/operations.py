"""CKKS operations as kernels and seconds, by the names and levels of `circuits.counts.OperationCounts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost import switching
from aegis_fhe.placement.cost.chain import Chain, Share, share_of, whole
from aegis_fhe.placement.cost.device import DeviceModel
from aegis_fhe.placement.cost.kernels import KernelCounts
from aegis_fhe.placement.limbs import LimbPlacement

Counts = Mapping[tuple[str, int], float]

CALLED = frozenset(
    {
        *("mod up", "mod down", "rotation", "accumulated rotation", "key switch", "rescale", "bootstrap"),
        *("scalar product", "add", "plain add", "call"),
    }
)
"""Operations of which each takes the interpreter's seconds; others are parts of a "call"."""


class OperationCosts:
    """What operations at a level cost on one device, or on each of those that share the limbs.

    A "key switch" is a relinearisation (both components join; a conjugation permutes instead). A "rescale",
    "add", "plain product" or "scalar product" is of two components, an "addend" two that are read and added
    where a sum is made anyway. What counts do not know is given here:

    period: different slots of plaintexts, by default N/2. Dense ones take an encoding, its transforms and
    multiply-adds of whole rows, others multiply-adds of compressed weights. encoded: plaintexts are there,
    encoded and transformed in advance.

    A "plain product" or "product" is multiply-adds alone: what is read and written once for all products of a
    call is counted apart, as "plain row" and "product row", two components of an operand or a result each. A
    "scalar term" reads its operand, for a result that is written as a "scalar row". Such a call itself is a
    "call", without kernels.
    "key expansion": the uniform half of a key that is not kept.

    Where `placement` aggregates sums of rotations, `aggregated` prices ModUp, accumulated rotation and
    ModDown of such a sum. Left out: that a rescale may share its division with a ModDown (as many NTTs).
    """

    def __init__(
        self,
        chain: Chain,
        device: DeviceModel,
        placement: LimbPlacement | None = None,
        *,
        period: int | None = None,
        encoded: bool = False,
    ) -> None:
        self.chain, self.device = chain, device
        self.placement = whole(chain) if placement is None else placement
        self.period = chain.slots if period is None else period
        if self.period < 1 or chain.slots % self.period:
            raise ParameterError(f"a period of {self.period} slots does not divide {chain.slots}")
        self.encoded = encoded
        self._seconds: dict[tuple[str, int], float] = {}
        self._of: dict[str, Callable[[Share], KernelCounts]] = {
            "mod up": switching.mod_up,
            "mod down": switching.mod_down,
            "rotation": self._rotation,
            "accumulated rotation": self._accumulated,
            "key switch": self._key_switch,
            "rescale": switching.rescale,
            "plain product": self._plain_product,
            "plain row": _plain_row,
            "product": lambda share: KernelCounts(tensor_product=4 * share.limbs),
            "product row": _product_row,
            "scalar product": lambda share: _element_wise(share, 4, product=2),
            "scalar term": lambda share: KernelCounts(
                combined_product=2 * share.limbs, memory_rows=2 * share.limbs
            ),
            "scalar row": lambda share: KernelCounts(
                combined_row=2 * share.limbs, memory_rows=2 * share.limbs
            ),
            "add": lambda share: _element_wise(share, 6, addition=2),
            "addend": lambda share: _element_wise(share, 2, addition=2),
            "plain add": self._plain_add,
            "bootstrap": switching.raised,
            "key expansion": switching.key_expansion,
            "call": lambda share: KernelCounts(),
        }

    def kernels(self, operation: str, level: int, rank: int = 0, *, aggregated: bool = False) -> KernelCounts:
        """Of one operation on one device. Raises ParameterError for an unknown name, LevelError."""
        if operation not in self._of:
            raise ParameterError(f"operation {operation!r} is unknown; known: {', '.join(self._of)}")
        share = share_of(self.chain, self.placement, level, rank)
        return self._aggregated(operation, share) if aggregated else self._of[operation](share)

    def seconds(self, operation: str, level: int, *, aggregated: bool = False) -> float:
        """Of one operation, until the slowest device is done; messages are not in it."""
        ranks = range(self.placement.world_size)
        first = {share_of(self.chain, self.placement, level, rank): rank for rank in reversed(ranks)}
        between = self.device.operation_seconds if operation in CALLED else 0.0
        return between + max(
            self.device.seconds(
                self.kernels(operation, level, rank, aggregated=aggregated), self.chain.degree
            )
            for rank in first.values()  # of a hundred devices few have different shares
        )

    def total_kernels(self, counts: Counts, rank: int = 0) -> KernelCounts:
        """All operations of a program, on one device."""
        total = KernelCounts()
        for (operation, level), times in counts.items():
            total += self.kernels(operation, level, rank) * times
        return total

    def total_seconds(self, counts: Counts) -> float:
        """All operations, one after the other, each as slow as its slowest device."""
        for key in counts:
            if key not in self._seconds:
                self._seconds[key] = self.seconds(*key)
        return sum(times * self._seconds[key] for key, times in counts.items())

    def _rotation(self, share: Share) -> KernelCounts:
        """ModUp apart."""
        return switching.inner_product(share) + switching.mod_down(share) + switching.rotated(share.limbs)

    def _accumulated(self, share: Share) -> KernelCounts:
        return switching.inner_product(share) + switching.rotated_sum(share.rows)

    def _key_switch(self, share: Share) -> KernelCounts:
        return switching.mod_up(share) + switching.inner_product(share, 2) + switching.mod_down(share)

    def _plain_product(self, share: Share) -> KernelCounts:
        """Encoded where it is used: every device makes its own rows from all slots."""
        if self.period == self.chain.slots:
            dense = KernelCounts(key_product=2 * share.limbs, memory_rows=share.limbs)
            return dense + self._encoding(share)
        return KernelCounts(periodic_product=2 * share.limbs) + self._encoding(share)

    def _plain_add(self, share: Share) -> KernelCounts:
        return self._encoding(share) + KernelCounts(addition=share.limbs, memory_rows=4 * share.limbs)

    def _encoding(self, share: Share) -> KernelCounts:
        """Of one plaintext at its own length; every device needs all slots for its rows."""
        if self.encoded:
            return KernelCounts()
        length = self.chain.transform_share(2 * self.period)
        return KernelCounts(ntt=share.limbs * length, embedding=length)

    def _aggregated(self, operation: str, share: Share) -> KernelCounts:
        exact = self.placement.aggregation == "exact"
        found: dict[str, Callable[[Share], KernelCounts]] = {
            "mod up": switching.aggregated_mod_up,
            "accumulated rotation": switching.aggregated_rotation,
            "mod down": partial(switching.aggregated_mod_down, exact=exact),
        }
        if operation not in found or self.placement.aggregation == "none":
            raise ParameterError(
                f"{operation!r} is not aggregated by a placement with aggregation "
                f"{self.placement.aggregation!r}: only {', '.join(found)} of sums of rotations are"
            )
        return found[operation](share)


def _plain_row(share: Share) -> KernelCounts:
    """Two components."""
    return KernelCounts(periodic_row=2 * share.limbs, memory_rows=2 * share.limbs)


def _product_row(share: Share) -> KernelCounts:
    """Two components; products have three."""
    return KernelCounts(tensor_row=2 * share.limbs, memory_rows=2 * share.limbs)


def _element_wise(share: Share, passes: int, *, addition: int = 0, product: int = 0) -> KernelCounts:
    """Two components, row by row."""
    rows = share.limbs
    return KernelCounts(addition=addition * rows, product=product * rows, memory_rows=passes * rows)
