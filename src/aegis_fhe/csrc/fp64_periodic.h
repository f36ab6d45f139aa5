// Products with periodic weights over a lane policy of doubles. Included by the path files only.
#pragma once

#include "fp64_sums.h"
#include "kernels.h"

namespace aegis {
namespace {

template <class L>
struct Fp64Periodic {
    using V = typename L::V;
    static constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes;

    // Rows are handled four at a time, the last ones singly. Scratch: weights of one run [tile][term][row of the tile]
    // (a vector each when it spans several runs), then one block of x as [vector][term][lane].
    static std::size_t points_of(const PeriodicJob& job) {
        std::size_t length = std::size_t{1} << job.shift;
        return length < kLanes ? kLanes : length < kPeriodicPoints ? length : kPeriodicPoints;
    }

    static std::size_t periodic_scratch(const PeriodicJob& job) {
        std::size_t weights = job.rows * job.terms * (job.shift < L::kLogLanes ? kLanes : 1);
        return weights + job.terms * points_of(job) + 8;
    }

    template <bool kSameWeight>
    static void pack_weights(const PeriodicJob& job, std::size_t first, std::size_t terms, std::size_t run,
                             double* to) {
        for (std::size_t r = 0; r < job.rows;) {
            std::size_t tile = job.rows - r >= 4 ? 4 : 1;
            for (std::size_t b = first; b < first + terms; ++b)
                for (std::size_t i = r; i < r + tile; ++i) {
                    const i64* w = job.weights + i * job.row_stride + b * job.term_stride + run;
                    if (kSameWeight)
                        *to++ = static_cast<double>(*w);
                    else
                        for (std::size_t lane = 0; lane < kLanes; ++lane)
                            *to++ = static_cast<double>(w[lane >> job.shift]);
                }
            r += tile;
        }
    }

    template <int kRows, bool kSameWeight>
    static void periodic_tile(const SumReducer<L>& reducer, const PeriodicJob& job, const double* x, const double* w,
                              std::size_t terms, std::size_t points, std::size_t r, std::size_t c, std::size_t at,
                              bool accumulate_out) {
        for (std::size_t j = 0; j < points; j += kLanes) {
            Sum<L> sums[kRows];
            for (Sum<L>& sum : sums) sum = Sum<L>(terms);
            accumulate<L, kRows, kSameWeight>(sums, x + j * terms, w, terms);
            for (int i = 0; i < kRows; ++i) {
                i64* out = job.out[(r + i) * job.components + c] + at + j;
                V value = reducer.reduce(sums[i]);
                if (accumulate_out) value = reducer.f.canon(value + load_residues<L>(out));
                store_residues<L>(out, value);
            }
        }
    }

    template <bool kSameWeight>
    static void periodic_terms(const Limb& limb, const PeriodicJob& job, std::size_t first, std::size_t terms,
                               double* scratch) {
        SumReducer<L> reducer(limb.m, terms, limb.m.q_double);
        std::size_t points = points_of(job), begin = job.run_begin << job.shift, end = job.run_end << job.shift;
        double* x = scratch + (job.rows * terms * (kSameWeight ? 1 : kLanes) + 7) / 8 * 8;
        for (std::size_t at = begin; at < end; at += points) {
            if (!kSameWeight || (at & ((std::size_t{1} << job.shift) - 1)) == 0)
                pack_weights<kSameWeight>(job, first, terms, at >> job.shift, scratch);
            for (std::size_t c = 0; c < job.components; ++c) {
                for (std::size_t b = 0; b < terms; ++b)
                    for (std::size_t j = 0; j < points; j += kLanes) {
                        const i64* row = job.x[(first + b) * job.components + c];
                        L::store(x + j * terms + kLanes * b, load_residues<L>(row + at + j));
                    }
                std::size_t r = 0;
                const double* w = scratch;
                constexpr std::size_t kStep = kSameWeight ? 1 : kLanes;
                for (; r + 4 <= job.rows; r += 4, w += 4 * terms * kStep)
                    periodic_tile<4, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
                for (; r < job.rows; ++r, w += terms * kStep)
                    periodic_tile<1, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
            }
        }
    }

    static void periodic(const Limb& limb, const PeriodicJob& job, u64* scratch) {
        for (std::size_t first = 0; first < job.terms; first += kMaxTerms) {
            std::size_t terms = job.terms - first < kMaxTerms ? job.terms - first : kMaxTerms;
            double* memory = reinterpret_cast<double*>(scratch);
            job.shift < L::kLogLanes ? periodic_terms<false>(limb, job, first, terms, memory)
                                     : periodic_terms<true>(limb, job, first, terms, memory);
        }
    }
};

}  // namespace
}  // namespace aegis
