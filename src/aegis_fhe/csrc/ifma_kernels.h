// Kernels for 52-bit multiply-add (AVX512-IFMA), written over a lane policy L so that the same code runs on emulated
// lanes in tests. L::Word is 8 unsigned 64-bit lanes; L's functions are single instructions:
//   low(c, a, b), high(c, a, b)   c + low or high 52 bits of the 104-bit product of the low 52 bits of a and b
//   add, sub, min (unsigned), both (and), right<k>, left and right by a count, all, load, store
//   unpack_low, unpack_high, pairs<imm>   64-bit unpack within 128 bits; choice of 128-bit pairs from a and b
// Primes q < 2^50, so 4q fits 52 bits and lazy ranges are Harvey's.
#pragma once

#include "kernels.h"

namespace aegis {

// A constant with its Shoup factor, in all lanes.
template <class L>
struct IfmaConstant {
    typename L::Word w, shoup;
    IfmaConstant() = default;
    IfmaConstant(u64 value, u64 q) : w(L::all(value)), shoup(L::all(shoup_factor52(value, q))) {}
    IfmaConstant(u64 value, u64 factor, int) : w(L::all(value)), shoup(L::all(factor)) {}
};

template <class L>
struct IfmaField {
    using Word = typename L::Word;
    Word q, q2, mask, negative, one_shoup;  // negative: -q mod 2^52
    explicit IfmaField(const Modulus& m)
        : q(L::all(m.q)),
          q2(L::all(2 * m.q)),
          mask(L::all((u64{1} << 52) - 1)),
          negative(L::all((u64{1} << 52) - m.q)),
          one_shoup(L::all(m.one_shoup)) {}

    // min(x, x - b) over unsigned words: x - b if x >= b, else x
    AEGIS_INLINE static Word fold(Word x, Word b) { return L::min(x, L::sub(x, b)); }
    AEGIS_INLINE Word canonical4(Word x) const { return fold(fold(x, q2), q); }

    // x < 2^52 any, w < q constant -> x w mod q in [0, 2q); open: with anything above 52 bits
    AEGIS_INLINE Word mul_open(Word x, const IfmaConstant<L>& w) const {
        const Word zero = L::all(0);
        return L::low(L::low(zero, x, w.w), L::high(zero, x, w.shoup), negative);
    }
    AEGIS_INLINE Word mul_lazy(Word x, const IfmaConstant<L>& w) const { return L::both(mul_open(x, w), mask); }
    AEGIS_INLINE Word mul_exact(Word x, const IfmaConstant<L>& w) const { return fold(mul_lazy(x, w), q); }

    // the same for w = 1
    AEGIS_INLINE Word reduce_open(Word x) const { return L::low(x, L::high(L::all(0), x, one_shoup), negative); }
    AEGIS_INLINE Word reduce_lazy(Word x) const { return L::both(reduce_open(x), mask); }
};

// sum a_i b_i as two sums of 52-bit halves; up to 2^12 terms.
template <class L>
struct IfmaSum {
    typename L::Word low, high;
    IfmaSum() : low(L::all(0)), high(L::all(0)) {}
    void add_product(typename L::Word a, typename L::Word b) {
        low = L::low(low, a, b);
        high = L::high(high, a, b);
    }
};

constexpr std::size_t kIfmaMaxTerms = 1024;

// high < 2^10 2^48 and low < 2^10 2^52: value = top 2^104 + middle 2^52 + bottom, each below 2^52.
template <class L>
struct IfmaReducer {
    IfmaField<L> f;
    IfmaConstant<L> two52, two104;
    typename L::Word q4;
    explicit IfmaReducer(const Modulus& m)
        : f(m),
          two52(m.two52, m.two52_shoup, 0),
          two104(m.two104, m.two104_shoup, 0),
          q4(L::all(4 * m.q)) {}

    typename L::Word reduce(const IfmaSum<L>& sum) const {
        typename L::Word high = L::add(sum.high, L::template right<52>(sum.low));
        typename L::Word bottom = f.reduce_lazy(L::both(sum.low, f.mask));
        typename L::Word middle = f.mul_lazy(L::both(high, f.mask), two52);
        typename L::Word top = f.mul_lazy(L::template right<52>(high), two104);
        typename L::Word total = L::add(L::add(bottom, middle), top);  // [0, 6q)
        return f.canonical4(f.fold(total, q4));
    }
};

// x y mod q by Barrett: t = floor(x y / 2^(bits-1)) < 2^51, quotient = floor(t barrett / 2^(bits+1)), r in [0, 3q).
template <class L>
struct IfmaProduct {
    using Word = typename L::Word;
    IfmaField<L> f;
    Word barrett;
    int up, down;
    explicit IfmaProduct(const Modulus& m)
        : f(m), barrett(L::all(m.barrett << (51 - m.bits))), up(53 - m.bits), down(m.bits - 1) {}
    Word operator()(Word x, Word y) const {
        const Word zero = L::all(0);
        Word low = L::low(zero, x, y), high = L::high(zero, x, y);
        Word t = L::add(L::left(high, up), L::right_by(low, down));
        Word quotient = L::high(zero, t, barrett);
        Word r = L::both(L::sub(low, L::low(zero, quotient, f.q)), f.mask);
        return f.canonical4(r);
    }
};

template <class L>
typename L::Word load_row(const i64* p) {
    return L::load(reinterpret_cast<const u64*>(p));
}
template <class L>
void store_row(i64* p, typename L::Word x) {
    L::store(reinterpret_cast<u64*>(p), x);
}

}  // namespace aegis
