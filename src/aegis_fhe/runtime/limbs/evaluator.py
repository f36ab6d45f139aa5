"""The evaluator of devices that share the limbs of every ciphertext.

Sums and products are each device's own. What couples limbs gathers rows first, in coefficient form, and then
computes this device's rows of the result: basis conversion is exact and centred, so every row equals that of
one device, bit for bit. Sources: input broadcast and output aggregation as in Cinnamon (ASPLOS 2025).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence

import torch

from aegis_fhe.ckks import keyswitch
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.expanded_keys import ExpandedKeys
from aegis_fhe.ckks.key_request import rotation_galois
from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, LevelError, MissingKeyError
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.ring.keyswitching import Digits, SwitchOperand
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.limbs.aggregate import AggregatedSum
from aegis_fhe.runtime.limbs.exchange import LimbRows, RowExchange
from aegis_fhe.runtime.limbs.shard import LimbShard


class LimbEvaluator(Evaluator):
    """One device's share of every operation; all devices call the same ones in the same order.

    keys: those of this device (`held_keys`), or ones that `expanded` takes its rows of. digit_keys: by Galois
    element, those of its digits, where sums are aggregated. Ciphertexts are `LimbShard`s. `exchange.node`
    names what is computed. Raises CompatibilityError for a placement of other parameters or another world.
    """

    at_once = 1

    def __init__(
        self,
        params: Parameters,
        keys: EvaluationKeys,
        placement: LimbPlacement,
        communicator: Communicator,
        *,
        digit_keys: Mapping[int, KeySwitchKey] | None = None,
        expanded: ExpandedKeys | None = None,
    ) -> None:
        super().__init__(params, keys)
        if expanded is not None:
            self.expanded = expanded
        if placement.aggregation != "none" and digit_keys is None:
            raise CompatibilityError("sums that are aggregated need the keys of this device's digits")
        self.digit_keys = {} if digit_keys is None else digit_keys
        found = len(params.q), len(params.p), communicator.world_size
        if (placement.limbs, placement.specials, placement.world_size) != found:
            raise CompatibilityError(
                f"a placement of {placement.limbs} + {placement.specials} limbs on {placement.world_size} "
                f"devices does not fit {found[0]} + {found[1]} limbs on {found[2]}"
            )
        self.placement, self.rank = placement, communicator.rank
        self.exchange = RowExchange(communicator, params.degree, params.ring.arena)

    def captured_each(
        self,
        circuit: Hashable,
        xs: Sequence[Ciphertext],
        run: Callable[[Sequence[Ciphertext]], Sequence[Ciphertext]],
    ) -> list[Ciphertext]:
        """As it comes: devices that share limbs exchange rows in between."""
        return list(run(xs))

    def limbs_at(self, level: int) -> tuple[int, ...]:
        """This device's limbs. Raises LevelError."""
        self.params.q_limbs(level)
        return self.placement.q_limbs(level, self.rank)

    def made(self, parts: torch.Tensor, level: int, scale: float) -> LimbShard:
        """This device's rows of a ciphertext."""
        return LimbShard(parts=parts, scale=scale, whole_level=level)

    def decompose(self, d: torch.Tensor, level: int) -> Digits:
        """Every row of d to every device: one gather for all keys."""
        limbs = self.limbs_at(level)
        coefficients = self.coefficients(d[None], limbs)
        found = self.exchange.gather("all_gather", self.placement.gather(level), coefficients, 1)
        return self._extended(level, d, {limb: row[0] for limb, row in found.items()})

    def decompose_each(self, ds: Sequence[torch.Tensor], level: int) -> list[Digits]:
        """One after the other."""
        return [self.decompose(d, level) for d in ds]

    def switch_key(
        self,
        operands: Sequence[SwitchOperand],
        key: KeySwitchKey,
        level: int,
        *,
        galois: int = 1,
        rescale: bool = False,
    ) -> list[torch.Tensor]:
        """A product, and its division; one by one, as the rows of each are exchanged."""
        halves, results = self.expanded.halves(key), list[torch.Tensor]()
        for digits, addends in operands:
            product = keyswitch.inner_product(self.params, digits, halves, addends)
            divided = (
                self.mod_down_rescale(product, level) if rescale else self._turned(product, level, galois)
            )
            results.append(divided)
        return results

    def mod_down(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """As `_turned` by nothing."""
        return self._turned(x, level, 1)

    def _turned(self, x: torch.Tensor, level: int, galois: int) -> torch.Tensor:
        """Divided by P, and X -> X^galois: local where this device has all special limbs."""
        limbs, specials = self.limbs_at(level), self.params.p_limbs
        if self.placement.placed == "replicated":
            if not limbs:
                return x[:, :0]
            return self.params.ring.mod_down(x, limbs, specials, galois=galois)
        dropped = self._special_rows(x, level, level)
        quotient = self.divided(x, limbs, dropped, specials)
        return quotient if galois == 1 else self.params.ring.automorphism(quotient, galois)

    def mod_down_rescale(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """The owner of the dropped limb sends its rows of both components."""
        rows = self._special_rows(x, level, level - 1) | self.dropped_rows(x, level)
        return self.divided(x, self.limbs_at(level - 1), rows, (level, *self.params.p_limbs))

    def rescale(self, x: Ciphertext) -> Ciphertext:
        """The owner of the dropped limb sends its rows."""
        self._require_rescale(x.level)
        rows = self.dropped_rows(x.parts, x.level)
        parts = self.divided(x.parts, self.limbs_at(x.level - 1), rows, (x.level,))
        return self.made(parts, x.level - 1, x.scale / self.params.q[x.level])

    def rotate_sum(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> Ciphertext:
        """With its inputs gathered, or aggregated, whichever moves fewer rows."""
        level = self._check_rotate_sum(xs, steps)
        total = self._aggregated(xs, steps, level)
        if total is None:
            return super().rotate_sum(xs, steps)
        parts = total.rounded() if self.placement.aggregation == "rounded" else total.exact(rescale=False)
        return self.made(parts, level, xs[0].scale)

    def rotate_sum_rescale(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> Ciphertext:
        """As rotate_sum; a sum of rounded parts is rescaled after it."""
        level = self._check_rotate_sum(xs, steps)
        self._require_rescale(level)
        total = self._aggregated(xs, steps, level)
        if total is None:
            return super().rotate_sum_rescale(xs, steps)
        if self.placement.aggregation == "rounded":
            return self.rescale(self.made(total.rounded(), level, xs[0].scale))
        parts = total.exact(rescale=True)
        return self.made(parts, level - 1, xs[0].scale / self.params.q[level])

    def _aggregated(self, xs: Sequence[Ciphertext], steps: Sequence[int], level: int) -> AggregatedSum | None:
        """The sum's terms, where that moves fewer rows."""
        elements = [rotation_galois(step, self.params.degree) for step in steps]
        turned = {id(x) for x, element in zip(xs, elements, strict=True) if element != 1}
        if not self.placement.aggregates(len(turned), level):
            return None
        total = AggregatedSum(self, self.digit_keys, level)
        elements_of: dict[int, list[int]] = {}
        for x, element in zip(xs, elements, strict=True):
            elements_of.setdefault(id(x), []).append(element)
        for x in {id(x): x for x in xs}.values():
            total.add(self.drop_to(x, level), elements_of[id(x)])
        return total

    def raise_modulus(self, x: Ciphertext) -> Ciphertext:
        """Limb 0's device switches to the sparse secret and sends what becomes the raised ciphertext.

        From then on every device knows all coefficients, so the way back gathers nothing.
        """
        keys = self.keys.encapsulation
        if keys is None:
            raise MissingKeyError("no keys of a sparse secret: generate them for a program that bootstraps")
        if x.level != 0:
            raise LevelError(f"the modulus is raised from level 0, not from level {x.level}: drop it first")
        ring, top = self.params.ring, self.params.max_level
        own = {}
        if self.placement.owner(0) == self.rank:
            narrow = keys.to_sparse.params
            digits = keyswitch.decompose(narrow, x.parts[1])
            product = keyswitch.inner_product(
                narrow, digits, self.expanded.halves(keys.to_sparse), (x.parts[0],)
            )
            own[0] = ring.intt(keyswitch.mod_down(narrow, product), (0,))[:, 0]
        low = self.exchange.gather("broadcast", self.placement.base(), own, 2)[0][:, None].contiguous()
        limbs, everything = self.limbs_at(top), self.params.q_limbs(top)
        raised = ring.convert(low, (0,), limbs)
        ring.ntt(raised, limbs, out=raised)
        coefficients = ring.convert(low[1], (0,), everything)
        digits = self._extended(top, raised[1], dict(enumerate(coefficients)))
        product = keyswitch.inner_product(
            self.params, digits, self.expanded.halves(keys.from_sparse), (raised[0],)
        )
        return self.made(self.mod_down(product, top), top, x.scale)

    def _extended(self, level: int, d: torch.Tensor, coefficients: Mapping[int, torch.Tensor]) -> Digits:
        """This device's rows of all digits, from all coefficients."""
        limbs, specials = self.limbs_at(level), self.placement.p_limbs(self.rank)
        own = dict(zip(limbs, d, strict=True))
        return keyswitch.extend(self.params, self.params.digits(level), coefficients, own, limbs, specials)

    def coefficients(self, x: torch.Tensor, limbs: Sequence[int]) -> LimbRows:
        """x [component, limb, N], NTT domain -> rows [component, N] by limb, coefficient domain."""
        if not limbs:
            return {}
        values = self.params.ring.arena.copy(x)
        self.params.ring.intt(values, limbs, out=values)
        return {limb: values[:, row] for row, limb in enumerate(limbs)}

    def _special_rows(self, x: torch.Tensor, level: int, kept_level: int) -> LimbRows:
        """All special rows of a value modulo Q_level P, on devices that hold limbs up to kept_level."""
        first, limbs = len(self.limbs_at(level)), self.placement.p_limbs(self.rank)
        own = self.coefficients(x[:, first:], limbs)
        moves = self.placement.gather_specials(kept_level)
        return self.exchange.gather("all_gather", moves, own, x.shape[0])

    def dropped_rows(self, x: torch.Tensor, level: int) -> LimbRows:
        """The row of limb `level`, on devices that hold lower ones."""
        own: LimbRows = {}
        if self.placement.owner(level) == self.rank:
            row = len(self.limbs_at(level)) - 1
            own = self.coefficients(x[:, row : row + 1], (level,))
        return self.exchange.gather("broadcast", self.placement.drop(level), own, x.shape[0])

    def _stacked(self, rows: LimbRows, limbs: Sequence[int]) -> torch.Tensor:
        """Rows [component, N] of these limbs as [component, limb, N]."""
        chosen = [rows[limb] for limb in limbs]
        out = self.params.ring.arena.empty((chosen[0].shape[0], len(chosen), self.params.degree))
        return torch.stack(chosen, dim=1, out=out)

    def divided(
        self, x: torch.Tensor, keep: Sequence[int], rows: LimbRows, drop: Sequence[int]
    ) -> torch.Tensor:
        """round(x / prod q_drop) in the limbs `keep`, the first rows of x; rows: the others' coefficients."""
        ring, kept = self.params.ring, x[:, : len(keep)]
        if not keep:
            return kept
        low = self._stacked(rows, drop)
        rest = ring.convert(low, drop, keep)
        ring.ntt(rest, keep, out=rest)
        product = math.prod(ring.moduli[limb] for limb in drop)
        inverses = [pow(product, -1, ring.moduli[limb]) for limb in keep]
        difference = ring.sub(kept, rest, keep, out=rest)
        return ring.mul_scalar(difference, inverses, keep, out=difference)
