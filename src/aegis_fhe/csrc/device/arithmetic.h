// Modular arithmetic of a kernel, for one modulus: in doubles, for GPUs that have as many units for them as for words,
// or in 64-bit words. Both give the same residues. A transform's values are A::Value, lazily reduced as said here.
#pragma once

#if !defined(__CUDACC__)
#include <cstdlib>
#endif

#include "device/jobs.h"
#include "device/ranges.h"
#include "device/scalar_lanes.h"

namespace aegis {
namespace device {
namespace {

// Canonical residues from words, the same for both arithmetics.
AEGIS_HD u64 product(u64 x, const Constant& c, u64 q) { return shoup_mul(x, c.w, c.shoup, q); }

// Any signed word -> [0, q)
AEGIS_HD u64 signed_residue(i64 x, const Limb& limb) {
    u64 magnitude = x < 0 ? 0 - static_cast<u64>(x) : static_cast<u64>(x);
    u64 r = product(magnitude, limb.one, limb.m.q);
    return x < 0 && r != 0 ? limb.m.q - r : r;
}

// Any 128-bit value -> [0, q): both halves lazily, below 4q < 2^52.
AEGIS_HD u64 wide_residue(u128 x, const Limb& limb) {
    const u64 q = limb.m.q;
    u64 sum = shoup_mul_lazy(static_cast<u64>(x >> 64), limb.two64.w, limb.two64.shoup, q) +
              shoup_mul_lazy(static_cast<u64>(x), 1, limb.one.shoup, q);
    sum = sum >= 2 * q ? sum - 2 * q : sum;
    return sum >= q ? sum - q : sum;
}

// The residue x of another modulus p as the centred integer of (-p/2, p/2], modulo q.
AEGIS_HD u64 centred_residue(u64 x, u64 p, const Limb& limb) {
    return signed_residue(static_cast<i64>(x) - (2 * x > p ? static_cast<i64>(p) : 0), limb);
}

// Values are integers in doubles, signed, |x| <= 2^52 (bounds: ranges.h). Twiddles are centred.
struct Fp64 {
    static constexpr int kPassBlocks = 2;  // of a transform's pass that share a multiprocessor
    using Value = double;
    using Twiddle = double;
    Fp64Field<ScalarLanes> f;

    AEGIS_HD double constant(const Constant& c) { return c.centred; }
    explicit Fp64(const Limb& limb) : f(limb.m) {}

    static Value of_residue(u64 x) { return ScalarLanes::to_double(static_cast<i64>(x)); }
    u64 residue(Value x) const { return static_cast<u64>(ScalarLanes::to_words(f.canon(x))); }
    static Value of_lazy(u64 bits) { return ScalarLanes::value(static_cast<i64>(bits)); }
    static u64 lazy(Value x) { return static_cast<u64>(ScalarLanes::bits(x)); }

    // What ranges.h promises, checked wherever it can be: not on a GPU.
    static void within(Value x, double limit) {
#if !defined(__CUDACC__)
        if (!(x <= limit && x >= -limit)) std::abort();
#endif
    }

    // (x, y) -> (x + yw, x - yw). |yw| <= q (1/2 + 1.5 |y| 2^-53); x is centred before where `reduce` says so.
    void forward(Value& x, Value& y, Twiddle w, bool reduce) const {
        if (reduce) x = f.reduce(x);
        within(y, kProductLimit);
        Value t = f.mul(y, w);
        y = x - t;
        x = x + t;
        within(x, kProductLimit);
    }
    // (x, y) -> (x + y, (x - y) w). |x - y| <= 2^52; the sum is centred after where `reduce` says so.
    void inverse(Value& x, Value& y, Twiddle w, bool reduce) const {
        Value difference = x - y, sum = x + y;
        within(difference, kProductLimit);
        within(sum, kProductLimit);
        x = reduce ? f.reduce(sum) : sum;
        y = f.mul(difference, w);
    }
    // The last inverse stage: (x + y) s, (x - y) t.
    void inverse_last(Value& x, Value& y, Twiddle s, Twiddle t) const {
        Value difference = x - y;
        within(difference, kProductLimit);
        within(x + y, kProductLimit);
        x = f.mul(x + y, s);
        y = f.mul(difference, t);
    }
    Value times(Value x, Twiddle w) const { return f.mul(x, w); }
    // (x - y) factor for x in [0, q): |x - y| < 3q/2 + 1
    u64 quotient(u64 x, Value y, Twiddle factor) const { return residue(f.mul(of_residue(x) - f.reduce(y), factor)); }

    // Sums of products of residues, of at most kTerms before they are reduced.
    static constexpr std::size_t kTerms = kMaxTerms;
    using Operand = double;
    using Accumulator = Sum<ScalarLanes>;
    static Operand operand(u64 x) { return of_residue(x); }
    static Accumulator zero(std::size_t terms) { return Accumulator(terms); }
    static void add_product(Accumulator& sum, Operand x, Operand y) { sum.add_product(x, y); }
    static u64 reduced(const Accumulator& sum, std::size_t terms, const Limb& limb, double bound) {
        SumReducer<ScalarLanes> reducer(limb.m, terms, bound);
        return static_cast<u64>(ScalarLanes::to_words(reducer.reduce(sum)));
    }
    static Operand weight(const Plan& plan, std::size_t i) { return plan.weights_double[i]; }
};

// Values are words in [0, 4q) forward and [0, 2q) back (Harvey). Twiddles carry their Shoup factor.
struct Words {
    static constexpr int kPassBlocks = 1;
    using Value = u64;
    struct Twiddle {
        u64 w, shoup;
    };
    u64 q;

    AEGIS_HD Twiddle constant(const Constant& c) { return {c.w, c.shoup}; }
    explicit Words(const Limb& limb) : q(limb.m.q) {}

    static Value of_residue(u64 x) { return x; }
    u64 residue(Value x) const {
        x = x >= 2 * q ? x - 2 * q : x;
        return x >= q ? x - q : x;
    }
    static Value of_lazy(u64 bits) { return bits; }
    static u64 lazy(Value x) { return x; }

    void forward(Value& x, Value& y, Twiddle w, bool) const {
        Value u = x >= 2 * q ? x - 2 * q : x, t = shoup_mul_lazy(y, w.w, w.shoup, q);  // [0, 2q) each
        x = u + t;
        y = u + 2 * q - t;
    }
    void inverse(Value& x, Value& y, Twiddle w, bool) const {
        Value sum = x + y, difference = x + 2 * q - y;  // [0, 4q)
        x = sum >= 2 * q ? sum - 2 * q : sum;
        y = shoup_mul_lazy(difference, w.w, w.shoup, q);
    }
    void inverse_last(Value& x, Value& y, Twiddle s, Twiddle t) const {
        Value difference = x + 2 * q - y;
        x = shoup_mul_lazy(x + y, s.w, s.shoup, q);
        y = shoup_mul_lazy(difference, t.w, t.shoup, q);
    }
    Value times(Value x, Twiddle w) const { return shoup_mul_lazy(x, w.w, w.shoup, q); }
    u64 quotient(u64 x, Value y, Twiddle factor) const { return shoup_mul(x + q - residue(y), factor.w, factor.shoup, q); }

    // Products are below 2^100.
    static constexpr std::size_t kTerms = std::size_t{1} << 27;
    using Operand = u64;
    using Accumulator = u128;
    static Operand operand(u64 x) { return x; }
    static Accumulator zero(std::size_t) { return 0; }
    static void add_product(Accumulator& sum, Operand x, Operand y) { sum += static_cast<u128>(x) * y; }
    static u64 reduced(const Accumulator& sum, std::size_t, const Limb& limb, double) { return wide_residue(sum, limb); }
    static Operand weight(const Plan& plan, std::size_t i) { return plan.weights[i]; }
};

}  // namespace
}  // namespace device
}  // namespace aegis
