"""Decryption, with optional flooding for results that leave the client."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.secret.keygen import SecretKey
from aegis_fhe.ckks.slots import SlotVector

FLOAT_LIMBS = 3
HEADROOM_BITS = 20


def decrypt(secret: SecretKey, ciphertext: Ciphertext, *, flooding_bits: int | None = None) -> SlotVector:
    """Slot values of decode(c_0 + c_1 s (+ c_2 s^2)) / scale: complex128 [N/2], dense.

    In: 2 or 3 components, any level and scale. Only the lowest three limbs are used (about 130 bits) unless
    the scale needs more: a polynomial beyond them, from values far outside the program's range, decodes to
    nonsense.

    **Sharing results.** A CKKS decryption contains the noise, which depends on the secret key: whoever sees
    decrypted values *and* the ciphertexts can recover the key (IND-CPA-D: Li and Micciancio, ePrint
    2020/1533). Before a result leaves the client give `flooding_bits`: Gaussian noise of standard deviation
    2^flooding_bits is added to every coefficient (units of the integer polynomial; `noise.flooding_bits`
    computes how many are enough). Without it keep the result to yourself.
    """
    coefficients = decrypt_coefficients(secret, ciphertext)
    if flooding_bits is not None:
        coefficients = coefficients + np.rint(_gaussian(coefficients.size) * 2.0**flooding_bits)
    return secret.params.encoder.decode(coefficients, ciphertext.scale)


def decrypt_coefficients(secret: SecretKey, ciphertext: Ciphertext) -> NDArray[np.float64]:
    """c_0 + c_1 s (+ c_2 s^2) centred, that is scale * message + noise: float64 [N], exact to 53 bits.

    Raises LevelError for a level that the parameters lack, LayoutError for another degree.
    """
    params = secret.params
    ring = params.ring.host
    params.q_limbs(ciphertext.level)
    count = min(_limbs_needed(secret, ciphertext), ciphertext.level + 1)
    limbs = params.q_limbs(count - 1)
    s = secret.values[:count]
    *lower, total = ciphertext.parts[:, :count].cpu().unbind(0)
    for part in reversed(lower):
        product = ring.mul(total, s, limbs)
        total = ring.add(product, part, limbs, out=product)
    coefficients = ring.intt(total, limbs, out=total)
    if count <= FLOAT_LIMBS:
        return np.asarray(ring.to_centred_float(coefficients, limbs).numpy(), dtype=np.float64)
    return np.array([float(value) for value in ring.to_integers(coefficients, limbs)])


def _limbs_needed(secret: SecretKey, ciphertext: Ciphertext) -> int:
    """Three limbs, or more when a message of 2^20 at this scale would not fit them."""
    params = secret.params
    needed = np.log2(ciphertext.scale) + HEADROOM_BITS + 1
    count = FLOAT_LIMBS
    while count <= ciphertext.level and params.log_q(count - 1) < needed:
        count += 1
    return count


def _gaussian(count: int) -> NDArray[np.float64]:
    """Standard normal values from OS entropy by Box and Muller; of 53-bit uniforms, so up to 8.6 sigma."""
    words = np.frombuffer(secrets.token_bytes(16 * count), dtype=np.uint64).reshape(2, count)
    radius, angle = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(np.sqrt(-2.0 * np.log(radius)) * np.cos(2.0 * np.pi * angle))
