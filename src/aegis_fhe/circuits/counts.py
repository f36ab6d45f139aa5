"""How many operations a program takes, at which levels, and which keys they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters


class OperationCounts:
    """Counts by (operation, level) and the highest level at which each key is used.

    Operations: "rotation" (hoisted: an inner product and a ModDown), "accumulated rotation" (an inner
    product), "mod up", "mod down", "key switch" (all three), "plain product", "product", "scalar product",
    "scalar term" (of a linear combination), "plain add", "add", "addend" (of a sum that is made anyway),
    "rescale"; one ciphertext of two components each. "bootstrap" counts raised moduli; what a bootstrap does
    is counted as well.
    """

    def __init__(self) -> None:
        self.by_level: dict[tuple[str, int], float] = {}
        self.keys: dict[int | str, int] = {}

    def add(self, operation: str, level: int, times: float = 1) -> None:
        """`times` operations at `level`."""
        if times:
            self.by_level[operation, level] = self.by_level.get((operation, level), 0) + times

    def key_switch(self, step: int | str, level: int) -> None:
        """A whole key switch: relinearisation or conjugation."""
        self.add("key switch", level)
        self.need(step, level)

    def hoisted_rotations(self, steps: Sequence[int], level: int) -> None:
        """Rotations whose ModUp is counted apart."""
        self.add("rotation", level, len(steps))
        for step in steps:
            self.need(step, level)

    def accumulated_rotations(self, steps: Sequence[int], level: int) -> None:
        """Rotations added up in the extended basis: their ModUp and ModDown are counted apart."""
        self.add("accumulated rotation", level, len(steps))
        for step in steps:
            self.need(step, level)

    def need(self, step: int | str, level: int) -> None:
        """The key for `step` is used at `level`."""
        if level > self.keys.get(step, -1):
            self.keys[step] = level

    def include(self, other: OperationCounts) -> None:
        """All operations and keys of another count."""
        for (operation, level), times in other.by_level.items():
            self.add(operation, level, times)
        for step, level in other.keys.items():
            self.need(step, level)

    def total(self, operation: str) -> float:
        """Over all levels."""
        return sum(times for (name, _), times in self.by_level.items() if name == operation)

    def totals(self) -> dict[str, float]:
        """Every operation over all levels."""
        return {name: self.total(name) for name in sorted({name for name, _ in self.by_level})}

    def key_requests(self) -> list[KeyRequest]:
        """The keys the program needs, and nothing else."""
        return [KeyRequest(step, level) for step, level in sorted(self.keys.items(), key=str)]

    def ntts(self, params: Parameters) -> float:
        """Single-limb NTTs: the weight of an operation in progress bars.

        Inner products are counted as half an NTT per limb of the key, other element-wise work as a tenth of
        one per limb: rough, but every share of a program is near its share of the time.
        """
        weights: dict[str, Callable[[Parameters, int], float]] = {
            "mod up": _mod_up,
            "mod down": _mod_down,
            "rotation": lambda p, ell: _inner(p, ell) + _mod_down(p, ell),
            "accumulated rotation": _inner,
            "key switch": lambda p, ell: _mod_up(p, ell) + _inner(p, ell) + _mod_down(p, ell),
            "rescale": lambda p, ell: 2.0 * ell,
            "plain add": lambda p, ell: 1.0 * ell,
            "bootstrap": lambda p, ell: 0.0,
        }
        return sum(
            times * weights.get(name, _element_wise)(params, level + 1)
            for (name, level), times in self.by_level.items()
        )


def _digits(params: Parameters, limbs: int) -> int:
    return len(params.digits(limbs - 1))


def _mod_up(params: Parameters, limbs: int) -> float:
    return float(_digits(params, limbs) * (limbs + len(params.p)))


def _inner(params: Parameters, limbs: int) -> float:
    return 0.5 * _digits(params, limbs) * (limbs + len(params.p))


def _mod_down(params: Parameters, limbs: int) -> float:
    return 2.0 * (limbs + len(params.p))


def _element_wise(params: Parameters, limbs: int) -> float:
    return 0.2 * limbs
