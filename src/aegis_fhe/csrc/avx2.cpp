// The AVX2 path: modular arithmetic in double precision on 4 lanes, for every prime below 2^50.
// Compiled with -mavx2 -mfma; nothing in here is visible outside but the table at the end.
#include <immintrin.h>

#include "fp64_path.h"

namespace aegis {
namespace {

struct Avx2Lanes {
    using V = __m256d;  // GCC and Clang give it + - * element by element
    using W = __m256i;
    static constexpr int kLogLanes = 2;

    AEGIS_HD V all(double x) { return _mm256_set1_pd(x); }
    AEGIS_HD V load(const double* p) { return _mm256_loadu_pd(p); }
    AEGIS_HD void store(double* p, V x) { _mm256_storeu_pd(p, x); }
    AEGIS_HD V fused(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
    AEGIS_HD V fused_sub(V a, V b, V c) { return _mm256_fmsub_pd(a, b, c); }
    AEGIS_HD V fused_from(V c, V a, V b) { return _mm256_fnmadd_pd(a, b, c); }
    AEGIS_HD V nearest_product(V a, V b) {
        return _mm256_round_pd(a * b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    AEGIS_HD V floor(V a) { return _mm256_floor_pd(a); }
    AEGIS_HD V add_if_negative(V x, V condition, V y) {
        return x + _mm256_and_pd(_mm256_cmp_pd(condition, _mm256_setzero_pd(), _CMP_LT_OQ), y);
    }
    AEGIS_HD bool any_below(V x, V limit) { return _mm256_movemask_pd(_mm256_cmp_pd(x, limit, _CMP_LT_OQ)) != 0; }
    AEGIS_HD V magnitude(V x) { return _mm256_andnot_pd(all(-0.0), x); }

    AEGIS_HD W all_words(i64 x) { return _mm256_set1_epi64x(x); }
    AEGIS_HD W load_words(const i64* p) { return _mm256_loadu_si256(reinterpret_cast<const W*>(p)); }
    AEGIS_HD void store_words(i64* p, W x) { _mm256_storeu_si256(reinterpret_cast<W*>(p), x); }
    AEGIS_HD W bits(V x) { return _mm256_castpd_si256(x); }
    AEGIS_HD W add_words(W a, W b) { return _mm256_add_epi64(a, b); }
    AEGIS_HD W sub_words(W a, W b) { return _mm256_sub_epi64(a, b); }
    AEGIS_HD W both(W a, W b) { return _mm256_and_si256(a, b); }
    template <int kCount>
    AEGIS_HD W right(W a) {
        return _mm256_srli_epi64(a, kCount);
    }

    // 0 <= x < 2^52: the word becomes the mantissa of 2^52 + x.
    AEGIS_HD V to_double(W x) {
        return _mm256_castsi256_pd(_mm256_or_si256(x, all_words(kTwo52Bits))) - all(kTwo52);
    }
    AEGIS_HD W to_words(V x) {
        return _mm256_xor_si256(_mm256_castpd_si256(x + all(kTwo52)), all_words(kTwo52Bits));
    }
    // x < 2q -> [0, q), and (-q, q) -> [0, q)
    AEGIS_HD W fold_words(W x, W q) {
        W reduced = _mm256_sub_epi64(x, q);
        return _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(reduced), _mm256_castsi256_pd(x),
                                                    _mm256_castsi256_pd(reduced)));
    }
    AEGIS_HD W lift_words(W x, W q) {
        return _mm256_add_epi64(x, _mm256_and_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), x), q));
    }

    // 16 values: x_i = p[4i .. 4i + 3]
    template <class T, class Load>
    AEGIS_HD void load_quads(const T* p, Load load_one, V& x0, V& x1, V& x2, V& x3) {
        x0 = load_one(p), x1 = load_one(p + 4), x2 = load_one(p + 8), x3 = load_one(p + 12);
    }
    AEGIS_HD void store_quads(double* p, V x0, V x1, V x2, V x3) {
        store(p, x0), store(p + 4, x1), store(p + 8, x2), store(p + 12, x3);
    }
    template <int kStride>
    AEGIS_HD V each_quad(const double* p) {
        return all(*p);
    }
    AEGIS_HD void transpose(V& x0, V& x1, V& x2, V& x3) {
        V a = _mm256_unpacklo_pd(x0, x1), b = _mm256_unpackhi_pd(x0, x1);
        V c = _mm256_unpacklo_pd(x2, x3), d = _mm256_unpackhi_pd(x2, x3);
        x0 = _mm256_permute2f128_pd(a, c, 0x20);
        x1 = _mm256_permute2f128_pd(b, d, 0x20);
        x2 = _mm256_permute2f128_pd(a, c, 0x31);
        x3 = _mm256_permute2f128_pd(b, d, 0x31);
    }
};

}  // namespace

constexpr Kernels kAvx2 = Fp64Path<Avx2Lanes>::table("avx2");

}  // namespace aegis
