"""Raising the modulus under a sparse secret: what bootstrapping begins with.

A ciphertext modulo q_0 is switched to a secret of few non-zero coefficients, read modulo all of Q, and
switched back: its message becomes m + q_0 I, and the fewer the non-zero coefficients, the smaller I. The
sparse secret protects nothing but a key modulo q_0 p_0, which is small enough for it (Bossuat,
Troncoso-Pastoriza, Hubaux: ePrint 2022/024).
"""

from __future__ import annotations

from collections.abc import Callable

from aegis_fhe.ckks import keyswitch
from aegis_fhe.ckks.arithmetic import require_two_components
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.keys import EncapsulationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, LevelError
from aegis_fhe.ring.keyswitching import KeyHalves, SwitchOperand


def raise_modulus(
    params: Parameters,
    x: Ciphertext,
    keys: EncapsulationKeys,
    halves: Callable[[KeySwitchKey], KeyHalves] = lambda key: key.halves,
) -> Ciphertext:
    """m modulo q_0 -> m + q_0 I modulo Q: level 0 -> the highest, scale unchanged.

    |I| is at most (1 + weight) / 2, and in all coefficients below far less but with a small probability: see
    `circuits.bootstrap.overflow`. halves: of each key, by default drawn anew. Cost: two key switches, one of
    them at level 0. Raises LevelError unless x is at level 0, CompatibilityError for a product or for keys of
    other parameters.
    """
    require_two_components(x, "raise_modulus")
    if x.level != 0:
        raise LevelError(
            f"the modulus is raised from level 0, the ciphertext is at level {x.level}: drop it first"
        )
    if keys.from_sparse.params.fingerprint() != params.fingerprint():
        raise CompatibilityError("the keys of the sparse secret were made for other parameters")
    ring, limbs = params.ring, params.q_limbs(params.max_level)
    narrow = keys.to_sparse.params
    operand = SwitchOperand(keyswitch.decompose(narrow, x.parts[1]), (x.parts[0],))
    (switched,) = keyswitch.switch_key(narrow, [operand], halves(keys.to_sparse))
    coefficients = ring.intt(switched, limbs[:1])
    raised = ring.convert(coefficients, limbs[:1], limbs)
    ring.ntt(raised, limbs, out=raised)
    operand = SwitchOperand(keyswitch.decompose(params, raised[1]), (raised[0],))
    (parts,) = keyswitch.switch_key(params, [operand], halves(keys.from_sparse))
    return Ciphertext(parts=parts, scale=x.scale)
