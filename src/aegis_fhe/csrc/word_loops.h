// Loops over words: rounding of doubles, signed integers to residues, and the two samplers that matter for speed.
#pragma once

#include "loops.h"

namespace aegis {
namespace {

constexpr double kMagic = 6755399441055744.0;  // 1.5 2^52: adding it rounds |x| <= 2^51 to an integer in the low bits
constexpr double kTwo32 = 4294967296.0;
constexpr double kRoundLimit = 4611686018427387904.0;  // 2^62

AEGIS_HD i64 bits_of(double x) {
    i64 bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

AEGIS_HD double from_bits(u64 bits) {
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

// |x| <= 2^51 to the nearest integer, ties to even.
AEGIS_HD i64 nearest_word(double x) { return bits_of(x + kMagic) - bits_of(kMagic); }

// |x| < 2^62: the part above 2^32 leaves a remainder of at most 2^31, exactly.
AEGIS_HD i64 round_word(double x) {
    double high = (x * (1 / kTwo32) + kMagic) - kMagic;
    return nearest_word(high) * (i64{1} << 32) + nearest_word(x - high * kTwo32);
}

// The bits of magnitudes are ordered as the magnitudes are, with infinity and then NaN on top.
template <bool kPacked>
AEGIS_HD double round_run(const double* x, std::size_t n, double factor, i64* out, std::size_t step) {
    i64 largest = 0;
    for (std::size_t j = 0; j < n; ++j) {
        double value = x[j] * factor, magnitude = __builtin_fabs(value);
        out[kPacked ? j : j * step] = round_word(magnitude < kRoundLimit ? value : 0.0);
        largest = bits_of(magnitude) > largest ? bits_of(magnitude) : largest;
    }
    return from_bits(static_cast<u64>(largest));
}

inline double round_doubles(const double* x, std::size_t n, double factor, i64* out, std::size_t step) {
    return step == 1 ? round_run<true>(x, n, factor, out, 1) : round_run<false>(x, n, factor, out, step);
}

// Any word to the nearest double: both halves are exact, their sum is rounded once.
AEGIS_HD double double_of(i64 x) {
    u64 word = static_cast<u64>(x);
    double low = from_bits((word & 0xffffffffu) | 0x4330000000000000u) - 4503599627370496.0;  // 2^52 + low
    double high = from_bits(((word ^ 0x8000000000000000u) >> 32) | 0x4530000000000000u);      // 2^84 + 2^63 + high
    return (high - 0x1.000008p84) + low;
}

constexpr u64 kQuotientModulus = u64{1} << 14;

// q >= 2^14: the quotient is below 2^49 and its estimate is off by less than 2^-4 before rounding (three roundings of
// relative 2^-53, and x / q <= 2^49), so |x - quotient q| < (1/2 + 2^-4) q and one correction is enough.
inline void from_signed(const i64* x, std::size_t n, const Modulus& m, i64* out) {
    const u64 q = m.q;  // copies: for all the compiler knows, out overlaps m
    const double inverse = m.q_inverse;
    if (q < kQuotientModulus) {
        for (std::size_t j = 0; j < n; ++j) out[j] = static_cast<i64>(from_signed_word(x[j], q));
        return;
    }
    for (std::size_t j = 0; j < n; ++j) {
        u64 quotient = static_cast<u64>(nearest_word(double_of(x[j]) * inverse));
        i64 r = static_cast<i64>(static_cast<u64>(x[j]) - quotient * q);
        out[j] = r + (r < 0 ? static_cast<i64>(q) : 0);
    }
}

// High and low word of w q from 32-bit halves, q < 2^50.
inline bool uniform(const u64* words, std::size_t count, u64 q, u64 refuse_below, i64* out) {
    const u64 q0 = q & 0xffffffffu, q1 = q >> 32;
    u64 refused = 0;
    for (std::size_t j = 0; j < count; ++j) {
        u64 w0 = words[j] & 0xffffffffu, w1 = words[j] >> 32;
        u64 low = w0 * q0;
        u64 middle = w1 * q0 + (low >> 32);
        u64 cross = w0 * q1 + (middle & 0xffffffffu);
        out[j] = static_cast<i64>(w1 * q1 + (middle >> 32) + (cross >> 32));
        refused |= static_cast<u64>(((cross << 32) | (low & 0xffffffffu)) < refuse_below);
    }
    return refused == 0;
}

// x < 2^52, exactly.
AEGIS_HD double small_double(u64 x) { return from_bits(x | 0x4330000000000000u) - 4503599627370496.0; }

// row - x y mod q, all in [0, q), q < 2^50. The quotient's estimate is off by less than 3/8 before rounding (two
// roundings and that of 1/q, relative 2^-53 of a quotient below 2^50), so the rest is in (-q, q).
inline void subtract_product(const i64* x, const i64* y, std::size_t n, const Modulus& m, i64* row) {
    const u64 q = m.q;
    const i64 modulus = static_cast<i64>(q);
    const double inverse = m.q_inverse;
    for (std::size_t j = 0; j < n; ++j) {
        u64 a = static_cast<u64>(x[j]), b = static_cast<u64>(y[j]);
        u64 quotient = static_cast<u64>(nearest_word(small_double(a) * small_double(b) * inverse));
        i64 r = row[j] - static_cast<i64>(a * b - quotient * q);  // (-q, 2q)
        r += r < 0 ? modulus : 0;
        row[j] = r - (r >= modulus ? modulus : 0);
    }
}

// |x| <= 2^51, exactly.
AEGIS_HD double signed_double(i64 x) { return from_bits(static_cast<u64>(x) + static_cast<u64>(bits_of(kMagic))) - kMagic; }

AEGIS_HD i64 centre_word(i64 x, i64 q) {
    x -= 2 * x > q ? q : 0;
    return x + (2 * x < -q ? q : 0);
}

// a b mod q in (-q/2, q/2) for |a| <= 2^51, |b| < q/2 < 2^49: the bound of subtract_product.
AEGIS_HD i64 centred_product(i64 a, i64 b, i64 q, double inverse) {
    u64 quotient = static_cast<u64>(nearest_word(signed_double(a) * signed_double(b) * inverse));
    return centre_word(static_cast<i64>(static_cast<u64>(a) * static_cast<u64>(b) - quotient * static_cast<u64>(q)), q);
}

// Centred mixed radix, value = e0 + e1 q0 + e2 q0 q1: where e2 = 0 one fused operation rounds the value once.
template <int kCount>
AEGIS_HD bool centred_run(const CentredRadix& radix, const i64* x0, const i64* x1, const i64* x2, std::size_t n,
                          double* out) {
    const CentredRadix c = radix;
    u64 beyond = 0;
    for (std::size_t j = 0; j < n; ++j) {
        i64 e0 = centre_word(x0[j], c.q[0]), e1 = 0;
        if (kCount > 1) e1 = centred_product(x1[j] - e0, c.inverse1, c.q[1], c.q_inverse[1]);
        if (kCount > 2) {
            i64 below = centred_product(e1, c.first2, c.q[2], c.q_inverse[2]);
            beyond |= static_cast<u64>(centred_product(x2[j] - e0 - below, c.inverse2, c.q[2], c.q_inverse[2]));
        }
        out[j] = __builtin_fma(signed_double(e1), c.q0_double, signed_double(e0));
    }
    return beyond == 0;
}

inline bool centred(const CentredRadix& c, const i64* x0, const i64* x1, const i64* x2, std::size_t n, double* out) {
    if (c.count == 1) return centred_run<1>(c, x0, x1, x2, n, out);
    if (c.count == 2) return centred_run<2>(c, x0, x1, x2, n, out);
    return centred_run<3>(c, x0, x1, x2, n, out);
}

constexpr std::size_t kTableBlock = 64;  // samples compared with one entry while they lie in registers or L1

// The whole table for every sample: no branch and no address depends on the words.
inline void table(const u64* words, std::size_t count, const u64* entries, std::size_t size, i64* out) {
    u64 bound[kTableBlock], magnitude[kTableBlock];
    for (std::size_t at = 0; at < count; at += kTableBlock) {
        std::size_t some = count - at < kTableBlock ? count - at : kTableBlock;
        for (std::size_t j = 0; j < kTableBlock; ++j) {
            bound[j] = j < some ? words[at + j] >> 1 : 0;
            magnitude[j] = 0;
        }
        for (std::size_t k = 0; k < size; ++k)
            for (std::size_t j = 0; j < kTableBlock; ++j) magnitude[j] += (entries[k] - 1 - bound[j]) >> 63;
        for (std::size_t j = 0; j < some; ++j) {
            u64 sign = 0 - (words[at + j] & 1);
            out[at + j] = static_cast<i64>((magnitude[j] ^ sign) - sign);
        }
    }
}

}  // namespace
}  // namespace aegis
