"""What a server computes on ciphertexts: arithmetic (inherited) and the operations that switch keys."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from aegis_fhe.ckks import keyswitch
from aegis_fhe.ckks.arithmetic import require_two_components
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.keys import CONJUGATION, RELINEARISATION, EvaluationKeys, KeyRequest, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.plain_products import PlainProducts
from aegis_fhe.errors import CompatibilityError


class Evaluator(PlainProducts):
    """CKKS evaluator of one parameter set and one set of evaluation keys; holds no secret.

    A rotation by r switches c_1 with a key from s to sigma^-1(s) and applies sigma: X -> X^(5^r) last, to two
    polynomials instead of all digits. ModUp and ModDown are exact and centred, so this equals rotating first
    bit for bit. Raises CompatibilityError for keys of other parameters.
    """

    def __init__(self, params: Parameters, keys: EvaluationKeys) -> None:
        super().__init__(params)
        if keys.fingerprint != params.fingerprint():
            raise CompatibilityError(
                "the evaluation keys were made for other parameters: generate them anew for these"
            )
        self.keys = keys

    def relinearize(self, x: Ciphertext) -> Ciphertext:
        """3 components -> 2, same message, level and scale; a 2-component ciphertext returns as it is.

        Cost: one key switch. Raises MissingKeyError naming the level.
        """
        if x.components == 2:
            return x
        switched = keyswitch.switch(self.params, x.parts[2], self._key(RELINEARISATION, x.level))
        self.params.ring.add(switched, x.parts[:2], self._limbs(x), out=switched)
        return Ciphertext(parts=switched, scale=x.scale)

    def rotate(self, x: Ciphertext, step: int) -> Ciphertext:
        """Slot j of the result is slot j + step of x: a left rotation, steps modulo N/2; step 0 returns x.

        Level and scale unchanged. Cost: one key switch. Raises MissingKeyError naming step and level.
        """
        return self.rotate_many(x, [step])[0]

    def rotate_many(self, x: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
        """x rotated by every step, hoisted: one ModUp for all, then an inner product and a ModDown for each.

        Bit for bit the results of single rotations. Step 0 returns x. Raises as `rotate`.
        """
        require_two_components(x, "rotate")
        keys = [self._rotation_key(step, x.level) for step in steps]
        if not any(keys):
            return [x for _ in steps]
        digits = keyswitch.decompose(self.params, x.parts[1])
        scratch = self._scratch(digits)
        return [x if key is None else self._apply(x, digits, key, scratch) for key in keys]

    def conjugate(self, x: Ciphertext) -> Ciphertext:
        """Every slot conjugated; level and scale unchanged. Cost: one key switch, with the "conj" key."""
        require_two_components(x, "conjugate")
        key = self._key(CONJUGATION, x.level)
        digits = keyswitch.decompose(self.params, x.parts[1])
        return self._apply(x, digits, key, self._scratch(digits))

    def rotate_sum(self, xs: Sequence[Ciphertext], steps: Sequence[int]) -> Ciphertext:
        """sum_i rot(xs[i], steps[i]), double hoisted: accumulated modulo QP, one ModDown for all.

        Level: the lowest of xs; their scales must agree. Cost: one ModUp for each *different* ciphertext
        object, one inner product for each term; step 0 costs an addition. Noise: one rounding of ModDown,
        whatever the number of terms. Raises MissingKeyError as `rotate`, CompatibilityError for lengths that
        differ.
        """
        level = self._check_rotate_sum(xs, steps)
        keys_of: dict[int, list[KeySwitchKey | None]] = {}
        for x, step in zip(xs, steps, strict=True):
            keys_of.setdefault(id(x), []).append(self._rotation_key(step, level))
        in_q = self.params.ring.arena.zeros((2, level + 1, self.params.degree))
        in_qp: torch.Tensor | None = None
        for x in {id(x): x for x in xs}.values():
            in_qp = self._accumulate(in_q, in_qp, self.drop_to(x, level).parts, keys_of[id(x)])
        if in_qp is not None:
            self.params.ring.add(
                in_q, keyswitch.mod_down(self.params, in_qp), self.params.q_limbs(level), out=in_q
            )
        return Ciphertext(parts=in_q, scale=xs[0].scale)

    def _accumulate(
        self,
        in_q: torch.Tensor,
        in_qp: torch.Tensor | None,
        parts: torch.Tensor,
        keys: Sequence[KeySwitchKey | None],
    ) -> torch.Tensor | None:
        """Adds one ciphertext, rotated by each key: what needs no ModDown to `in_q`, the rest to `in_qp`."""
        ring, limbs = self.params.ring, self.params.q_limbs(parts.shape[1] - 1)
        digits = keyswitch.decompose(self.params, parts[1]) if any(keys) else parts
        product = self._scratch(digits) if any(keys) else parts
        for key in keys:
            if key is None:
                ring.add(in_q, parts, limbs, out=in_q)
                continue
            galois = self._galois(key)
            ring.add(in_q[0], ring.automorphism(parts[0], galois), limbs, out=in_q[0])
            term = ring.automorphism(keyswitch.inner_product(self.params, digits, key, out=product), galois)
            in_qp = term if in_qp is None else ring.add(in_qp, term, limbs + self.params.p_limbs, out=in_qp)
        return in_qp

    def _apply(
        self, x: Ciphertext, digits: torch.Tensor, key: KeySwitchKey, scratch: torch.Tensor
    ) -> Ciphertext:
        """sigma(c_0 + u_0, u_1) with (u_0, u_1) the key switch of c_1."""
        product = keyswitch.inner_product(self.params, digits, key, out=scratch)
        parts = keyswitch.mod_down(self.params, product)
        self.params.ring.add(parts[0], x.parts[0], self._limbs(x), out=parts[0])
        return Ciphertext(parts=self.params.ring.automorphism(parts, self._galois(key)), scale=x.scale)

    def _scratch(self, digits: torch.Tensor) -> torch.Tensor:
        """Memory for one inner product, reused by all rotations of a call."""
        return self.params.ring.arena.empty((2, *digits.shape[1:]))

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
