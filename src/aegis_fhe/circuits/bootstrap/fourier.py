"""Slots to coefficients and back: the canonical embedding as a few linear transforms of slots.

With n = N / 2 slots, zeta = exp(i pi / N) and c_k = m_k + i m_{k+n} of a polynomial m, slot j is
sum_k c_k zeta^(5^j k). The fast transform writes that as S_n ... S_4 S_2 R, R the bit reversal, where S_len
joins the halves of every block of len slots,

    (u, w) -> (u + d w, u - d w),   d_j = exp(i pi 5^j / (2 len)),  j < len / 2:

three diagonals of period len (Cheon, Han, Kim, Kim, Song: ePrint 2018/153; Chen, Chillotti, Song: ePrint
2018/1043). A product of neighbouring factors is a stage. Slots to coefficients is S_n ... S_2, coefficients
to slots its inverse: bit reversal cancels, for what happens between them is the same in every slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.linear_transform import PeriodicTransform
from aegis_fhe.circuits.rotations import RotationLadder
from aegis_fhe.errors import ParameterError

Complex = NDArray[np.complex128]
Diagonals = Mapping[int, Complex]


def slots_to_coefficients(slots: int, bits: Sequence[int]) -> list[PeriodicTransform]:
    """Stages of S_n ... S_2, the first to be applied first: stage i takes bits[i] of the log2(n) factors.

    Raises ParameterError unless the bits add up to log2(n).
    """
    stages, first = [], 0
    _check(slots, bits)
    for count in bits:
        factors = [_joined(1 << k) for k in range(first + 1, first + count + 1)]
        stages.append(_stage(factors, slots, first))
        first += count
    return stages


def coefficients_to_slots(slots: int, bits: Sequence[int], factor: complex = 1.0) -> list[PeriodicTransform]:
    """Stages of factor * (S_n ... S_2)^-1, the first to be applied first; its rotations are the longest.

    factor is spread evenly over the stages. Raises ParameterError unless the bits add up to log2(n).
    """
    stages, last = [], slots.bit_length() - 1
    _check(slots, bits)
    for count in bits:
        factors = [_parted(1 << k) for k in range(last, last - count, -1)]
        factors.append({0: np.array([factor ** (1 / len(bits))], dtype=np.complex128)})
        stages.append(_stage(factors, slots, last - count))
        last -= count
    return stages


def _check(slots: int, bits: Sequence[int]) -> None:
    if min(bits, default=0) < 1 or 1 << sum(bits) != slots:
        raise ParameterError(
            f"stages of {list(bits)} bits do not make a transform of {slots} slots; one or more bits each, "
            f"{slots.bit_length() - 1} together, are expected"
        )


def _joined(length: int) -> dict[int, Complex]:
    """S_len as diagonals {offset: [len]}: y_j = sum_offset diagonal[offset]_j x_{j + offset}."""
    half, d = length // 2, _twiddles(length)
    zero = np.zeros(half, dtype=np.complex128)
    return {
        0: np.concatenate([zero + 1, -d]),
        half: np.concatenate([d, zero]),
        -half: np.concatenate([zero, zero + 1]),
    }


def _parted(length: int) -> dict[int, Complex]:
    """S_len^-1: (a, b) -> ((a + b) / 2, conj(d) (a - b) / 2)."""
    half, d = length // 2, _twiddles(length).conj() / 2
    zero = np.zeros(half, dtype=np.complex128)
    return {
        0: np.concatenate([zero + 0.5, -d]),
        half: np.concatenate([zero + 0.5, zero]),
        -half: np.concatenate([zero, d]),
    }


def _twiddles(length: int) -> Complex:
    """exp(i pi 5^j / (2 len)), j < len / 2: the exponents modulo 4 len, exactly."""
    exponents = np.empty(length // 2)
    power = 1
    for j in range(length // 2):
        exponents[j] = power
        power = power * 5 % (4 * length)
    twiddles: Complex = np.exp(1j * np.pi * exponents / (2 * length))
    return twiddles


def _stage(factors: Sequence[Diagonals], slots: int, first: int) -> PeriodicTransform:
    """The product of factors, the first applied first, whose offsets are multiples of 2^first."""
    product: Diagonals = {0: np.ones(1, dtype=np.complex128)}
    for factor in factors:
        product = _after(factor, product, slots)
    stride = 1 << first
    return PeriodicTransform({offset // stride: values for offset, values in sorted(product.items())}, stride)


def _after(second: Diagonals, first: Diagonals, slots: int) -> Diagonals:
    """The diagonals of second * first, offsets in [-n/2, n/2)."""
    period = max(len(values) for values in (*first.values(), *second.values()))
    total: dict[int, Complex] = {}
    for outer, a in second.items():
        for inner, b in first.items():
            offset = (outer + inner + slots // 2) % slots - slots // 2
            # (second first)_j: a_j b_{j + outer} x_{j + outer + inner}.
            product = _repeated(a, period) * np.roll(_repeated(b, period), -outer)
            total[offset] = total[offset] + product if offset in total else product
    return {offset: values for offset, values in total.items() if values.any()}


def _repeated(values: Complex, period: int) -> Complex:
    return np.tile(values, period // len(values))


def ladders(transform: PeriodicTransform) -> tuple[RotationLadder, RotationLadder]:
    """(babies, giants) for a stage: about as many of one as of the other, each from two sizes of step."""
    stride, span = transform.stride, max(transform.diagonals) - min(transform.diagonals) + 1
    log_babies = (span.bit_length() + 1) // 2
    few = 1 << (log_babies // 2)
    giant = stride << log_babies
    log_giants = max(0, span.bit_length() - log_babies)
    strides = 1 << (log_giants // 2)
    babies = RotationLadder((stride * few, stride), (few,))
    return babies, RotationLadder((giant * strides, giant), (strides,))
