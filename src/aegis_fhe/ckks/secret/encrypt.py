"""Secret-key encryption: less noise than with a public key, and half the bytes."""

from __future__ import annotations

from aegis_fhe.ckks.ciphertext import MASK_LABEL, SeededCiphertext, require_scale
from aegis_fhe.ckks.secret.keygen import SecretKey
from aegis_fhe.ckks.secret.randomness import draw_key
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.errors import LevelError
from aegis_fhe.ring.sampling import gaussian, mask_row
from aegis_fhe.ring.threads import for_each


def encrypt(
    secret: SecretKey,
    vector: SlotVector,
    *,
    level: int | None = None,
    scale: float | None = None,
    seed: bytes | None = None,
) -> SeededCiphertext:
    """c_0 = -a s + m + e, c_1 = a with m = encode(vector, scale), a uniform from a public seed, e Gaussian.

    Level: `level`, by default the highest; scale: `scale`, by default the parameters'. Noise:
    `noise.fresh_noise`. Cost: one NTT and one uniform polynomial; limbs are spread over threads.

    Randomness is the operating system's; `seed`, for tests and demonstrations only, makes the result a
    function of seed, message, level and scale. Raises LevelError, and ScaleError or LayoutError of the
    encoder.
    """
    params = secret.params
    level = params.max_level if level is None else level
    scale = params.scale if scale is None else scale
    if not 0 <= level <= params.max_level:
        raise LevelError(
            f"cannot encrypt at level {level}; the parameters have levels 0 to {params.max_level}"
        )
    require_scale(scale)
    ring = params.ring.host
    coefficients = params.encoder.encode(vector, scale)
    purpose = f"ciphertext level {level} scale {scale.hex()}"
    mask_seed = draw_key(f"{purpose} mask", seed, coefficients)
    error_key = draw_key(f"{purpose} error", seed, coefficients)
    error = gaussian(params.degree, error_key, b"ciphertext")
    error[:: params.degree // coefficients.shape[0]] += coefficients
    s = secret.values
    body = ring.arena.empty((level + 1, params.degree))

    def fill(limb: int) -> None:
        ring.lift_row(body[limb], error, limb)
        mask_row(ring, body[limb], s[limb], limb, mask_seed, MASK_LABEL)

    for_each(level + 1, fill)
    return SeededCiphertext(body=body, seed=mask_seed, scale=scale)
