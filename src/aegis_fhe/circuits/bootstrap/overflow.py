"""How often a raised modulus overflows more than a bootstrap allows for."""

from __future__ import annotations

import math
from fractions import Fraction


def overflow_probability(degree: int, weight: int, bound: int) -> float:
    """P(|I| >= bound) for any of the N coefficients of m + q_0 I, under a secret of `weight` coefficients.

    I is the sum of 1 + weight independent uniform numbers in [-1/2, 1/2) (residues of c_0 and c_1 over q_0),
    rounded; a union over the coefficients. The tail of that sum is the Irwin-Hall distribution's, in exact
    fractions: P(S > x) = sum_{k < n - x} (-1)^k C(n, k) (n - x - k)^n / n! (ePrint 2022/024, section 3).
    """
    count = weight + 1
    # |I| >= bound where the sum of numbers in [0, 1) exceeds its mean by bound - 1/2.
    beyond = Fraction(count, 2) - (bound - Fraction(1, 2))
    tail = Fraction(0)
    for k in range(max(0, math.ceil(beyond))):
        tail += (-1) ** k * math.comb(count, k) * (beyond - k) ** count
    return min(1.0, float(2 * degree * tail / math.factorial(count)))
