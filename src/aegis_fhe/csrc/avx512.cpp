// The AVX-512 path without IFMA (F, DQ, VL): modular arithmetic in double precision on 8 lanes.
// Compiled with -mavx512f -mavx512dq -mavx512vl; docs/decisions/0008 says why not in 64-bit integers.
#include <immintrin.h>

#include "fp64_path.h"

namespace aegis {
namespace {

struct Avx512Lanes {
    using V = __m512d;
    using W = __m512i;
    static constexpr int kLogLanes = 3;

    AEGIS_HD V all(double x) { return _mm512_set1_pd(x); }
    AEGIS_HD V load(const double* p) { return _mm512_loadu_pd(p); }
    AEGIS_HD void store(double* p, V x) { _mm512_storeu_pd(p, x); }
    AEGIS_HD V fused(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
    AEGIS_HD V fused_sub(V a, V b, V c) { return _mm512_fmsub_pd(a, b, c); }
    AEGIS_HD V fused_from(V c, V a, V b) { return _mm512_fnmadd_pd(a, b, c); }
    AEGIS_HD V nearest_product(V a, V b) {
        return _mm512_roundscale_pd(a * b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    AEGIS_HD V floor(V a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
    AEGIS_HD V add_if_negative(V x, V condition, V y) {
        return _mm512_mask_add_pd(x, _mm512_cmp_pd_mask(condition, _mm512_setzero_pd(), _CMP_LT_OQ), x, y);
    }
    AEGIS_HD bool any_below(V x, V limit) { return _mm512_cmp_pd_mask(x, limit, _CMP_LT_OQ) != 0; }
    AEGIS_HD V magnitude(V x) { return _mm512_abs_pd(x); }

    AEGIS_HD W all_words(i64 x) { return _mm512_set1_epi64(x); }
    AEGIS_HD W load_words(const i64* p) { return _mm512_loadu_si512(p); }
    AEGIS_HD void store_words(i64* p, W x) { _mm512_storeu_si512(p, x); }
    AEGIS_HD W bits(V x) { return _mm512_castpd_si512(x); }
    AEGIS_HD W add_words(W a, W b) { return _mm512_add_epi64(a, b); }
    AEGIS_HD W sub_words(W a, W b) { return _mm512_sub_epi64(a, b); }
    AEGIS_HD W both(W a, W b) { return _mm512_and_si512(a, b); }
    template <int kCount>
    AEGIS_HD W right(W a) {
        return _mm512_srli_epi64(a, kCount);
    }

    AEGIS_HD V to_double(W x) { return _mm512_cvtepi64_pd(x); }
    AEGIS_HD W to_words(V x) { return _mm512_cvtpd_epi64(x); }
    AEGIS_HD W fold_words(W x, W q) { return _mm512_min_epu64(x, _mm512_sub_epi64(x, q)); }
    AEGIS_HD W lift_words(W x, W q) { return _mm512_min_epu64(x, _mm512_add_epi64(x, q)); }

    // 32 values, two runs of 16: x_i = p[4i .. 4i + 3], p[16 + 4i .. 16 + 4i + 3]
    template <class T, class Load>
    AEGIS_HD void load_quads(const T* p, Load load_one, V& x0, V& x1, V& x2, V& x3) {
        V a = load_one(p), b = load_one(p + 8), c = load_one(p + 16), d = load_one(p + 24);
        halves(a, c, x0, x1);
        halves(b, d, x2, x3);
    }
    AEGIS_HD void store_quads(double* p, V x0, V x1, V x2, V x3) {
        V a, b, c, d;
        halves(x0, x1, a, c);
        halves(x2, x3, b, d);
        store(p, a), store(p + 8, b), store(p + 16, c), store(p + 24, d);
    }
    // p[0] in the quad of the first run, p[kStride] in that of the second
    template <int kStride>
    AEGIS_HD V each_quad(const double* p) {
        return _mm512_mask_broadcastsd_pd(all(*p), 0xf0, _mm_load_sd(p + kStride));
    }
    // 4 x 4 in each half
    AEGIS_HD void transpose(V& x0, V& x1, V& x2, V& x3) {
        const W low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
        V a = _mm512_unpacklo_pd(x0, x1), b = _mm512_unpackhi_pd(x0, x1);
        V c = _mm512_unpacklo_pd(x2, x3), d = _mm512_unpackhi_pd(x2, x3);
        x0 = _mm512_permutex2var_pd(a, low, c);
        x1 = _mm512_permutex2var_pd(b, low, d);
        x2 = _mm512_permutex2var_pd(a, high, c);
        x3 = _mm512_permutex2var_pd(b, high, d);
    }

  private:
    AEGIS_HD void halves(V a, V b, V& low, V& high) {
        low = _mm512_shuffle_f64x2(a, b, 0x44);
        high = _mm512_shuffle_f64x2(a, b, 0xee);
    }
};

}  // namespace

constexpr Kernels kAvx512 = Fp64Path<Avx512Lanes>::table("avx512");

}  // namespace aegis
