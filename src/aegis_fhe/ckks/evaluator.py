"""What a server computes on ciphertexts: arithmetic (inherited) and the operations that switch keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import torch

from aegis_fhe.ckks import encapsulation, keyswitch
from aegis_fhe.ckks.arithmetic import require_two_components
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.expanded_keys import EXPANDED_BYTES, ExpandedKeys
from aegis_fhe.ckks.key_request import CONJUGATION, RELINEARISATION, KeyRequest
from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.offloaded_keys import OffloadedKeys
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_products import PlainProducts
from aegis_fhe.ckks.shared_keys import AT_ONCE, switched_together
from aegis_fhe.errors import CompatibilityError, MissingKeyError
from aegis_fhe.ring.keyswitching import Digits, SwitchOperand


class Evaluator(PlainProducts):
    """CKKS evaluator of one parameter set and one set of evaluation keys; holds no secret.

    A rotation by r switches c_1 with a key from s to sigma^-1(s) and applies sigma: X -> X^(5^r) last, to two
    polynomials instead of all digits. ModUp and ModDown are exact and centred, so this equals rotating first
    bit for bit. What couples limbs are `decompose`, `switch_key`, `mod_down`, `mod_down_rescale`, `rescale`
    and `raise_modulus`: devices that share the limbs of a ciphertext replace these alone. at_once: how many
    ciphertexts are switched while a key is read. Raises CompatibilityError for keys of other parameters.
    """

    at_once = AT_ONCE

    def __init__(
        self, params: Parameters, keys: EvaluationKeys, *, expanded_bytes: int = EXPANDED_BYTES
    ) -> None:
        super().__init__(params)
        if keys.fingerprint != params.fingerprint():
            raise CompatibilityError(
                "the evaluation keys were made for other parameters: generate them anew for these"
            )
        self.keys = keys
        ring = params.ring
        self.expanded = (
            OffloadedKeys(ring.copies, expanded_bytes) if ring.off_host else ExpandedKeys(expanded_bytes)
        )
        self._calls = ring.calls()
        self._results: dict[Hashable, list[tuple[int, float]]] = {}  # levels and scales

    def captured(
        self, circuit: Hashable, x: Ciphertext, run: Callable[[Ciphertext], Ciphertext]
    ) -> Ciphertext:
        """`run(x)`, as `captured_each`."""
        return self.captured_each(circuit, [x], lambda xs: [run(xs[0])])[0]

    def captured_each(
        self,
        circuit: Hashable,
        xs: Sequence[Ciphertext],
        run: Callable[[Sequence[Ciphertext]], Sequence[Ciphertext]],
    ) -> list[Ciphertext]:
        """`run(xs)`, bit for bit, of a circuit that runs again and again: a GPU launches it whole from the
        second time on.

        circuit: names what `run` does, with all its constants.
        """
        key = circuit, *((x.level, x.scale, x.components) for x in xs)

        def work(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            own = [self.made(parts, x.level, x.scale) for parts, x in zip(inputs, xs, strict=True)]
            found = run(own)
            self._results[key] = [(y.level, y.scale) for y in found]
            return [y.parts for y in found]

        parts = self._calls.call(key, [x.parts for x in xs], work, self._settled)
        return [self.made(y, *facts) for y, facts in zip(parts, self._results[key], strict=True)]

    def _settled(self) -> bool:
        """Whether the keys and plaintexts that were used so far stay where they are."""
        return self.expanded.settled and self.plaintexts.settled

    def relinearize(self, x: Ciphertext) -> Ciphertext:
        """3 components -> 2, same message, level and scale; a 2-component ciphertext returns as it is.

        Cost: one key switch. Raises MissingKeyError naming the level.
        """
        if x.components == 2:
            return x
        return self.made(self._relinearized([x], rescale=False)[0], x.level, x.scale)

    def relinearize_rescale(self, x: Ciphertext) -> Ciphertext:
        """`rescale(relinearize(x))` with one rounding: the key switch divides by P q_level at once.

        Level - 1, scale / q_level exactly. Cost: one key switch, which is all of it; noise:
        `noise.fused_rescale_noise`. Raises as both.
        """
        return self.relinearize_rescale_each([x])[0]

    def relinearize_rescale_each(self, xs: Sequence[Ciphertext]) -> list[Ciphertext]:
        """`relinearize_rescale` of each, the key read once for `at_once` of one level.

        Bit for bit as one by one. Raises as that.
        """
        for x in xs:
            self._require_rescale(x.level)
        found = {at: self.rescale(x) for at, x in enumerate(xs) if x.components == 2}
        levels = {at: x.level for at, x in enumerate(xs) if x.components == 3}
        for level, places in switched_together(levels, self.at_once):
            divided = self._relinearized([xs[at] for at in places], rescale=True)
            for at, parts in zip(places, divided, strict=True):
                found[at] = self.made(parts, level - 1, xs[at].scale / self.params.q[level])
        return [found[at] for at in range(len(xs))]

    def rotate(self, x: Ciphertext, step: int) -> Ciphertext:
        """Slot j of the result is slot j + step of x: a left rotation, steps modulo N/2; step 0 returns x.

        Level and scale unchanged. Cost: one key switch. Raises MissingKeyError naming step and level.
        """
        return self.rotate_many(x, [step])[0]

    def rotate_many(self, x: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
        """x rotated by every step, hoisted: one ModUp for all, then an inner product and a ModDown for each.

        Bit for bit the results of single rotations. Step 0 returns x. Raises as `rotate`.
        """
        return self.rotate_many_each([x], steps)[0]

    def rotate_many_each(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> list[list[Ciphertext]]:
        """`rotate_many` of each: [ciphertext][step], a key read once for `at_once` of one level.

        Bit for bit as one by one. Raises as that.
        """
        for x in xs:
            require_two_components(x, "rotate")
        found = [[x] * len(steps) for x in xs]
        moving = [at for at, step in enumerate(steps) if step % self.slots]
        levels = {place: x.level for place, x in enumerate(xs)} if moving else {}
        for level, places in switched_together(levels, self.at_once):
            keys = [self._key(steps[at] % self.slots, level) for at in moving]
            own = [xs[place] for place in places]
            operands = self._operands(own)
            for at, key in zip(moving, keys, strict=True):
                for place, result in zip(places, self._applied(own, operands, key), strict=True):
                    found[place][at] = result
        return found

    def conjugate(self, x: Ciphertext) -> Ciphertext:
        """Every slot conjugated; level and scale unchanged. Cost: one key switch, with the "conj" key."""
        require_two_components(x, "conjugate")
        key = self._key(CONJUGATION, x.level)
        return self._applied([x], self._operands([x]), key)[0]

    def raise_modulus(self, x: Ciphertext) -> Ciphertext:
        """`encapsulation.raise_modulus` with this evaluator's keys. Raises MissingKeyError without them."""
        if self.keys.encapsulation is None:
            raise MissingKeyError("no keys of a sparse secret: generate them for a program that bootstraps")
        return encapsulation.raise_modulus(self.params, x, self.keys.encapsulation, self.expanded.halves)

    def rotate_sum(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> Ciphertext:
        """sum_i rot(xs[i], steps[i]), double hoisted: accumulated modulo QP, one ModDown for all.

        Level: the lowest of xs; their scales must agree. Cost: one ModUp for each *different* ciphertext
        object, one inner product for each term; step 0 costs an addition. Noise: one rounding of ModDown,
        whatever the number of terms. Raises MissingKeyError as `rotate`, CompatibilityError for lengths that
        differ.
        """
        total = self._rotated_sum(xs, steps)
        if isinstance(total, Ciphertext):
            return total
        level = min(x.level for x in xs)
        return self.made(self.mod_down(total, level), level, xs[0].scale)

    def rotate_sum_rescale(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> Ciphertext:
        """`rescale(rotate_sum(xs, steps))` with one rounding: one division by P q_level.

        Level: one below the lowest of xs, scale / q_level exactly. Cost: that of `rotate_sum`. Raises as
        both.
        """
        level = self._check_rotate_sum(xs, steps)
        self._require_rescale(level)
        total = self._rotated_sum(xs, steps)
        if isinstance(total, Ciphertext):
            return self.rescale(total)
        parts = self.mod_down_rescale(total, level)
        return self.made(parts, level - 1, xs[0].scale / self.params.q[level])

    def decompose(self, d: torch.Tensor, level: int) -> Digits:
        """`keyswitch.decompose`: d [limb, N] at `level`, NTT domain."""
        return self.decompose_each([d], level)[0]

    def decompose_each(self, ds: Sequence[torch.Tensor], level: int) -> list[Digits]:
        """`keyswitch.decompose_each`: each [limb, N] at `level`, NTT domain."""
        return keyswitch.decompose_each(self.params, ds)

    def switch_key(
        self,
        operands: Sequence[SwitchOperand],
        key: KeySwitchKey,
        level: int,
        *,
        galois: int = 1,
        rescale: bool = False,
    ) -> list[torch.Tensor]:
        """`keyswitch.switch_key`: of `decompose`d polynomials at `level`, `at_once` or fewer."""
        halves = self.expanded.halves(key)
        return keyswitch.switch_key(self.params, operands, halves, galois=galois, rescale=rescale)

    def mod_down(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """`keyswitch.mod_down`: x modulo Q_level P."""
        return keyswitch.mod_down(self.params, x)

    def mod_down_rescale(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """`keyswitch.mod_down_rescale`: x modulo Q_level P."""
        return keyswitch.mod_down_rescale(self.params, x)

    def _rotated_sum(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> torch.Tensor | Ciphertext:
        """The sum modulo QP, P-fold; as it is when nothing is rotated."""
        level = self._check_rotate_sum(xs, steps)
        keys_of: dict[int, list[KeySwitchKey | None]] = {}
        for x, step in zip(xs, steps, strict=True):
            keys_of.setdefault(id(x), []).append(self._rotation_key(step, level))
        in_qp: torch.Tensor | None = None
        still: list[Ciphertext] = []
        for x in {id(x): x for x in xs}.values():
            low, keys = self.drop_to(x, level), keys_of[id(x)]
            still += [low] * keys.count(None)
            moving = [key for key in keys if key is not None]
            if moving:
                in_qp = self._accumulate(in_qp, low, moving)
        if in_qp is None:
            return self.sum(still)
        for x in still:
            self._add_still(in_qp, x)
        return in_qp

    def _accumulate(
        self, in_qp: torch.Tensor | None, x: Ciphertext, keys: Sequence[KeySwitchKey]
    ) -> torch.Tensor | None:
        """Adds one ciphertext, rotated by each key."""
        digits = self.decompose(x.parts[1], x.level)
        for key in keys:
            in_qp = self._added(in_qp, digits, key, (x.parts[0],))
        return in_qp

    def _added(
        self,
        in_qp: torch.Tensor | None,
        digits: Digits,
        key: KeySwitchKey,
        addends: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        """One product more. A function of its own: halves that are not kept are free before the next."""
        halves = self.expanded.halves(key)
        return keyswitch.add_inner_product(self.params, in_qp, digits, halves, self._galois(key), addends)

    def _add_still(self, in_qp: torch.Tensor, x: Ciphertext) -> None:
        """Adds P times a ciphertext that is not rotated; P is zero in the limbs of P."""
        ring, limbs = self.params.ring, self.limbs_at(x.level)
        lifted = ring.mul_scalar(x.parts, [math.prod(self.params.p)] * len(limbs), limbs)
        for part, to in zip(lifted, in_qp[:, : len(limbs)], strict=True):
            ring.add(to, part, limbs, out=to)

    def _relinearized(self, xs: Sequence[Ciphertext], *, rescale: bool) -> list[torch.Tensor]:
        """Of one level, `at_once` or fewer."""
        level = xs[0].level
        key = self._key(RELINEARISATION, level)
        digits = self.decompose_each([x.parts[2] for x in xs], level)
        operands = [SwitchOperand(d, (x.parts[0], x.parts[1])) for d, x in zip(digits, xs, strict=True)]
        return self.switch_key(operands, key, level, rescale=rescale)

    def _operands(self, xs: Sequence[Ciphertext]) -> list[SwitchOperand]:
        """What automorphisms' keys multiply: c_0 + u_0, u_1 with (u_0, u_1) that of c_1. Of one level."""
        digits = self.decompose_each([x.parts[1] for x in xs], xs[0].level)
        return [SwitchOperand(d, (x.parts[0],)) for d, x in zip(digits, xs, strict=True)]

    def _applied(
        self, xs: Sequence[Ciphertext], operands: Sequence[SwitchOperand], key: KeySwitchKey
    ) -> list[Ciphertext]:
        """The automorphism of one key on ciphertexts of one level, `at_once` or fewer."""
        level = xs[0].level
        turned = self.switch_key(operands, key, level, galois=self._galois(key))
        return [self.made(parts, level, x.scale) for x, parts in zip(xs, turned, strict=True)]

    def _check_rotate_sum(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> int:
        if not xs or len(xs) != len(steps):
            raise CompatibilityError(
                f"rotate_sum needs one step for each ciphertext, got {len(xs)} and {len(steps)}"
            )
        self._check_operands(xs)
        for x in xs:
            require_two_components(x, "rotate_sum")
        return min(x.level for x in xs)

    def _rotation_key(self, step: int, level: int) -> KeySwitchKey | None:
        """The key of a rotation; None for a rotation by nothing."""
        step %= self.slots
        return self._key(step, level) if step else None

    def _key(self, step: int | str, level: int) -> KeySwitchKey:
        return self.keys.find(KeyRequest(step, level), self.params.degree)

    def _galois(self, key: KeySwitchKey) -> int:
        galois = key.request.galois(self.params.degree)
        assert galois is not None
        return galois
