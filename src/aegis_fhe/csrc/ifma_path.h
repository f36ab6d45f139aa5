// The kernel table of an IFMA lane policy: everything that kernels.h asks for, over the templates of ifma_*.h.
#pragma once

#include "dot_tiles.h"
#include "ifma_ntt.h"
#include "ifma_periodic.h"
#include "tensor_tiles.h"

namespace aegis {

// What TensorTiles and DotTiles ask for: a tile of 2 x 2 has 12 sums, one of 4 x 2 has 8, of two registers each.
template <class L>
struct IfmaSums {
    using Value = typename L::Word;
    using Sum = IfmaSum<L>;
    static constexpr std::size_t kLanes = 8, kRows = 2, kColumns = 2, kDotRows = 4;
    static constexpr std::size_t kTerms = kIfmaMaxTerms;
    IfmaReducer<L> reducer;
    IfmaSums(const Modulus& m, std::size_t) : reducer(m) {}

    AEGIS_INLINE static Sum sum(std::size_t) { return Sum(); }
    AEGIS_INLINE static Value load(const i64* p) { return load_row<L>(p); }
    AEGIS_INLINE static void store(i64* p, Value x) { store_row<L>(p, x); }
    AEGIS_INLINE static void pack(const i64* from, u64* to) { L::store(to, load_row<L>(from)); }
    AEGIS_INLINE static Value operand(const u64* p) { return L::load(p); }
    AEGIS_INLINE Value reduce(const Sum& sum) const { return reducer.reduce(sum); }
    AEGIS_INLINE Value join(Value x, Value y) const { return reducer.f.fold(L::add(x, y), reducer.f.q); }
};

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
                store_row<L>(out + at, self.f.mul_exact(difference, by));
            };
            transform.forward(words(coefficients), words(coefficients), log_n, 1, 0, finish);
        });
    }

    static void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
        with_ifma_transform<L>(limb.m, limb.inverse, log_n, [&](const auto& transform) {
            IfmaConstant<L> scale(limb.n_inverse, limb.m.q), last(limb.n_inverse_last, limb.m.q);
            transform.template inverse<true>(words(in), words(out), log_n, 1, 0, scale, last);
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
            store_row<L>(out + j, f.mul_exact(load_row<L>(x + j), s));
    }

    static void dots(const Limb& limb, const DotJob& job) { DotTiles<IfmaSums<L>>::run(limb, job); }

    // x w - floor(x w' 2^-52) q < (1 + x 2^-52) q < 1.25 q: three and the constant stay below 6 q.
    static constexpr std::size_t kFewTerms = 3;

    template <std::size_t kTerms>
    static void combine_few(const Limb& limb, const CombinationJob& job) {
        IfmaField<L> f(limb.m);
        const Word q4 = L::all(4 * limb.m.q), constant = L::all(job.constant);
        IfmaConstant<L> factors[kTerms];
        for (std::size_t i = 0; i < kTerms; ++i) factors[i] = IfmaConstant<L>(job.factors[i], limb.m.q);
        for (std::size_t j = 0; j < job.count; j += kLanes) {
            Word sum = constant;
            for (std::size_t i = 0; i < kTerms; ++i)
                sum = L::add(sum, f.mul_lazy(load_row<L>(job.x[i] + j), factors[i]));
            store_row<L>(job.out + j, f.canonical4(f.fold(sum, q4)));
        }
    }

    static void combine_many(const Limb& limb, const CombinationJob& job) {
        IfmaReducer<L> reducer(limb.m);
        for (std::size_t first = 0; first < job.terms; first += kIfmaMaxTerms) {
            std::size_t end = first + kIfmaMaxTerms < job.terms ? first + kIfmaMaxTerms : job.terms;
            for (std::size_t j = 0; j < job.count; j += kLanes) {
                IfmaSum<L> sum;
                for (std::size_t i = first; i < end; ++i)
                    sum.add_product(load_row<L>(job.x[i] + j), L::all(job.factors[i]));
                Word addend = first == 0 ? L::all(job.constant) : load_row<L>(job.out + j);
                store_row<L>(job.out + j, reducer.f.fold(L::add(reducer.reduce(sum), addend), reducer.f.q));
            }
        }
    }

    static void combination(const Limb& limb, const CombinationJob& job) {
        switch (job.terms) {
            case 1: return combine_few<1>(limb, job);
            case 2: return combine_few<2>(limb, job);
            case kFewTerms: return combine_few<kFewTerms>(limb, job);
            default: return combine_many(limb, job);
        }
    }

    static std::size_t periodic_scratch(const PeriodicJob& job) { return IfmaPeriodic<L>::scratch(job); }
    static void periodic(const Limb& limb, const PeriodicJob& job, u64* scratch) {
        IfmaPeriodic<L>::run(limb, job, scratch);
    }

    using Tensor = TensorTiles<IfmaSums<L>>;
    static std::size_t tensor_scratch(const TensorJob& job) { return Tensor::scratch(job); }
    static void tensor(const Limb& limb, const TensorJob& job, u64* scratch) { Tensor::run(limb, job, scratch); }

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

    static constexpr std::size_t kTile = 4;

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

    // One source: x or x - q, whichever is nearer to 0, modulo the target.
    static void convert_one(const ConvertPlan& plan, std::size_t target, const i64* x, i64* out, std::size_t count) {
        const Modulus& m = plan.target[target]->m;
        const IfmaField<L> f(m);
        const Word one = L::all(1), above = L::all((plan.source[0]->m.q + 1) / 2);
        const Word minus_q = L::all(plan.weights[2 * target + 1]);
        for (std::size_t j = 0; j < count; j += kLanes) {
            Word value = load_row<L>(x + j);
            Word centred = L::sub(one, L::template right<63>(L::sub(value, above)));  // 1 when value > q/2
            store_row<L>(out + j, f.canonical4(L::low(f.reduce_lazy(value), centred, minus_q)));
        }
    }

    static void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* y) {
        if (plan.sources == 1) {
            for (std::size_t t = 0; t < plan.targets; ++t) convert_one(plan, t, x, out + t * stride, count);
            return;
        }
        std::size_t terms = plan.sources + 1;
        u64* overflow = y + plan.sources * kConvertStride;  // first the sum of the fractions
        for (std::size_t j = 0; j < count; j += kLanes) L::store(overflow + j, L::all(0));
        for (std::size_t i = 0; i < plan.sources; ++i) {
            const Modulus& m = plan.source[i]->m;
            IfmaField<L> f(m);
            IfmaConstant<L> hat_inverse(plan.hat_inverse[i], m.q);
            Word inverse = L::all(static_cast<u64>((u128{1} << (kFraction + m.bits)) / m.q));
            for (std::size_t j = 0; j < count; j += kLanes) {
                Word value = f.mul_exact(load_row<L>(x + i * stride + j), hat_inverse);
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
        return {name,   6,          1,          build, ntt,              intt,     ntt_subtract_scale,
                add,    sub,        mul,        add_scalar, mul_scalar,  dots,     combination,
                periodic_scratch, periodic, tensor_scratch, tensor, permute, permute_add, convert};
    }
};

}  // namespace aegis
