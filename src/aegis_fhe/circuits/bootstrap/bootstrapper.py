"""Refreshing a ciphertext: slots to coefficients, a larger modulus, coefficients to slots, a sine."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan, Observer, unseen
from aegis_fhe.circuits.bootstrap.precision import predicted_bits
from aegis_fhe.ckks.arithmetic import require_two_components
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.errors import CompatibilityError, LevelError, ScaleError

# How far a scale may be from the nominal one: a factor, which is as much room as the messages lose.
SCALE_ROOM = 2.0**-10


class PrecisionWarning(UserWarning):
    """Fewer bits are predicted than a program asked for."""


class Bootstrapper:
    """Refreshes ciphertexts on one evaluator, whose keys cover `BootstrapPlan.key_requests`.

    needed_bits: what the program needs in the worst slot; a PrecisionWarning says when less is predicted.
    """

    def __init__(
        self,
        plan: BootstrapPlan,
        evaluator: Evaluator,
        *,
        needed_bits: float | None = None,
    ) -> None:
        self.plan, self.evaluator = plan, evaluator
        params = evaluator.params
        if params.fingerprint() != plan.params.fingerprint():
            raise CompatibilityError("the evaluator's parameters are not those of the bootstrap's plan")
        for request in plan.key_requests():
            evaluator.keys.find(request, params.degree)
        keys = evaluator.keys.encapsulation
        if keys is not None and keys.weight > plan.weight:
            raise CompatibilityError(
                f"a sparse secret of {keys.weight} coefficients overflows more than one of {plan.weight}, "
                "for which the sine was planned"
            )
        predicted = math.inf if needed_bits is None else predicted_bits(plan)
        if needed_bits is not None and predicted < needed_bits:
            warnings.warn(
                f"a bootstrap of {params.name} keeps about {predicted:.1f} bits in the worst slot, the "
                f"program asks for {needed_bits:.1f}: choose another plan",
                PrecisionWarning,
                stacklevel=2,
            )

    def refresh(self, x: Ciphertext, *, observe: Observer = unseen) -> Ciphertext:
        """The same complex slots, both parts at most 1, at `output_level` and the nominal scale.

        Level: exactly `input_level`, so that no level is given up unseen. observe: told each stage when it is
        done. Raises LevelError, ScaleError, CompatibilityError before any work.
        """
        self._check(x)

        def run(y: Ciphertext) -> Ciphertext:
            return self.plan.combined(self.evaluator, self.plan.refresh(self.evaluator, y, observe=observe))

        # What is observed stage by stage is not launched whole.
        return run(x) if observe is not unseen else self.evaluator.captured((self, "one"), x, run)

    def refresh_pair(
        self, x: Ciphertext, y: Ciphertext, *, observe: Observer = unseen
    ) -> tuple[Ciphertext, Ciphertext]:
        """Two ciphertexts of real slots at the cost of one. Levels, scales and errors as `refresh`."""
        self._check(x)
        self._check(y)

        def run(values: Sequence[Ciphertext]) -> tuple[Ciphertext, Ciphertext]:
            both = self.evaluator.add(values[0], self.evaluator.mul_i(values[1]))
            return self.plan.refresh(self.evaluator, both, observe=observe)

        if observe is not unseen:
            return run([x, y])
        real, imaginary = self.evaluator.captured_each((self, "pair"), [x, y], run)
        return real, imaginary

    def _check(self, x: Ciphertext) -> None:
        plan, params = self.plan, self.plan.params
        require_two_components(x, "a bootstrap")
        if x.parts.shape[-1] != params.degree:
            raise CompatibilityError(
                f"the ciphertext has {x.parts.shape[-1] // 2} slots, the bootstrap {params.slots}"
            )
        if x.level != plan.input_level:
            cure = "drop it first" if x.level > plan.input_level else "refresh it earlier"
            raise LevelError(
                f"a bootstrap begins at level {plan.input_level}, the ciphertext is at level "
                f"{x.level}: {cure}"
            )
        if abs(x.scale / params.scale - 1) > SCALE_ROOM:
            raise ScaleError(
                f"a bootstrap takes scale 2^{math.log2(params.scale):.4f}, the ciphertext has "
                f"2^{math.log2(x.scale):.4f}"
            )
