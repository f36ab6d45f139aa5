// One lane for the shared arithmetic in doubles (../fp64.h, ../fp64_sums.h): what a GPU's thread has.
#pragma once

#include "fp64_sums.h"

namespace aegis {
namespace {

struct ScalarLanes {
    using V = double;
    using W = i64;
    static constexpr int kLogLanes = 0;

    AEGIS_HD V all(double x) { return x; }
    AEGIS_HD V load(const double* p) { return *p; }
    AEGIS_HD V fused(V a, V b, V c) {
#if defined(__CUDACC__)
        return __fma_rn(a, b, c);
#else
        return __builtin_fma(a, b, c);
#endif
    }
    AEGIS_HD V fused_sub(V a, V b, V c) { return fused(a, b, -c); }
    AEGIS_HD V fused_from(V c, V a, V b) { return fused(-a, b, c); }
    // |ab| <= 2^51: the sum with 1.5 2^52 has no bits below 1.
    AEGIS_HD V nearest_product(V a, V b) { return fused(a, b, 1.5 * kTwo52) - 1.5 * kTwo52; }
    AEGIS_HD V add_if_negative(V x, V condition, V y) { return condition < 0 ? x + y : x; }

    AEGIS_HD W all_words(i64 x) { return x; }
    AEGIS_HD W bits(V x) {
#if defined(__CUDACC__)
        return __double_as_longlong(x);
#else
        W word;
        __builtin_memcpy(&word, &x, sizeof word);
        return word;
#endif
    }
    AEGIS_HD V value(W x) {
#if defined(__CUDACC__)
        return __longlong_as_double(x);
#else
        V v;
        __builtin_memcpy(&v, &x, sizeof v);
        return v;
#endif
    }
    AEGIS_HD W add_words(W a, W b) { return static_cast<W>(static_cast<u64>(a) + static_cast<u64>(b)); }
    AEGIS_HD W both(W a, W b) { return a & b; }
    template <int kCount>
    AEGIS_HD W right(W a) {
        return static_cast<W>(static_cast<u64>(a) >> kCount);
    }
    // 0 <= x < 2^52
    AEGIS_HD V to_double(W x) { return value(x | kTwo52Bits) - kTwo52; }
    AEGIS_HD W to_words(V x) { return bits(x + kTwo52) ^ kTwo52Bits; }
};

}  // namespace
}  // namespace aegis
