// The kernel table of an IFMA lane policy: everything that kernels.h asks for, over the templates of ifma_*.h.
#pragma once

#include "ifma_ntt.h"

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

    static void permute(const i64* x, const PermutePlan& plan, i64* out) {
        for (std::size_t b = 0; b < plan.blocks; ++b) store_row<L>(out + kLanes * b, permuted(x, plan, b));
    }

    static void permute_add(const Limb& limb, const i64* x, const PermutePlan& plan, i64* out) {
        IfmaField<L> f(limb.m);
        for (std::size_t b = 0; b < plan.blocks; ++b) {
            i64* to = out + kLanes * b;
            store_row<L>(to, f.fold(L::add(load_row<L>(to), permuted(x, plan, b)), f.q));
        }
    }

    static Word permuted(const i64* x, const PermutePlan& plan, std::size_t b) {
        std::uint32_t source = plan.source[b];
        return L::permute(load_row<L>(x + (source & ~7u)), L::load(plan.orders + kLanes * (source & 7)));
    }

    // ---- basis conversion: y as [source, overflow][count] ----------------------------------------------------------

    // S = sum_b w_b y_b with w in Montgomery form, that is 2^52 times what is wanted; as high 2^52 + low.
    // S < terms q 2^50, so (S - m q) 2^-52 + q < (terms/4 + 1) q, which takes `folds` halvings of 2^folds q.
    struct Target {
        Word q, q_inverse;
        const u64* weights;
        Target() = default;
        Target(const ConvertPlan& plan, std::size_t target)
            : q(L::all(plan.target[target]->m.q)),
              q_inverse(L::all(plan.target[target]->m.inverse52)),
              weights(plan.weights_montgomery + target * (plan.sources + 1)) {}

        Word reduce(const IfmaSum<L>& sum, int folds) const {
            Word high = L::add(L::add(sum.high, L::template right<52>(sum.low)), q);
            Word x = L::sub(high, L::high(L::all(0), L::low(L::all(0), sum.low, q_inverse), q));
            for (int k = folds; k-- > 0;) {
                Word part = L::left(q, k);
                x = L::min(x, L::sub(x, part));
            }
            return x;
        }
    };

    template <std::size_t kTargets, std::size_t kVectors>
    static void convert_tile(const Target* targets, const u64* y, std::size_t y_stride, std::size_t terms, int folds,
                             i64* out, std::size_t stride, std::size_t count) {
        for (std::size_t j = 0; j < count; j += kVectors * kLanes) {
            IfmaSum<L> sums[kTargets][kVectors];
            for (std::size_t b = 0; b < terms; ++b) {
                Word x[kVectors];
                for (std::size_t v = 0; v < kVectors; ++v) x[v] = L::load(y + b * y_stride + j + v * kLanes);
                for (std::size_t t = 0; t < kTargets; ++t) {
                    Word w = L::all(targets[t].weights[b]);
                    for (std::size_t v = 0; v < kVectors; ++v) sums[t][v].add_product(x[v], w);
                }
            }
            for (std::size_t t = 0; t < kTargets; ++t)
                for (std::size_t v = 0; v < kVectors; ++v)
                    store_row<L>(out + t * stride + j + v * kLanes, targets[t].reduce(sums[t][v], folds));
        }
    }

    // y_i / q_i as a fraction of 2^50, rounded down by less than 2: floor(y_i 2^(52 - bits) * floor(2^(50 + bits) / q_i)
    // 2^-52). The sum over 128 sources is off by less than 2^8.
    static constexpr int kFraction = 50;
    static constexpr u64 kFractionError = u64{1} << 8;

    static void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* y) {
        std::size_t terms = plan.sources + 1;
        u64* overflow = y + plan.sources * kConvertStride;  // first the sum of the fractions
        for (std::size_t j = 0; j < count; j += kLanes) L::store(overflow + j, L::all(0));
        for (std::size_t i = 0; i < plan.sources; ++i) {
            const Modulus& m = plan.source[i]->m;
            IfmaField<L> f(m);
            IfmaConstant<L> hat_inverse(plan.hat_inverse[i], m.q);
            Word inverse = L::all(static_cast<u64>((u128{1} << (kFraction + m.bits)) / m.q));
            for (std::size_t j = 0; j < count; j += kLanes) {
                Word value = f.mul_exact(load_row<L>(x + i * stride + j), hat_inverse.w, hat_inverse.shoup);
                L::store(y + i * kConvertStride + j, value);
                L::store(overflow + j, L::high(L::load(overflow + j), L::left(value, 52 - m.bits), inverse));
            }
        }
        for (std::size_t j = 0; j < count; j += kLanes) round_overflow(plan, y, j);
        int folds = 1;
        while ((std::size_t{1} << folds) < (terms + 3) / 4 + 1) ++folds;
        Target targets[kTile];
        std::size_t t = 0;
        for (; t + kTile <= plan.targets; t += kTile) {
            for (std::size_t i = 0; i < kTile; ++i) targets[i] = Target(plan, t + i);
            count % (2 * kLanes) == 0
                ? convert_tile<kTile, 2>(targets, y, kConvertStride, terms, folds, out + t * stride, stride, count)
                : convert_tile<kTile, 1>(targets, y, kConvertStride, terms, folds, out + t * stride, stride, count);
        }
        for (; t < plan.targets; ++t) {
            targets[0] = Target(plan, t);
            convert_tile<1, 1>(targets, y, kConvertStride, terms, folds, out + t * stride, stride, count);
        }
    }

    // v = round(sum), exactly where the fraction is too near to 1/2 to tell.
    static void round_overflow(const ConvertPlan& plan, u64* y, std::size_t j) {
        u64* overflow = y + plan.sources * kConvertStride + j;
        constexpr u64 kHalf = u64{1} << (kFraction - 1);
        Word sum = L::load(overflow), fraction = L::both(sum, L::all(2 * kHalf - 1));
        // the true fraction lies up to kFractionError above
        Word below_half = L::sub(L::all(kHalf), fraction);
        L::store(overflow, L::template right<kFraction>(L::add(sum, L::all(kHalf))));
        if (!L::any_below(below_half, L::all(kFractionError + 1))) return;
        u64 sums[kLanes];
        L::store(sums, sum);
        for (std::size_t lane = 0; lane < kLanes; ++lane)
            if (kHalf - (sums[lane] & (2 * kHalf - 1)) <= kFractionError)
                overflow[lane] = exact_overflow(plan, y + j + lane, kConvertStride,
                                                static_cast<double>(sums[lane]) / static_cast<double>(2 * kHalf));
    }

    static constexpr Kernels table(const char* name) {
        return {name, 6,   1,          build,      ntt, intt,             ntt_subtract_scale, add,
                sub,  mul, add_scalar, mul_scalar, dot, periodic_scratch, periodic,           permute,
                permute_add, convert};
    }
};

}  // namespace aegis
