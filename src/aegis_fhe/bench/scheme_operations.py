"""The operations of the scheme, at the highest level of a parameter set, on two fresh ciphertexts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aegis_fhe.ckks.ciphertext import Ciphertext, SeededCiphertext
from aegis_fhe.ckks.evaluator import Evaluator
from aegis_fhe.ckks.key_request import RELINEARISATION, KeyRequest
from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt
from aegis_fhe.ckks.secret.decrypt import decrypt_coefficients
from aegis_fhe.ckks.secret.keygen import generate_key
from aegis_fhe.ckks.slots import SlotVector

ROTATIONS = tuple(range(1, 9))


class SchemeOperations:
    """Values, keys and ciphertexts, each made when an operation first needs it."""

    def __init__(self, params: Parameters) -> None:
        self.params = params
        self.limbs = params.q_limbs(params.max_level)
        self.x_values = SlotVector(np.sin(np.arange(params.slots)))
        self.y_values = SlotVector(np.cos(np.arange(params.slots)))
        self._next_step = len(ROTATIONS)

    @cached_property
    def secret(self) -> SecretKey:
        """A secret key."""
        return SecretKey.generate(self.params)

    @cached_property
    def x(self) -> Ciphertext:
        """Encrypts `x_values`."""
        return encrypt(self.secret, self.x_values).expand(self.params)

    @cached_property
    def y(self) -> Ciphertext:
        """Encrypts `y_values`."""
        return encrypt(self.secret, self.y_values).expand(self.params)

    @cached_property
    def y_plain(self) -> Tensor:
        """`y_values` encoded: [limb, N], NTT domain."""
        return self._encoded(self.y_values)

    @cached_property
    def x_coefficients(self) -> NDArray[np.float64]:
        """`x`, decrypted and not yet decoded."""
        return self.decrypt()

    @cached_property
    def product(self) -> Ciphertext:
        """x times y_plain, at twice the scale: what a rescale takes."""
        return self.multiply_plain()

    @cached_property
    def multiplier(self) -> Evaluator:
        """An evaluator with the relinearisation key."""
        return self._evaluator([RELINEARISATION])

    @cached_property
    def rotator(self) -> Evaluator:
        """An evaluator with the keys of `ROTATIONS`."""
        return self._evaluator(ROTATIONS)

    def encode(self) -> Tensor:
        """Slot values to a plaintext that can be multiplied: NTT domain, all limbs."""
        return self._encoded(self.x_values)

    def decode(self) -> SlotVector:
        """Coefficients to slot values."""
        return self.params.encoder.decode(self.x_coefficients, self.params.scale)

    def encrypt(self) -> SeededCiphertext:
        """Encode and encrypt."""
        return encrypt(self.secret, self.x_values)

    def decrypt(self) -> NDArray[np.float64]:
        """A ciphertext to coefficients."""
        return decrypt_coefficients(self.secret, self.x)

    def decrypt_and_decode(self) -> SlotVector:
        """A ciphertext to slot values."""
        return decrypt(self.secret, self.x)

    def add(self) -> Ciphertext:
        """x + y."""
        return self._keyless.add(self.x, self.y)

    def multiply_plain(self) -> Ciphertext:
        """x * y_plain, which has been encoded before."""
        parts = self.params.ring.mul(self.x.parts, self.y_plain, self.limbs)
        return Ciphertext(parts=parts, scale=self.x.scale * self.params.scale)

    def multiply(self) -> Ciphertext:
        """x * y, relinearised."""
        return self.multiplier.relinearize(self.multiplier.multiply(self.x, self.y))

    def rescale(self) -> Ciphertext:
        """A product, one limb shorter."""
        return self._keyless.rescale(self.product)

    def rotate(self) -> Ciphertext:
        """x, one slot to the left."""
        return self.rotator.rotate(self.x, ROTATIONS[0])

    def rotate_many(self) -> list[Ciphertext]:
        """x by each of `ROTATIONS`, hoisted."""
        return self.rotator.rotate_many(self.x, ROTATIONS)

    def make_rotation_key(self) -> KeySwitchKey:
        """A rotation key for a step that had none."""
        self._next_step += 1
        return generate_key(self.secret, KeyRequest(self._next_step, self.params.max_level))

    def operations(self) -> dict[str, Callable[[], object]]:
        """Name -> one run."""
        return {
            "encode": self.encode,
            "decode": self.decode,
            "encrypt": self.encrypt,
            "decrypt": self.decrypt,
            "decrypt + decode": self.decrypt_and_decode,
            "add": self.add,
            "plaintext product": self.multiply_plain,
            "product + relinearise": self.multiply,
            "rescale": self.rescale,
            "rotate": self.rotate,
            "8 hoisted rotations": self.rotate_many,
            "rotation key generation": self.make_rotation_key,
        }

    @cached_property
    def _keyless(self) -> Evaluator:
        return self._evaluator([])

    def _evaluator(self, steps: Sequence[int | str]) -> Evaluator:
        top = self.params.max_level
        keys = (generate_key(self.secret, KeyRequest(step, top)) for step in steps)
        return Evaluator(self.params, EvaluationKeys.collect(self.params, keys))

    def _encoded(self, values: SlotVector) -> Tensor:
        coefficients = self.params.encoder.encode(values, self.params.scale)
        return self.params.ring.from_signed_ntt(coefficients, self.limbs)
