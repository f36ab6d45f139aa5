// The kernel table of a lane policy of doubles: everything that kernels.h asks for, over the templates of fp64_*.h.
#pragma once

#include "dot_tiles.h"
#include "fp64_convert.h"
#include "fp64_forward.h"
#include "fp64_inverse.h"
#include "fp64_periodic.h"
#include "tensor_tiles.h"

namespace aegis {
namespace {

// What TensorTiles and DotTiles ask for: a tile of one row has 6 registers of sums for each column, or two.
template <class L>
struct Fp64Sums {
    using Value = typename L::V;
    using Sum = aegis::Sum<L>;
    static constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes, kRows = 1, kColumns = L::kLogLanes == 3 ? 2 : 1;
    static constexpr std::size_t kDotRows = 2 * kColumns;
    static constexpr std::size_t kTerms = kMaxTerms;
    SumReducer<L> reducer;
    Fp64Sums(const Modulus& m, std::size_t terms) : reducer(m, terms, m.q_double) {}

    AEGIS_HD Sum sum(std::size_t terms) { return Sum(terms); }
    AEGIS_HD Value load(const i64* p) { return load_residues<L>(p); }
    AEGIS_HD void store(i64* p, Value x) { store_residues<L>(p, x); }
    AEGIS_HD void pack(const i64* from, u64* to) { L::store(reinterpret_cast<double*>(to), load_residues<L>(from)); }
    AEGIS_HD Value operand(const u64* p) { return L::load(reinterpret_cast<const double*>(p)); }
    AEGIS_INLINE Value reduce(const Sum& sum) const { return reducer.reduce(sum); }
    AEGIS_INLINE Value join(Value x, Value y) const { return reducer.f.canon(x + y); }
};

template <class L>
struct Fp64Path {
    using V = typename L::V;
    using W = typename L::W;
    static constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes;

    static void ntt(const Limb& limb, int log_n, const i64* in, i64* out) {
        ForwardBounds bounds(limb.m.q_double, log_n, single_stage(log_n));
        double* a = reinterpret_cast<double*>(out);
        bounds.last < kExact / 6 ? forward_transform<L>(limb, log_n, in, a, bounds, StoreSmallResidues<L>{out})
                                 : forward_transform<L>(limb, log_n, in, a, bounds, StoreResidues<L>{out});
    }

    static void ntt_subtract_scale(const Limb& limb, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out) {
        ForwardBounds bounds(limb.m.q_double, log_n, single_stage(log_n));
        forward_transform<L>(limb, log_n, coefficients, reinterpret_cast<double*>(coefficients), bounds,
                             SubtractScale<L>{x, centred_constant(factor, limb.m.q), out});
    }

    static void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
        int single = single_stage(log_n);
        InverseBounds bounds(limb.m.q_double, log_n, single < 0 ? -1 : log_n - single);
        const double* table = static_cast<const double*>(limb.inverse);
        Fp64Inverse<L>{Fp64Field<L>(limb.m), limb, table, log_n, in, reinterpret_cast<double*>(out), bounds}.run(out);
    }

    static void add(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        W q = L::all_words(static_cast<i64>(limb.m.q));
        for (std::size_t j = 0; j < n; j += kLanes)
            L::store_words(out + j, L::fold_words(L::add_words(L::load_words(x + j), L::load_words(y + j)), q));
    }

    static void sub(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        W q = L::all_words(static_cast<i64>(limb.m.q));
        for (std::size_t j = 0; j < n; j += kLanes)
            L::store_words(out + j, L::lift_words(L::sub_words(L::load_words(x + j), L::load_words(y + j)), q));
    }

    static void add_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
        W q = L::all_words(static_cast<i64>(limb.m.q)), s = L::all_words(static_cast<i64>(scalar));
        for (std::size_t j = 0; j < n; j += kLanes)
            L::store_words(out + j, L::fold_words(L::add_words(L::load_words(x + j), s), q));
    }

    static void mul(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        Fp64Field<L> f(limb.m);
        for (std::size_t j = 0; j < n; j += kLanes)
            store_residues<L>(out + j, f.lift(f.mul(load_residues<L>(x + j), load_residues<L>(y + j))));
    }

    static void mul_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
        Fp64Field<L> f(limb.m);
        V s = L::all(centred_constant(scalar, limb.m.q));
        for (std::size_t j = 0; j < n; j += kLanes)
            store_residues<L>(out + j, f.lift(f.mul(load_residues<L>(x + j), s)));
    }

    static void dots(const Limb& limb, const DotJob& job) { DotTiles<Fp64Sums<L>>::run(limb, job); }

    // A product is at most 0.69 q, so that eight of them and what they are added to stay below 2^53.
    static constexpr std::size_t kUnreduced = 8;

    static void combination(const Limb& limb, const CombinationJob& job) {
        Fp64Field<L> f(limb.m);
        for (std::size_t first = 0; first < job.terms; first += kCombinationTerms) {
            std::size_t count = job.terms - first < kCombinationTerms ? job.terms - first : kCombinationTerms;
            double factors[kCombinationTerms];
            for (std::size_t i = 0; i < count; ++i)
                factors[i] = centred_constant(job.factors[first + i], limb.m.q);
            const i64* const* x = job.x + first;
            for (std::size_t j = 0; j < job.count; j += kLanes) {
                V sum = first == 0 ? L::all(static_cast<double>(job.constant)) : load_residues<L>(job.out + j);
                for (std::size_t i = 0; i < count; ++i) {
                    sum = sum + f.mul(load_residues<L>(x[i] + j), L::all(factors[i]));
                    if (i % kUnreduced == kUnreduced - 1) sum = f.reduce(sum);
                }
                store_residues<L>(job.out + j, f.canon(sum));
            }
        }
    }

    using Tensor = TensorTiles<Fp64Sums<L>>;
    static std::size_t tensor_scratch(const TensorJob& job) { return Tensor::scratch(job); }
    static void tensor(const Limb& limb, const TensorJob& job, u64* scratch) { Tensor::run(limb, job, scratch); }

    static void permute_add(const Limb& limb, const i64* x, const PermutePlan& plan, i64* out) {
        permute_row_add(limb.m, x, plan, out);
    }

    static constexpr Kernels table(const char* name) {
        using P = Fp64Periodic<L>;
        return {name, L::kLogLanes + 2, 1, Fp64Stages<L>::build, ntt, intt, ntt_subtract_scale, add, sub, mul,
                add_scalar, mul_scalar, dots, combination, P::periodic_scratch, P::periodic, tensor_scratch, tensor,
                permute_row, permute_add, Fp64Convert<L>::convert};
    }
};

}  // namespace
}  // namespace aegis
