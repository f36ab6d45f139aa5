// Modular arithmetic in double precision with fused multiply-add, for primes q < 2^50: integers held exactly in
// doubles, signed and lazily reduced. Lanes names a value type (double or a vector, with + - *) and three functions:
//   fused_sub(a, b, c) = ab - c,   fused_from(c, a, b) = c - ab,   each rounded once;
//   nearest_product(a, b): an integer within 1/2 and a rounding or two of ab.
// Source of the product: van der Hoeven, Lecerf and Quintin, "Modular SIMD arithmetic in Mathemagic" (2016).
#pragma once

#include "modular.h"

namespace aegis {

// a b mod q, signed. |a| <= 2^53, |b| <= q/2 (a constant): |result| <= q (1/2 + 1.5 |a| 2^-53).
// For |a|, |b| < q: |result| <= q (1/2 + 3 q 2^-53) < 7/8 q.
// high + low = ab exactly; the quotient is off by the rounding of high/q, so high - quotient q < 2^53 is exact too.
template <class Lanes, class T>
AEGIS_HD T product_mod(T a, T b, T q, T q_inverse) {
    T high = a * b;
    T low = Lanes::fused_sub(a, b, high);
    T quotient = Lanes::nearest_product(high, q_inverse);
    return Lanes::fused_from(high, quotient, q) + low;
}

// |x| <= 2^53 -> |result| <= q/2 + 1
template <class Lanes, class T>
AEGIS_HD T centre(T x, T q, T q_inverse) {
    return Lanes::fused_from(x, Lanes::nearest_product(x, q_inverse), q);
}

// The bound of product_mod with a constant |b| <= q/2, in units of 1 (not of q).
AEGIS_HD double product_bound(double a, double q) { return q * (0.5 + 1.5001 * a / 9007199254740992.0); }

// The constant w < q as a double in (-q/2, q/2).
AEGIS_HD double centred_constant(u64 w, u64 q) {
    return 2 * w > q ? -static_cast<double>(q - w) : static_cast<double>(w);
}

constexpr double kExact = 9007199254740992.0;  // 2^53: integers up to here are exact

}  // namespace aegis
