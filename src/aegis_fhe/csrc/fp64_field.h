// One modulus on a lane policy L of doubles. Included by the path files only; internal linkage, as each has its own
// instruction set. L has 2^kLogLanes lanes (4 or 8), the types V (doubles) and W (int64 words), and:
//   all, load, store, fused (ab + c), fused_sub, fused_from, nearest_product, floor (see fp64.h)
//   add_if_negative(x, c, y)    x + y where c < 0;   any_below(x, limit), magnitude
//   all_words, load_words, store_words, bits (of a double), add_words, sub_words, both (and), right<k>
//   to_double, to_words         of 0 <= x < 2^52
//   fold_words, lift_words      x < 2q -> [0, q); -q < x < q -> [0, q)
//   load_quads, store_quads, each_quad<stride>, transpose    2^kLogLanes / 4 runs of 16 values at once: vector i holds
//                               the i-th four values of each run; one value for each run; 4 x 4 inside each run
#pragma once

#include "fp64.h"

#define AEGIS_INLINE inline __attribute__((always_inline))

namespace aegis {
namespace {

constexpr double kTwo52 = 4503599627370496.0;
constexpr i64 kTwo52Bits = 0x4330000000000000;

template <class L>
struct Fp64Field {
    using V = typename L::V;
    V q, q_inverse;
    explicit Fp64Field(const Modulus& m) : q(L::all(m.q_double)), q_inverse(L::all(m.q_inverse)) {}
    V mul(V a, V b) const { return product_mod<L>(a, b, q, q_inverse); }
    V reduce(V x) const { return centre<L>(x, q, q_inverse); }
    V lift(V x) const { return L::add_if_negative(x, x, q); }  // (-q, q) -> [0, q)
    V canon(V x) const { return lift(reduce(x)); }             // |x| <= 2^53 -> [0, q)
};

template <class L>
AEGIS_HD typename L::V load_residues(const i64* p) {
    return L::to_double(L::load_words(p));
}
template <class L>
AEGIS_HD void store_residues(i64* p, typename L::V x) {
    L::store_words(p, L::to_words(x));
}

}  // namespace
}  // namespace aegis
