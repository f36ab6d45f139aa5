"""Sums of rotations by output aggregation: each device multiplies with its own digits, then the sums meet.

For sum_i rot(x_i, s_i) a device needs its own rows of the x_i alone, extends its own digits to all limbs, and
adds up all terms before anything moves: two components once, however many terms there are. Source: Cinnamon
(ASPLOS 2025). Where it rounds before the sum over devices it adds up one rounding for each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from aegis_fhe.ckks import keyswitch
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import KeySwitchKey
from aegis_fhe.placement.limbs import Rows
from aegis_fhe.ring.keyswitching import Digits

if TYPE_CHECKING:
    from aegis_fhe.runtime.limbs.evaluator import LimbEvaluator
    from aegis_fhe.runtime.limbs.exchange import LimbRows


class AggregatedSum:
    """One sum at one level. Terms are added in turn; `quotient` ends it."""

    def __init__(self, evaluator: LimbEvaluator, keys: Mapping[int, KeySwitchKey], level: int) -> None:
        self.evaluator, self.keys, self.level = evaluator, keys, level
        self.params, self.ring = evaluator.params, evaluator.params.ring
        self.limbs = key_limbs(self.params, level)
        self.total: torch.Tensor | None = None
        self.addends = self.ring.arena.zeros((2, len(evaluator.limbs_at(level)), self.params.degree))

    def add(self, x: Ciphertext, galois_elements: Sequence[int]) -> None:
        """One ciphertext rotated by each element; 1 stands for no rotation."""
        own = self.evaluator.limbs_at(self.level)
        digits = self._own_digits(x.parts[1]) if set(galois_elements) != {1} else None
        for galois in galois_elements:
            if galois == 1:
                for part, to in zip(x.parts, self.addends, strict=True):
                    self.ring.add(to, part, own, out=to)
                continue
            self.ring.add(
                self.addends[0], self.ring.automorphism(x.parts[0], galois), own, out=self.addends[0]
            )
            if digits is not None:
                halves = self.evaluator.expanded.halves(self.keys[galois])
                self.total = keyswitch.add_inner_product(self.params, self.total, digits, halves, galois)

    def rounded(self) -> torch.Tensor:
        """The sum modulo Q: every device's part divided by P and rounded, then added."""
        evaluator, level = self.evaluator, self.level
        total = None if self.total is None else keyswitch.mod_down(self.params, self.total)
        moves = evaluator.placement.scatter(level, extended=False)
        found = self._scattered(total, self.params.q_limbs(level), moves, evaluator.limbs_at(level))
        return self.ring.add(found, self.addends, evaluator.limbs_at(level), out=self.addends)

    def exact(self, *, rescale: bool) -> torch.Tensor:
        """round(sum / P), or round(sum / (P q_level)): added modulo QP, rounded once."""
        evaluator, level = self.evaluator, self.level
        own, placement = evaluator.limbs_at(level), evaluator.placement
        specials = placement.own_specials(evaluator.rank)
        found = self._scattered(
            self.total, self.limbs, placement.scatter(level, extended=True), [*own, *specials]
        )
        lifted = self.ring.mul_scalar(self.addends, [math.prod(self.params.p)] * len(own), own)
        for part, to in zip(lifted, found, strict=True):
            self.ring.add(to[: len(own)], part, own, out=to[: len(own)])
        kept = level - rescale
        rows = evaluator.coefficients(found[:, len(own) :], specials)
        dropped = evaluator.exchange.gather("all_gather", placement.gather_sums(kept), rows, 2)
        if rescale:
            dropped |= evaluator.dropped_rows(found, level)
        drop = (level, *self.params.p_limbs) if rescale else self.params.p_limbs
        return evaluator.divided(found, evaluator.limbs_at(kept), dropped, drop)

    def _own_digits(self, d: torch.Tensor) -> Digits | None:
        """The digits that lie on this device, in all limbs."""
        params, evaluator = self.params, self.evaluator
        every, own = params.digits(self.level), evaluator.limbs_at(self.level)
        digits = [every[j] for j in evaluator.placement.own_digits(len(every), evaluator.rank)]
        if not digits:
            return None
        values = dict(zip(own, d, strict=True))
        coefficients = {limb: row[0] for limb, row in evaluator.coefficients(d[None], own).items()}
        q_limbs = params.q_limbs(self.level)
        return keyswitch.extend(params, digits, coefficients, values, q_limbs, params.p_limbs)

    def _scattered(
        self,
        total: torch.Tensor | None,
        limbs: Sequence[int],
        moves: Sequence[Rows],
        mine: Sequence[int],
    ) -> torch.Tensor:
        """This device's rows of the sum of all devices' totals: [2, mine, N]."""
        shape = (2, len(limbs), self.params.degree)
        part = self.ring.arena.zeros(shape) if total is None else total
        rows: LimbRows = {limb: part[:, row] for row, limb in enumerate(limbs)}
        received = self.evaluator.exchange.deliver("reduce_scatter", moves, rows, 2)
        result = self.ring.arena.empty((2, len(mine), self.params.degree))
        for row, limb in enumerate(mine):
            self.ring.arena.copy_into(rows[limb], result[:, row])
        for source in sorted(received):
            other = torch.stack([received[source][limb] for limb in mine], dim=1) if mine else result
            self.ring.add(result, other, mine, out=result)
        return result
