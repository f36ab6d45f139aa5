// Sums of products of residues < 2^50, exact and reduced once. Included by the path files only.
//
// A product p = ab < 2^100 is split by two fused multiply-adds against magic numbers, high = k 2^51 and |low| <= 2^50,
// and the *bit patterns* are summed as integers: 2 FMA + 1 FP + 2 integer operations for four products.
// Source: Emmart, Zheng and Weems, "Faster modular exponentiation using double precision FP" (ARITH 2018).
#pragma once

#include "fp64_field.h"

namespace aegis {
namespace {

constexpr double kHighMagic = 3.0 * 5070602400912917605986812821504.0;  // 1.5 2^103: one unit in the last place is 2^51
constexpr double kLowMagic = 1.5 * kTwo52;
constexpr double kMagicSum = kHighMagic + kLowMagic;  // exact: a multiple of 2^51
constexpr i64 kHighBits = 0x4668000000000000;
constexpr i64 kLowBits = 0x4338000000000000;
constexpr std::size_t kMaxTerms = 1024;  // high < 2^10 2^49, |low| < 2^10 2^50

template <class L>
struct Sum {
    using V = typename L::V;
    typename L::W high, low;

    // The bits of the magic numbers are taken off in advance, and 2^51 ceil(terms / 2) is moved from high to low so
    // that low ends non-negative.
    Sum() = default;
    explicit Sum(std::size_t terms) {
        u64 count = terms, moved = (count + 1) / 2;
        high = L::all_words(static_cast<i64>(0 - count * static_cast<u64>(kHighBits) - moved));
        low = L::all_words(static_cast<i64>((moved << 51) - count * static_cast<u64>(kLowBits)));
    }

    void add_product(V a, V b) {
        V h = L::fused(a, b, L::all(kHighMagic));
        V l = L::fused(a, b, L::all(kMagicSum) - h);
        high = L::add_words(high, L::bits(h));
        low = L::add_words(low, L::bits(l));
    }
};

// Reduces sums of at most `terms` products to [0, q).
template <class L>
struct SumReducer {
    using V = typename L::V;
    using W = typename L::W;
    Fp64Field<L> f;
    V two51, two77;
    bool narrow;  // high < 2^52: one product is enough

    SumReducer(const Modulus& m, std::size_t terms, double operand_bound)
        : f(m),
          two51(L::all(m.two51)),
          two77(L::all(m.two77)),
          narrow(static_cast<double>(terms) * operand_bound * m.q_double <= kTwo52 * 2251799813685248.0) {}

    // |result| < 2^53, congruent to the sum
    V reduce_lazily(const Sum<L>& sum) const {
        const W mask51 = L::all_words((i64{1} << 51) - 1), mask26 = L::all_words((i64{1} << 26) - 1);
        W high = L::add_words(sum.high, L::template right<51>(sum.low));
        V low = L::to_double(L::both(sum.low, mask51));
        if (narrow) return f.mul(L::to_double(high), two51) + low;
        V upper = f.mul(L::to_double(L::template right<26>(high)), two77);
        return upper + f.mul(L::to_double(L::both(high, mask26)), two51) + low;
    }
    V reduce(const Sum<L>& sum) const { return f.canon(reduce_lazily(sum)); }
};

// kRows sums over `terms` values of x (one vector each, contiguous) with weights w[term][row], one double for all lanes
// or a vector. Weights and x are residues as doubles.
template <class L, int kRows, bool kSameWeight>
AEGIS_HD void accumulate(Sum<L>* sums, const double* x, const double* w, std::size_t terms) {
    constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes, kStep = kSameWeight ? 1 : kLanes;
    for (std::size_t b = 0; b < terms; ++b) {
        typename L::V value = L::load(x + kLanes * b);
        for (int r = 0; r < kRows; ++r) {
            const double* weight = w + (b * kRows + r) * kStep;
            sums[r].add_product(value, kSameWeight ? L::all(*weight) : L::load(weight));
        }
    }
}

}  // namespace
}  // namespace aegis
