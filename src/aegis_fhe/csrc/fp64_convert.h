// Exact basis conversion over a lane policy of doubles. Included by the path files only.
#pragma once

#include "fp64_sums.h"
#include "kernels.h"

namespace aegis {
namespace {

template <class L>
struct Fp64Convert {
    using V = typename L::V;
    static constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes;

    // Settles by exact comparison the lanes whose fraction is close to 1/2. Never inlined: about never run.
    static __attribute__((noinline)) V settle(const ConvertPlan& plan, const double* y, V estimate, V overflow) {
        alignas(64) double estimates[kLanes], result[kLanes];
        L::store(estimates, estimate);
        L::store(result, overflow);
        u64 words[128];
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            double fraction = estimates[lane] - static_cast<double>(static_cast<i64>(estimates[lane])) - 0.5;
            if (fraction >= kOverflowMargin || fraction <= -kOverflowMargin) continue;
            for (std::size_t i = 0; i < plan.sources; ++i) words[i] = static_cast<u64>(y[kLanes * i + lane]);
            result[lane] = static_cast<double>(exact_overflow(plan, words, 1, estimates[lane]));
        }
        return L::load(result);
    }

    template <int kRows>
    static void convert_tile(const ConvertPlan& plan, const double* y, std::size_t target, i64* out,
                             std::size_t stride, std::size_t count, double source_bound) {
        std::size_t terms = plan.sources + 1;
        double w[4 * 129];
        for (std::size_t b = 0; b < terms; ++b)
            for (int r = 0; r < kRows; ++r) w[b * kRows + r] = plan.weights_double[(target + r) * terms + b];
        for (std::size_t j = 0; j < count; j += kLanes) {
            Sum<L> sums[kRows];
            for (Sum<L>& sum : sums) sum = Sum<L>(terms);
            accumulate<L, kRows, true>(sums, y + j * terms, w, terms);
            for (int r = 0; r < kRows; ++r) {
                SumReducer<L> reducer(plan.target[target + r]->m, terms, source_bound);
                store_residues<L>(out + (target + r) * stride + j, reducer.reduce(sums[r]));
            }
        }
    }

    // y as [vector][source, overflow][lane]
    static void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count,
                        u64* scratch) {
        double* y = reinterpret_cast<double*>(scratch);
        std::size_t terms = plan.sources + 1;
        double source_bound = 0;
        alignas(64) double estimates[kConvertBlock];
        for (std::size_t j = 0; j < count; j += kLanes) L::store(estimates + j, L::all(0));
        for (std::size_t i = 0; i < plan.sources; ++i) {
            const Modulus& m = plan.source[i]->m;
            Fp64Field<L> f(m);
            V hat_inverse = L::all(centred_constant(plan.hat_inverse[i], m.q));
            source_bound = m.q_double > source_bound ? m.q_double : source_bound;
            for (std::size_t j = 0; j < count; j += kLanes) {
                V r = f.lift(f.mul(load_residues<L>(x + i * stride + j), hat_inverse));
                L::store(y + j * terms + kLanes * i, r);
                L::store(estimates + j, L::load(estimates + j) + r * f.q_inverse);
            }
        }
        for (std::size_t j = 0; j < count; j += kLanes) {
            V estimate = L::load(estimates + j);
            V below = L::floor(estimate), distance = estimate - below - L::all(0.5);
            V overflow = L::add_if_negative(below, L::all(0) - distance, L::all(1));
            if (L::any_below(L::magnitude(distance), L::all(kOverflowMargin)))
                overflow = settle(plan, y + j * terms, estimate, overflow);
            L::store(y + j * terms + kLanes * plan.sources, overflow);
        }
        std::size_t t = 0;
        for (; t + 4 <= plan.targets; t += 4) convert_tile<4>(plan, y, t, out, stride, count, source_bound);
        for (; t < plan.targets; ++t) convert_tile<1>(plan, y, t, out, stride, count, source_bound);
    }
};

}  // namespace
}  // namespace aegis
