"""How many rows of N residues the steps of a key switch take on one device of those that share limbs."""

from __future__ import annotations

from functools import lru_cache

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.shared_keys import AT_ONCE
from aegis_fhe.placement.limbs import LimbPlacement

CONVERT_WORDS = 520  # of scratch for each source of a basis conversion, and one more: `csrc/kernels.h`


class SwitchRows:
    """`ring.keyswitching`, `ckks.keyswitch` and `runtime.limbs.evaluator`, in what they hold.

    At a level a device has L rows of a component, E with its special limbs, of k in all; the whole has l + 1.
    """

    def __init__(self, params: Parameters, placement: LimbPlacement, device: int) -> None:
        self.params, self.placement, self.device = params, placement, device
        self.specials = len(placement.p_limbs(device))
        self.shares = placement.world_size > 1
        self.at_once = 1 if self.shares else AT_ONCE
        # One device converts runs of limbs by one kernel, which leaves a digit's own rows where they are.
        self.written = self.shares or params.strided
        self.making = lru_cache(maxsize=None)(self._making)
        self.digits = lru_cache(maxsize=None)(self._digits)

    def rows(self, level: int) -> int:
        """L."""
        return (level - self.device) // self.placement.world_size + 1

    def extended(self, level: int) -> int:
        """E."""
        return self.rows(level) + self.specials

    def _digits(self, level: int) -> int:
        """What ModUp makes: E rows of each digit, its own among them where they are written out."""
        count = len(self.params.digits(level)) * self.extended(level)
        return count if self.written else count - (level + 1)

    def _making(self, level: int) -> int:
        """The most while it does: besides the digits all l + 1 rows as coefficients, and, where a digit is
        written out, its coefficients once more and what they become in the other limbs.
        """
        beside = level + 1
        if self.written:
            own = {*self.placement.q_limbs(level, self.device)}
            beside += max(
                len(digit) + self.extended(level) - len(own.intersection(digit)) + self.converting(len(digit))
                for digit in self.params.digits(level)
            )
        return self.digits(level) + beside

    def product(self, level: int) -> int:
        """Both components modulo QP."""
        return 2 * self.extended(level)

    def added(self, level: int) -> int:
        """A product that is added to a sum turns by way of one row of both components."""
        return self.product(level) + 2

    def divided(self, level: int, *, turned: bool = False, operands: int = 1) -> int:
        """Products and their quotients by P, turned by an automorphism or not, and what a division takes."""
        rows, every = self.rows(level), len(self.params.p)
        held = operands * (self.product(level) + 2 * rows)
        if not self.shares or self.placement.placed == "replicated":
            return held + every + (rows if turned else 0)
        gathered, turning = 2 * every, 2 * rows if turned else 0
        return held + gathered + max(gathered + self.converting(every), turning)

    def divided_rescale(self, level: int, *, operands: int = 1) -> int:
        """The same, by P q_level."""
        rows, dropped = self.rows(level - 1), len(self.params.p) + 1
        beside = 4 * dropped + self.converting(dropped) if self.shares else dropped
        return operands * (self.product(level) + 2 * rows) + beside

    def converting(self, sources: int) -> int:
        """Scratch of a conversion from so many limbs, where a kernel does nothing else."""
        return -(-(sources + 1) * CONVERT_WORDS // self.params.degree)

    def rescaled(self, level: int, components: int) -> int:
        """Quotients by q_level; the dropped rows one after the other, or of all components gathered."""
        dropped = 2 * components + self.converting(1) if self.shares else 1
        return components * (self.rows(level - 1) if level else 0) + dropped
