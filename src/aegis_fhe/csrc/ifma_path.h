// The kernel table of an IFMA lane policy: everything that kernels.h asks for, over the templates of ifma_*.h.
#pragma once

#include "ifma_ntt.h"
#include "overflow.h"

namespace aegis {

template <class L>
struct IfmaPath {
    using Word = typename L::Word;
    static constexpr std::size_t kLanes = 8;

    static u64* words(i64* p) { return reinterpret_cast<u64*>(p); }
    static const u64* words(const i64* p) { return reinterpret_cast<const u64*>(p); }

    static void build(const Modulus& m, const Roots& roots, u64* forward, u64* inverse) {
        build_ifma_table(m, roots.powers, roots.log_n, forward);
        build_ifma_table(m, roots.inverse_powers, roots.log_n, inverse);
    }

    static void ntt(const Limb& limb, int log_n, const i64* in, i64* out) {
        with_ifma_transform<L>(limb.m, limb.forward, log_n, [&](const auto& transform) {
            auto finish = [out](const auto& self, std::size_t at, Word x) { store_row<L>(out + at, self.canonical(x)); };
            transform.forward(words(in), words(out), log_n, 1, 0, finish);
        });
    }

    static void ntt_subtract_scale(const Limb& limb, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out) {
        IfmaConstant<L> by(factor, limb.m.q);
        with_ifma_transform<L>(limb.m, limb.forward, log_n, [&](const auto& transform) {
            auto finish = [x, out, by](const auto& self, std::size_t at, Word value) {
                Word difference = L::add(L::sub(load_row<L>(x + at), self.canonical(value)), self.f.q);
                store_row<L>(out + at, self.f.fold(self.product(difference, {by.w, by.shoup}), self.f.q));
            };
            transform.forward(words(coefficients), words(coefficients), log_n, 1, 0, finish);
        });
    }

    static void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
        with_ifma_transform<L>(limb.m, limb.inverse, log_n, [&](const auto& transform) {
            IfmaConstant<L> scale(limb.n_inverse, limb.m.q), last(limb.n_inverse_last, limb.m.q);
            transform.template inverse<true>(words(in), words(out), log_n, 1, 0, {scale.w, scale.shoup},
                                             {last.w, last.shoup});
        });
    }

    static void add(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        IfmaField<L> f(limb.m);
        for (std::size_t j = 0; j < n; j += kLanes)
            store_row<L>(out + j, f.fold(L::add(load_row<L>(x + j), load_row<L>(y + j)), f.q));
    }

    static void sub(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        IfmaField<L> f(limb.m);
        for (std::size_t j = 0; j < n; j += kLanes)
            store_row<L>(out + j, f.fold(L::add(L::sub(load_row<L>(x + j), load_row<L>(y + j)), f.q), f.q));
    }

    static void mul(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
        IfmaProduct<L> product(limb.m);
        for (std::size_t j = 0; j < n; j += kLanes)
            store_row<L>(out + j, product(load_row<L>(x + j), load_row<L>(y + j)));
    }

    static void add_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
        IfmaField<L> f(limb.m);
        Word s = L::all(scalar);
        for (std::size_t j = 0; j < n; j += kLanes) store_row<L>(out + j, f.fold(L::add(load_row<L>(x + j), s), f.q));
    }

    static void mul_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
        IfmaField<L> f(limb.m);
        IfmaConstant<L> s(scalar, limb.m.q);
        for (std::size_t j = 0; j < n; j += kLanes)
            store_row<L>(out + j, f.mul_exact(load_row<L>(x + j), s.w, s.shoup));
    }

    static void dot(const Limb& limb, const i64* const* xs, const i64* const* ys, std::size_t terms, i64* out,
                    std::size_t n) {
        IfmaReducer<L> reducer(limb.m);
        for (std::size_t first = 0; first < terms; first += kIfmaMaxTerms) {
            std::size_t end = first + kIfmaMaxTerms < terms ? first + kIfmaMaxTerms : terms;
            for (std::size_t j = 0; j < n; j += kLanes) {
                IfmaSum<L> sum;
                for (std::size_t i = first; i < end; ++i)
                    sum.add_product(load_row<L>(xs[i] + j), load_row<L>(ys[i] + j));
                put(reducer, sum, out + j, first != 0);
            }
        }
    }

    // ---- periodic weights: scratch holds the weights of one run [tile][term][row], then x as [vector][term][8] -----

    static constexpr std::size_t kTile = 4;

    static std::size_t points_of(const PeriodicJob& job) {
        std::size_t length = std::size_t{1} << job.shift;
        return length < kPeriodicPoints ? length : kPeriodicPoints;
    }

    static std::size_t periodic_scratch(const PeriodicJob& job) {
        std::size_t lanes = job.shift < 3 ? kLanes : 1, points = job.shift < 3 ? kLanes : points_of(job);
        return job.rows * job.terms * lanes + job.terms * points + kLanes;
    }

    template <bool kSameWeight>
    static void pack_weights(const PeriodicJob& job, std::size_t first, std::size_t terms, std::size_t run, u64* to) {
        for (std::size_t r = 0; r < job.rows;) {
            std::size_t tile = job.rows - r >= kTile ? kTile : 1;
            for (std::size_t b = first; b < first + terms; ++b)
                for (std::size_t i = r; i < r + tile; ++i) {
                    const i64* w = job.weights + i * job.row_stride + b * job.term_stride + run;
                    for (std::size_t lane = 0; lane < (kSameWeight ? 1 : kLanes); ++lane)
                        *to++ = static_cast<u64>(w[kSameWeight ? 0 : lane >> job.shift]);
                }
            r += tile;
        }
    }

    // kRows sums over `terms` values of x with weights w[term][row].
    template <std::size_t kRows, bool kSameWeight>
    static void accumulate(IfmaSum<L>* sums, const u64* x, const u64* w, std::size_t terms) {
        for (std::size_t b = 0; b < terms; ++b) {
            Word value = L::load(x + kLanes * b);
            for (std::size_t r = 0; r < kRows; ++r, w += kSameWeight ? 1 : kLanes)
                sums[r].add_product(value, kSameWeight ? L::all(*w) : L::load(w));
        }
    }

    static void put(const IfmaReducer<L>& reducer, const IfmaSum<L>& sum, i64* out, bool onto) {
        Word value = reducer.reduce(sum);
        if (onto) value = reducer.f.fold(L::add(value, load_row<L>(out)), reducer.f.q);
        store_row<L>(out, value);
    }

    template <std::size_t kRows, bool kSameWeight>
    static void tile(const IfmaReducer<L>& reducer, const PeriodicJob& job, const u64* x, const u64* w,
                     std::size_t terms, std::size_t points, std::size_t r, std::size_t c, std::size_t at, bool onto) {
        for (std::size_t j = 0; j < points; j += kLanes) {
            IfmaSum<L> sums[kRows];
            accumulate<kRows, kSameWeight>(sums, x + j * terms, w, terms);
            for (std::size_t i = 0; i < kRows; ++i)
                put(reducer, sums[i], job.out[(r + i) * job.components + c] + at + j, onto);
        }
    }

    template <bool kSameWeight>
    static void periodic_terms(const Limb& limb, const PeriodicJob& job, std::size_t first, std::size_t terms,
                               u64* scratch) {
        constexpr std::size_t kStep = kSameWeight ? 1 : kLanes;
        IfmaReducer<L> reducer(limb.m);
        std::size_t points = kSameWeight ? points_of(job) : kLanes;
        u64* x = scratch + (job.rows * terms * kStep + 7) / 8 * 8;
        for (std::size_t at = job.run_begin << job.shift; at < job.run_end << job.shift; at += points) {
            if (!kSameWeight || (at & ((std::size_t{1} << job.shift) - 1)) == 0)
                pack_weights<kSameWeight>(job, first, terms, at >> job.shift, scratch);
            for (std::size_t c = 0; c < job.components; ++c) {
                for (std::size_t b = 0; b < terms; ++b)
                    for (std::size_t j = 0; j < points; j += kLanes)
                        L::store(x + j * terms + kLanes * b, load_row<L>(job.x[(first + b) * job.components + c] + at + j));
                const u64* w = scratch;
                std::size_t r = 0;
                for (; r + kTile <= job.rows; r += kTile, w += kTile * terms * kStep)
                    tile<kTile, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
                for (; r < job.rows; ++r, w += terms * kStep)
                    tile<1, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
            }
        }
    }

    static void periodic(const Limb& limb, const PeriodicJob& job, u64* scratch) {
        for (std::size_t first = 0; first < job.terms; first += kIfmaMaxTerms) {
            std::size_t terms = job.terms - first < kIfmaMaxTerms ? job.terms - first : kIfmaMaxTerms;
            job.shift < 3 ? periodic_terms<false>(limb, job, first, terms, scratch)
                          : periodic_terms<true>(limb, job, first, terms, scratch);
        }
    }

    // ---- basis conversion: y as [vector][source, overflow][8] ------------------------------------------------------

    template <std::size_t kRows>
    static void convert_tile(const ConvertPlan& plan, const u64* y, std::size_t target, i64* out, std::size_t stride,
                             std::size_t count) {
        std::size_t terms = plan.sources + 1;
        u64 w[kTile * 129];
        for (std::size_t b = 0; b < terms; ++b)
            for (std::size_t r = 0; r < kRows; ++r) w[b * kRows + r] = plan.weights[(target + r) * terms + b];
        for (std::size_t j = 0; j < count; j += kLanes) {
            IfmaSum<L> sums[kRows];
            accumulate<kRows, true>(sums, y + j * terms, w, terms);
            for (std::size_t r = 0; r < kRows; ++r)
                put(IfmaReducer<L>(plan.target[target + r]->m), sums[r], out + (target + r) * stride + j, false);
        }
    }

    static void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* y) {
        std::size_t terms = plan.sources + 1;
        for (std::size_t i = 0; i < plan.sources; ++i) {
            const Modulus& m = plan.source[i]->m;
            IfmaField<L> f(m);
            IfmaConstant<L> hat_inverse(plan.hat_inverse[i], m.q);
            for (std::size_t j = 0; j < count; j += kLanes)
                L::store(y + j * terms + kLanes * i,
                         f.mul_exact(load_row<L>(x + i * stride + j), hat_inverse.w, hat_inverse.shoup));
        }
        for (std::size_t j = 0; j < count; j += kLanes) count_overflow<kLanes>(plan, y + j * terms);
        std::size_t t = 0;
        for (; t + kTile <= plan.targets; t += kTile) convert_tile<kTile>(plan, y, t, out, stride, count);
        for (; t < plan.targets; ++t) convert_tile<1>(plan, y, t, out, stride, count);
    }

    static constexpr Kernels table(const char* name) {
        return {name, 6,   1,          build,      ntt, intt,             ntt_subtract_scale, add,
                sub,  mul, add_scalar, mul_scalar, dot, periodic_scratch, periodic,           convert};
    }
};

}  // namespace aegis
