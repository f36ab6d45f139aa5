// The AVX2 path: modular arithmetic in double precision by fused multiply-add, for every prime below 2^50.
// Compiled with -mavx2 -mfma; nothing in here is visible outside but the table at the end.
#include "avx2_forward.h"
#include "avx2_inverse.h"
#include "avx2_sums.h"

namespace aegis {
namespace {

void add(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    W q = all_words(static_cast<i64>(limb.m.q));
    for (std::size_t j = 0; j < n; j += 4)
        store_words(out + j, subtract_if_above(_mm256_add_epi64(load_words(x + j), load_words(y + j)), q));
}

void sub(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    W q = all_words(static_cast<i64>(limb.m.q));
    for (std::size_t j = 0; j < n; j += 4) {
        W difference = _mm256_sub_epi64(load_words(x + j), load_words(y + j));
        W negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), difference);
        store_words(out + j, _mm256_add_epi64(difference, _mm256_and_si256(negative, q)));
    }
}

void add_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
    W q = all_words(static_cast<i64>(limb.m.q)), s = all_words(static_cast<i64>(scalar));
    for (std::size_t j = 0; j < n; j += 4)
        store_words(out + j, subtract_if_above(_mm256_add_epi64(load_words(x + j), s), q));
}

void mul(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    Field f(limb.m);
    for (std::size_t j = 0; j < n; j += 4)
        store_words(out + j, to_words(lift(f.mul(load_residues(x + j), load_residues(y + j)), f.q)));
}

void mul_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
    Field f(limb.m);
    V s = all(centred_constant(scalar, limb.m.q));
    for (std::size_t j = 0; j < n; j += 4) store_words(out + j, to_words(lift(f.mul(load_residues(x + j), s), f.q)));
}

void dot(const Limb& limb, const i64* const* xs, const i64* const* ys, std::size_t terms, i64* out, std::size_t n) {
    for (std::size_t first = 0; first < terms; first += kMaxTerms) {
        std::size_t count = terms - first < kMaxTerms ? terms - first : kMaxTerms;
        SumReducer reducer(limb.m, count, limb.m.q_double);
        for (std::size_t j = 0; j < n; j += 8) {
            Sum left(count), right(count);
            for (std::size_t i = first; i < first + count; ++i) {
                left.add_product(load_residues(xs[i] + j), load_residues(ys[i] + j));
                right.add_product(load_residues(xs[i] + j + 4), load_residues(ys[i] + j + 4));
            }
            V a = reducer.reduce(left), b = reducer.reduce(right);
            if (first != 0) {
                a = reducer.f.canon(a + load_residues(out + j));
                b = reducer.f.canon(b + load_residues(out + j + 4));
            }
            store_words(out + j, to_words(a));
            store_words(out + j + 4, to_words(b));
        }
    }
}

void permute_add(const Limb& limb, const i64* x, const PermutePlan& plan, i64* out) {
    permute_row_add(limb.m, x, plan, out);
}

// ---- periodic weights -------------------------------------------------------------------------------------------

// Rows are handled four at a time, the last ones singly. Scratch: weights of one run [tile][term][row of the tile]
// (four doubles each when a vector spans several runs), then one block of x as [vector][term][4].
std::size_t points_of(const PeriodicJob& job) {
    std::size_t length = std::size_t{1} << job.shift;
    return length < 4 ? 4 : length < kPeriodicPoints ? length : kPeriodicPoints;
}

std::size_t periodic_scratch(const PeriodicJob& job) {
    std::size_t weights = job.rows * job.terms * (job.shift < 2 ? 4 : 1);
    return weights + job.terms * points_of(job) + 8;
}

template <bool kSameWeight>
void pack_weights(const PeriodicJob& job, std::size_t first, std::size_t terms, std::size_t run, double* to) {
    for (std::size_t r = 0; r < job.rows;) {
        std::size_t tile = job.rows - r >= 4 ? 4 : 1;
        for (std::size_t b = first; b < first + terms; ++b)
            for (std::size_t i = r; i < r + tile; ++i) {
                const i64* w = job.weights + i * job.row_stride + b * job.term_stride + run;
                if (kSameWeight)
                    *to++ = static_cast<double>(*w);
                else
                    for (int lane = 0; lane < 4; ++lane) *to++ = static_cast<double>(w[lane >> job.shift]);
            }
        r += tile;
    }
}

template <int kRows, bool kSameWeight>
AEGIS_HD void periodic_tile(const SumReducer& reducer, const PeriodicJob& job, const double* x, const double* w,
                            std::size_t terms, std::size_t points, std::size_t r, std::size_t c, std::size_t at,
                            bool accumulate_out) {
    for (std::size_t j = 0; j < points; j += 4) {
        Sum sums[kRows];
        for (Sum& sum : sums) sum = Sum(terms);
        accumulate<kRows, kSameWeight>(sums, x + j * terms, w, terms);
        for (int i = 0; i < kRows; ++i) {
            i64* out = job.out[(r + i) * job.components + c] + at + j;
            V value = reducer.reduce(sums[i]);
            if (accumulate_out) value = reducer.f.canon(value + load_residues(out));
            store_words(out, to_words(value));
        }
    }
}

template <bool kSameWeight>
void periodic_terms(const Limb& limb, const PeriodicJob& job, std::size_t first, std::size_t terms, double* scratch) {
    SumReducer reducer(limb.m, terms, limb.m.q_double);
    std::size_t points = points_of(job), begin = job.run_begin << job.shift, end = job.run_end << job.shift;
    double* x = scratch + (job.rows * terms * (kSameWeight ? 1 : 4) + 7) / 8 * 8;
    for (std::size_t at = begin; at < end; at += points) {
        if (!kSameWeight || (at & ((std::size_t{1} << job.shift) - 1)) == 0)
            pack_weights<kSameWeight>(job, first, terms, at >> job.shift, scratch);
        for (std::size_t c = 0; c < job.components; ++c) {
            for (std::size_t b = 0; b < terms; ++b)
                for (std::size_t j = 0; j < points; j += 4)
                    store(x + j * terms + 4 * b, load_residues(job.x[(first + b) * job.components + c] + at + j));
            std::size_t r = 0;
            const double* w = scratch;
            constexpr std::size_t kStep = kSameWeight ? 1 : 4;
            for (; r + 4 <= job.rows; r += 4, w += 4 * terms * kStep)
                periodic_tile<4, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
            for (; r < job.rows; ++r, w += terms * kStep)
                periodic_tile<1, kSameWeight>(reducer, job, x, w, terms, points, r, c, at, first != 0);
        }
    }
}

void periodic(const Limb& limb, const PeriodicJob& job, u64* scratch) {
    for (std::size_t first = 0; first < job.terms; first += kMaxTerms) {
        std::size_t terms = job.terms - first < kMaxTerms ? job.terms - first : kMaxTerms;
        double* memory = reinterpret_cast<double*>(scratch);
        job.shift < 2 ? periodic_terms<false>(limb, job, first, terms, memory)
                      : periodic_terms<true>(limb, job, first, terms, memory);
    }
}

// ---- basis conversion -------------------------------------------------------------------------------------------

AEGIS_HD bool any_unsure(V distance) {
    V margin = all(kOverflowMargin);
    V inside = _mm256_and_pd(_mm256_cmp_pd(distance, margin, _CMP_LT_OQ),
                             _mm256_cmp_pd(distance, all(-kOverflowMargin), _CMP_GT_OQ));
    return _mm256_movemask_pd(inside) != 0;
}

// Settles by exact comparison the lanes whose fraction is close to 1/2. Never inlined: about never run.
__attribute__((noinline)) V settle(const ConvertPlan& plan, const double* y, V estimate, V overflow) {
    alignas(32) double estimates[4], result[4];
    store(estimates, estimate);
    store(result, overflow);
    u64 words[128];
    for (int lane = 0; lane < 4; ++lane) {
        double fraction = estimates[lane] - static_cast<double>(static_cast<i64>(estimates[lane])) - 0.5;
        if (fraction >= kOverflowMargin || fraction <= -kOverflowMargin) continue;
        for (std::size_t i = 0; i < plan.sources; ++i) words[i] = static_cast<u64>(y[4 * i + lane]);
        result[lane] = static_cast<double>(exact_overflow(plan, words, 1, estimates[lane]));
    }
    return load(result);
}

template <int kRows>
AEGIS_HD void convert_tile(const ConvertPlan& plan, const double* y, std::size_t target, i64* out, std::size_t stride,
                           std::size_t count, double source_bound) {
    std::size_t terms = plan.sources + 1;
    double w[4 * 129];
    for (std::size_t b = 0; b < terms; ++b)
        for (int r = 0; r < kRows; ++r) w[b * kRows + r] = plan.weights_double[(target + r) * terms + b];
    for (std::size_t j = 0; j < count; j += 4) {
        Sum sums[kRows];
        for (Sum& sum : sums) sum = Sum(terms);
        accumulate<kRows, true>(sums, y + j * terms, w, terms);
        for (int r = 0; r < kRows; ++r) {
            SumReducer reducer(plan.target[target + r]->m, terms, source_bound);
            store_words(out + (target + r) * stride + j, to_words(reducer.reduce(sums[r])));
        }
    }
}

// y as [vector][source, overflow][4]
void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* scratch) {
    double* y = reinterpret_cast<double*>(scratch);
    std::size_t terms = plan.sources + 1;
    double source_bound = 0;
    alignas(32) double estimates[kConvertBlock];
    for (std::size_t j = 0; j < count; j += 4) store(estimates + j, _mm256_setzero_pd());
    for (std::size_t i = 0; i < plan.sources; ++i) {
        const Modulus& m = plan.source[i]->m;
        Field f(m);
        V hat_inverse = all(centred_constant(plan.hat_inverse[i], m.q));
        source_bound = m.q_double > source_bound ? m.q_double : source_bound;
        for (std::size_t j = 0; j < count; j += 4) {
            V r = lift(f.mul(load_residues(x + i * stride + j), hat_inverse), f.q);
            store(y + j * terms + 4 * i, r);
            store(estimates + j, load(estimates + j) + r * f.q_inverse);
        }
    }
    for (std::size_t j = 0; j < count; j += 4) {
        V estimate = load(estimates + j);
        V below = _mm256_floor_pd(estimate), distance = estimate - below - all(0.5);
        V overflow = below + _mm256_and_pd(_mm256_cmp_pd(distance, _mm256_setzero_pd(), _CMP_GT_OQ), all(1.0));
        if (any_unsure(distance)) overflow = settle(plan, y + j * terms, estimate, overflow);
        store(y + j * terms + 4 * plan.sources, overflow);
    }
    std::size_t t = 0;
    for (; t + 4 <= plan.targets; t += 4) convert_tile<4>(plan, y, t, out, stride, count, source_bound);
    for (; t < plan.targets; ++t) convert_tile<1>(plan, y, t, out, stride, count, source_bound);
}

}  // namespace

constexpr Kernels kAvx2 = {"avx2",     4,          1,   build,            ntt,      intt,   ntt_subtract_scale, add, sub, mul,
                       add_scalar, mul_scalar, dot, periodic_scratch, periodic, permute_row, permute_add, convert};

}  // namespace aegis
