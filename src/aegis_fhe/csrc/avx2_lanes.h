// Four doubles, and the moves between int64 residues and doubles. Included by avx2.cpp only (needs -mavx2 -mfma).
#pragma once

#include <immintrin.h>

#include "fp64.h"

namespace aegis {
namespace {

using V = __m256d;   // GCC and Clang give it + - * element by element
using W = __m256i;

constexpr double kTwo52 = 4503599627370496.0;
constexpr i64 kTwo52Bits = 0x4330000000000000;

AEGIS_HD V all(double x) { return _mm256_set1_pd(x); }
AEGIS_HD W all_words(i64 x) { return _mm256_set1_epi64x(x); }
AEGIS_HD V load(const double* p) { return _mm256_loadu_pd(p); }
AEGIS_HD void store(double* p, V x) { _mm256_storeu_pd(p, x); }
AEGIS_HD W load_words(const i64* p) { return _mm256_loadu_si256(reinterpret_cast<const W*>(p)); }
AEGIS_HD void store_words(i64* p, W x) { _mm256_storeu_si256(reinterpret_cast<W*>(p), x); }
AEGIS_HD V fused(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }

struct Avx2Lanes {  // what fp64.h asks for
    AEGIS_HD V fused_sub(V a, V b, V c) { return _mm256_fmsub_pd(a, b, c); }
    AEGIS_HD V fused_from(V c, V a, V b) { return _mm256_fnmadd_pd(a, b, c); }
    AEGIS_HD V nearest(V a) { return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
};

// 0 <= x < 2^52: the word becomes the mantissa of 2^52 + x.
AEGIS_HD V to_double(W x) {
    return _mm256_castsi256_pd(_mm256_or_si256(x, all_words(kTwo52Bits))) - all(kTwo52);
}
AEGIS_HD W to_words(V x) {
    return _mm256_xor_si256(_mm256_castpd_si256(x + all(kTwo52)), all_words(kTwo52Bits));
}
AEGIS_HD V load_residues(const i64* p) { return to_double(load_words(p)); }

// (-q, q) -> [0, q)
AEGIS_HD V lift(V x, V q) { return x + _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ), q); }

// |x| <= 2^53 -> [0, q)
AEGIS_HD V canonical(V x, V q, V q_inverse) { return lift(centre<Avx2Lanes>(x, q, q_inverse), q); }

// x < 2q as words -> [0, q)
AEGIS_HD W subtract_if_above(W x, W q) {
    W reduced = _mm256_sub_epi64(x, q);
    return _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(reduced), _mm256_castsi256_pd(x),
                                                _mm256_castsi256_pd(reduced)));
}

// 16 values p[0..15] -> vector i holds p[i], p[4 + i], p[8 + i], p[12 + i] in the lane order 0, 1, 2, 3.
AEGIS_HD V halves(const double* low, const double* high) {
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(low)), _mm_loadu_pd(high), 1);
}
AEGIS_HD void load_transposed(const double* p, V& x0, V& x1, V& x2, V& x3) {
    V a = halves(p, p + 8), b = halves(p + 4, p + 12), c = halves(p + 2, p + 10), d = halves(p + 6, p + 14);
    x0 = _mm256_unpacklo_pd(a, b);
    x1 = _mm256_unpackhi_pd(a, b);
    x2 = _mm256_unpacklo_pd(c, d);
    x3 = _mm256_unpackhi_pd(c, d);
}
AEGIS_HD void store_transposed(double* p, V x0, V x1, V x2, V x3) {
    V a = _mm256_unpacklo_pd(x0, x1), b = _mm256_unpackhi_pd(x0, x1);
    V c = _mm256_unpacklo_pd(x2, x3), d = _mm256_unpackhi_pd(x2, x3);
    store(p, _mm256_permute2f128_pd(a, c, 0x20));
    store(p + 4, _mm256_permute2f128_pd(b, d, 0x20));
    store(p + 8, _mm256_permute2f128_pd(a, c, 0x31));
    store(p + 12, _mm256_permute2f128_pd(b, d, 0x31));
}

struct Field {
    V q, q_inverse;
    explicit Field(const Modulus& m) : q(all(m.q_double)), q_inverse(all(m.q_inverse)) {}
    V mul(V a, V b) const { return product_mod<Avx2Lanes>(a, b, q, q_inverse); }
    V reduce(V x) const { return centre<Avx2Lanes>(x, q, q_inverse); }
    V canon(V x) const { return canonical(x, q, q_inverse); }
};

}  // namespace
}  // namespace aegis
