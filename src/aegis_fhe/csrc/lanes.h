// Vectors of doubles in the compiler's own notation: the same source for every width, also for one lane.
#pragma once

#include <cstddef>

#if defined(__FMA__)
#include <immintrin.h>
#endif

#include "modular.h"

namespace aegis {
namespace {

template <int kLanes>
struct LanesOf {
    typedef double type __attribute__((vector_size(8 * kLanes)));
};
template <>
struct LanesOf<1> {
    typedef double type;
};
template <int kLanes>
using Lanes = typename LanesOf<kLanes>::type;

template <class V>
AEGIS_HD V load(const double* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class V>
AEGIS_HD void store(double* p, V v) {
    __builtin_memcpy(p, &v, sizeof v);
}

template <class V>
AEGIS_HD V all(double x) {
    return x - V{};  // x - 0 is x, for -0 too
}

// a b + c, rounded once, on every path: one rounding and one operation less in each product.
template <class V>
AEGIS_HD V fused(V a, V b, V c) {
    constexpr std::size_t lanes = sizeof(V) / sizeof(double);
#if defined(__AVX512F__)
    if constexpr (lanes == 8) return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#endif
#if defined(__FMA__)
    if constexpr (lanes == 4) return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#endif
    if constexpr (lanes == 1) {
        return __builtin_fma(a, b, c);
    } else {
        V r{};
        for (std::size_t i = 0; i < lanes; ++i) r[i] = __builtin_fma(a[i], b[i], c[i]);
        return r;
    }
}

template <class V>
struct Complex {
    V re, im;
};

template <class V>
AEGIS_HD Complex<V> operator+(Complex<V> a, Complex<V> b) {
    return {a.re + b.re, a.im + b.im};
}

template <class V>
AEGIS_HD Complex<V> operator-(Complex<V> a, Complex<V> b) {
    return {a.re - b.re, a.im - b.im};
}

template <class V>
AEGIS_HD Complex<V> product(Complex<V> a, Complex<V> w) {
    return {fused(a.re, w.re, -(a.im * w.im)), fused(a.re, w.im, a.im * w.re)};
}

// a times the conjugate of w
template <class V>
AEGIS_HD Complex<V> conjugate_product(Complex<V> a, Complex<V> w) {
    return {fused(a.re, w.re, a.im * w.im), fused(a.im, w.re, -(a.re * w.im))};
}

template <class V>
AEGIS_HD Complex<V> times_i(Complex<V> a) {
    return {-a.im, a.re};
}

// Rows of four by four become columns.
using Four = Lanes<4>;
AEGIS_HD void transpose(Four& a, Four& b, Four& c, Four& d) {
    Four ab_low = __builtin_shufflevector(a, b, 0, 4, 2, 6), ab_high = __builtin_shufflevector(a, b, 1, 5, 3, 7);
    Four cd_low = __builtin_shufflevector(c, d, 0, 4, 2, 6), cd_high = __builtin_shufflevector(c, d, 1, 5, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    c = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

}  // namespace
}  // namespace aegis
