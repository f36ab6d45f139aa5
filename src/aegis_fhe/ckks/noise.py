"""Predicted noise: standard deviations of the error's coefficients, and what they mean in the slots.

All `*_noise` functions take and return coefficient-domain standard deviations in units of the integer
polynomial (scale included). Errors are independent and centred, so they add in squares. Formulas follow the
average-case (Gaussian) analysis of Costache, Curtis, Hales, Murphy, Ogilvie and Player, ePrint 2022/162, and
Kim, Papadimitriou and Polyakov, ePrint 2020/1118, §4; the key switch is Han and Ki, ePrint 2019/688, §3.

A message or plaintext enters by its norm: `message_norm(...)` = 2-norm of its coefficient vector. One number
for a norm fits values that are independent of each other; `circuits.NoiseBackend` applies the same formulas
slot by slot and keeps track of common noise, for whole circuits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from aegis_fhe.ckks.parameters import Parameters

ERROR_SIGMA = 3.19
ROUNDING_VARIANCE = 1 / 12
TERNARY_VARIANCE = 2 / 3


def slot_std(params: Parameters, noise: float, scale: float) -> float:
    """Standard deviation of the real (or imaginary) part of a slot's error: noise * sqrt(N / 2) / scale."""
    return noise * math.sqrt(params.degree / 2) / scale


def worst_slot_error(params: Parameters, noise: float, scale: float, failure: float = 2.0**-20) -> float:
    """Bound on |error| in all (complex) slots at once, exceeded with probability about `failure`.

    Rounding errors are multiplied by the secret: slot j holds r(zeta) s(zeta), a product of two complex
    Gaussians, with the tail P(> t) = 2t K_1(2t), about sqrt(pi t) exp(-2t) in units of its standard
    deviation. At 2^15 slots this is 2.6 times the Gaussian bound. For ciphertexts of 2 components; before
    relinearisation s^2 makes it heavier still.
    """
    exponent = math.log(params.slots / failure)
    deviations = exponent / 2
    for _ in range(8):
        deviations = (exponent + 0.5 * math.log(math.pi * deviations)) / 2
    return math.sqrt(2) * slot_std(params, noise, scale) * deviations


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Bits behind the binary point: -log2 of the rms |error| over the slots, and of the worst one's bound."""

    mean_bits: float
    worst_bits: float


def precision_bits(error: float) -> float:
    """-log2(error) of an absolute error in the slots; infinite for none."""
    return -math.log2(error) if error > 0 else math.inf


def message_norm(params: Parameters, slot_rms: float, scale: float) -> float:
    """2-norm of a message's coefficients: scale * `slot_rms`, the slots' root mean square (Parseval)."""
    return scale * slot_rms


def fresh_noise(params: Parameters) -> float:
    """Secret-key encryption: the error and the rounding of the encoding, sqrt(sigma^2 + 1/12)."""
    return math.sqrt(ERROR_SIGMA**2 + ROUNDING_VARIANCE)


def sum_noise(*noises: float) -> float:
    """A sum of independent terms, or independent additions to one term: root of the sum of squares."""
    return math.hypot(*noises)


def plain_product_noise(
    params: Parameters, noise: float, norm: float, plain_norm: float, period: int
) -> float:
    """x * v: noise * |v|, and |x| sqrt(M / 12N) from rounding the M = 2 * period coefficients of v.

    norm, plain_norm: coefficient 2-norms of the message and of the encoded plaintext.
    """
    return math.hypot(noise * plain_norm, norm * plain_rounding_noise(params, period))


def plain_rounding_noise(params: Parameters, period: int) -> float:
    """Rounding of an encoded vector: 1/12 in M = 2 * period of N coefficients, sqrt(M / 12N) on average."""
    return math.sqrt(ROUNDING_VARIANCE * 2 * period / params.degree)


def product_noise(params: Parameters, x: float, x_norm: float, y: float, y_norm: float) -> float:
    """Tensor product: |m_x| e_y + |m_y| e_x + e_x e_y, the last of size sqrt(N) x y.

    For independent operands; the noise of a square is 2 |m| e.
    """
    return math.hypot(x_norm * y, y_norm * x, math.sqrt(params.degree) * x * y)


def key_switch_noise(params: Parameters, level: int) -> float:
    """Added by one key switch: the digits' part and the rounding of ModDown."""
    return math.hypot(key_product_noise(params, level), mod_down_noise(params))


def key_product_noise(params: Parameters, level: int) -> float:
    """Noise of the inner product of digits and key: sqrt(N sigma^2 sum_j Q_j^2 / 12) / P.

    This is what each term of a double-hoisted sum adds; the rounding of ModDown comes once.
    """
    moduli = (math.prod(params.q[limb] for limb in digit) for digit in params.digits(level))
    digit_variance = sum((modulus / math.prod(params.p)) ** 2 for modulus in moduli) * ROUNDING_VARIANCE
    return ERROR_SIGMA * math.sqrt(params.degree * digit_variance)


def rotate_sum_noise(params: Parameters, level: int, key_products: int) -> float:
    """Added by a double-hoisted sum: `key_products` inner products and one rounding; 0 where none moves."""
    if not key_products:
        return 0.0
    return math.hypot(math.sqrt(key_products) * key_product_noise(params, level), mod_down_noise(params))


def mod_down_noise(params: Parameters, components: int = 2) -> float:
    """Rounding of `components` polynomials: independent uniform errors times 1, s, s^2.

    The same for a division by any product of primes: P (ModDown), q_level (rescale), or P * q_level at once.
    Variance (1 + |s|^2 + |s^2|^2) / 12, on average |s|^2 = 2N/3 and |s^2|^2 = 2 (2N/3)^2: a coefficient of
    s^2 is a sum of N/2 products that each occur twice. |s^2|^2 varies by some percent from key to key.
    """
    secret = TERNARY_VARIANCE * params.degree
    return math.sqrt(ROUNDING_VARIANCE * sum((1.0, secret, 2 * secret**2)[:components]))


def rescale_noise(params: Parameters, noise: float, level: int, components: int = 2) -> float:
    """Rescaling from `level`: noise / q_level, and one rounding as in ModDown."""
    return math.hypot(noise / params.q[level], mod_down_noise(params, components))


def fused_rescale_noise(params: Parameters, noise: float, level: int, key_products: int = 1) -> float:
    """Key switch and rescale in one division by P * q_level: one rounding where two steps have two.

    noise: of what is switched, at `level`. key_products: inner products accumulated modulo QP (1 for a
    relinearisation, one for each rotation of a double-hoisted sum).
    """
    products = math.sqrt(key_products) * key_product_noise(params, level)
    return math.hypot(math.hypot(noise, products) / params.q[level], mod_down_noise(params))


def flooding_bits(params: Parameters, noise: float, statistical_bits: int, shared_results: int = 1) -> int:
    """Bits of flooding that hide `noise` in `shared_results` published decryptions to `statistical_bits`.

    sigma = noise * sqrt(12 * results) * 2^(statistical_bits / 2): Li, Micciancio, Schultz and Sorrell, ePrint
    2022/816, §4. Out: log2(sigma), rounded up, in units of the integer polynomial.
    """
    return math.ceil(math.log2(noise * math.sqrt(12 * shared_results)) + statistical_bits / 2)
