// The portable path: 64-bit scalar words, Shoup and Barrett products on unsigned __int128. Every other path equals it.
#include "kernels.h"
#include "overflow.h"

namespace aegis {
namespace {

const u64* residues(const i64* x) { return reinterpret_cast<const u64*>(x); }
u64* residues(i64* x) { return reinterpret_cast<u64*>(x); }

// Tables: N pairs (w, Shoup factor of w), w = psi^brv(k).
void build(const Modulus& m, const Roots& roots, u64* forward, u64* inverse) {
    std::size_t n = std::size_t{1} << roots.log_n;
    for (std::size_t k = 0; k < n; ++k) {
        forward[2 * k] = roots.powers[k];
        forward[2 * k + 1] = shoup_factor(roots.powers[k], m.q);
        inverse[2 * k] = roots.inverse_powers[k];
        inverse[2 * k + 1] = shoup_factor(roots.inverse_powers[k], m.q);
    }
}

// Cooley-Tukey, Harvey's lazy ranges: values stay in [0, 4q) between stages.
void forward_stages(const Limb& limb, int log_n, u64* a) {
    const u64 q = limb.m.q, q2 = 2 * q;
    const u64* table = static_cast<const u64*>(limb.forward);
    std::size_t n = std::size_t{1} << log_n, half = n;
    for (std::size_t groups = 1; groups < n; groups <<= 1) {
        half >>= 1;
        for (std::size_t g = 0; g < groups; ++g) {
            u64 w = table[2 * (groups + g)], w_shoup = table[2 * (groups + g) + 1];
            u64* x = a + 2 * g * half;
            u64* y = x + half;
            for (std::size_t j = 0; j < half; ++j) {
                u64 u = x[j] >= q2 ? x[j] - q2 : x[j];              // [0, 2q)
                u64 t = shoup_mul_lazy(y[j], w, w_shoup, q);        // [0, 2q)
                x[j] = u + t;                                       // [0, 4q)
                y[j] = u + q2 - t;                                  // [0, 4q)
            }
        }
    }
}

u64 canonical4(u64 x, u64 q) {
    x = x >= 2 * q ? x - 2 * q : x;
    return x >= q ? x - q : x;
}

void ntt(const Limb& limb, int log_n, const i64* in, i64* out) {
    std::size_t n = std::size_t{1} << log_n;
    u64* a = residues(out);
    if (in != out)
        for (std::size_t j = 0; j < n; ++j) out[j] = in[j];
    forward_stages(limb, log_n, a);
    for (std::size_t j = 0; j < n; ++j) a[j] = canonical4(a[j], limb.m.q);
}

// Gentleman-Sande; values stay in [0, 2q); the last stage carries the factor 1/N.
void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
    const u64 q = limb.m.q, q2 = 2 * q;
    const u64* table = static_cast<const u64*>(limb.inverse);
    std::size_t n = std::size_t{1} << log_n;
    u64* a = residues(out);
    if (in != out)
        for (std::size_t j = 0; j < n; ++j) out[j] = in[j];
    std::size_t half = 1;
    for (std::size_t groups = n >> 1; groups > 1; groups >>= 1, half <<= 1) {
        for (std::size_t g = 0; g < groups; ++g) {
            u64 w = table[2 * (groups + g)], w_shoup = table[2 * (groups + g) + 1];
            u64* x = a + 2 * g * half;
            u64* y = x + half;
            for (std::size_t j = 0; j < half; ++j) {
                u64 sum = x[j] + y[j], difference = x[j] + q2 - y[j];  // [0, 4q)
                x[j] = sum >= q2 ? sum - q2 : sum;
                y[j] = shoup_mul_lazy(difference, w, w_shoup, q);
            }
        }
    }
    if (n == 1) return;
    u64 s = limb.n_inverse, s_shoup = shoup_factor(s, q);
    u64 t = limb.n_inverse_last, t_shoup = shoup_factor(t, q);
    for (std::size_t j = 0; j < half; ++j) {
        u64 sum = a[j] + a[j + half], difference = a[j] + q2 - a[j + half];
        a[j] = shoup_mul(sum, s, s_shoup, q);
        a[j + half] = shoup_mul(difference, t, t_shoup, q);
    }
}

void ntt_subtract_scale(const Limb& limb, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out) {
    const u64 q = limb.m.q, factor_shoup = shoup_factor(factor, q);
    std::size_t n = std::size_t{1} << log_n;
    u64* a = residues(coefficients);
    forward_stages(limb, log_n, a);
    for (std::size_t j = 0; j < n; ++j) {
        u64 difference = residues(x)[j] + q - canonical4(a[j], q);
        residues(out)[j] = shoup_mul(difference, factor, factor_shoup, q);
    }
}

void add(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) residues(out)[j] = add_mod(residues(x)[j], residues(y)[j], limb.m.q);
}

void sub(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) residues(out)[j] = sub_mod(residues(x)[j], residues(y)[j], limb.m.q);
}

void mul(const Limb& limb, const i64* x, const i64* y, i64* out, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) residues(out)[j] = mul_mod(residues(x)[j], residues(y)[j], limb.m);
}

void add_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) residues(out)[j] = add_mod(residues(x)[j], scalar, limb.m.q);
}

void mul_scalar(const Limb& limb, const i64* x, u64 scalar, i64* out, std::size_t n) {
    u64 factor = shoup_factor(scalar, limb.m.q);
    for (std::size_t j = 0; j < n; ++j) residues(out)[j] = shoup_mul(residues(x)[j], scalar, factor, limb.m.q);
}

// Products are below 2^100, so 2^28 of them fit the 128-bit accumulator.
void dots(const Limb& limb, const DotJob& job) {
    for (std::size_t r = 0; r < job.rows; ++r)
        for (std::size_t s = 0; s < job.columns; ++s)
            for (std::size_t j = 0; j < job.count; ++j) {
                u128 sum = 0;
                for (std::size_t i = 0; i < job.terms; ++i)
                    sum += static_cast<u128>(residues(job.x[r * job.terms + i])[j]) *
                           residues(job.y[i * job.columns + s])[j];
                residues(job.out[r * job.columns + s])[j] = reduce_wide(sum, limb.m);
            }
}

// Products are below 2^51, so all of one pass and what they are added to fit a word.
void combination(const Limb& limb, const CombinationJob& job) {
    const u64 q = limb.m.q, one_shoup = shoup_factor(1, q);
    for (std::size_t first = 0; first < job.terms; first += kCombinationTerms) {
        std::size_t count = job.terms - first < kCombinationTerms ? job.terms - first : kCombinationTerms;
        u64 shoup[kCombinationTerms];
        const u64* factors = job.factors + first;
        for (std::size_t i = 0; i < count; ++i) shoup[i] = shoup_factor(factors[i], q);
        for (std::size_t j = 0; j < job.count; ++j) {
            u64 sum = first == 0 ? job.constant : residues(job.out)[j];
            for (std::size_t i = 0; i < count; ++i)
                sum += shoup_mul_lazy(residues(job.x[first + i])[j], factors[i], shoup[i], q);
            residues(job.out)[j] = shoup_mul(sum, 1, one_shoup, q);
        }
    }
}

void permute_add(const Limb& limb, const i64* x, const PermutePlan& plan, i64* out) {
    permute_row_add(limb.m, x, plan, out);
}

std::size_t periodic_scratch(const PeriodicJob&) { return 0; }

void periodic(const Limb& limb, const PeriodicJob& job, u64*) {
    std::size_t length = std::size_t{1} << job.shift;
    for (std::size_t run = job.run_begin; run < job.run_end; ++run)
        for (std::size_t r = 0; r < job.rows; ++r)
            for (std::size_t c = 0; c < job.components; ++c)
                for (std::size_t j = run * length; j < (run + 1) * length; ++j) {
                    const i64* w = job.weights + r * job.row_stride + run;
                    u128 sum = 0;
                    for (std::size_t b = 0; b < job.terms; ++b)
                        sum += static_cast<u128>(residues(w)[b * job.term_stride]) *
                               residues(job.x[b * job.components + c])[j];
                    residues(job.out[r * job.components + c])[j] = reduce_wide(sum, limb.m);
                }
}

std::size_t tensor_scratch(const TensorJob&) { return 0; }

// Two products of each term at most: 2^27 terms fit.
u64 tensor_entry(const Limb& limb, const TensorJob& job, std::size_t r, std::size_t s, std::size_t c, std::size_t j) {
    u128 sum = 0;
    for (std::size_t b = 0; b < job.terms; ++b) {
        const i64* const* x = job.x + 2 * (r * job.terms + b);
        const i64* const* y = job.y + 2 * (b * job.columns + s);
        for (std::size_t i = c == 2; i <= (c != 0); ++i)
            sum += static_cast<u128>(residues(x[i])[j]) * residues(y[c - i])[j];
    }
    return reduce_wide(sum, limb.m);
}

void tensor(const Limb& limb, const TensorJob& job, u64*) {
    for (std::size_t r = 0; r < job.rows; ++r)
        for (std::size_t s = 0; s < job.columns; ++s)
            for (std::size_t c = 0; c < 3; ++c) {
                std::size_t entry = 3 * (r * job.columns + s) + c;
                for (std::size_t j = 0; j < job.count; ++j) {
                    u64 value = tensor_entry(limb, job, r, s, c, j);
                    if (job.onto != nullptr) value = add_mod(value, residues(job.onto[entry])[j], limb.m.q);
                    residues(job.out[entry])[j] = value;
                }
            }
}

void convert(const ConvertPlan& plan, const i64* x, i64* out, std::size_t stride, std::size_t count, u64* scratch) {
    u64* y = scratch;  // [coefficient][source, overflow]
    std::size_t terms = plan.sources + 1;
    for (std::size_t j = 0; j < count; ++j) {
        for (std::size_t i = 0; i < plan.sources; ++i)
            y[j * terms + i] = shoup_mul(residues(x)[i * stride + j], plan.hat_inverse[i], plan.hat_inverse_shoup[i],
                                         plan.source[i]->m.q);
        count_overflow<1>(plan, y + j * terms);
    }
    for (std::size_t t = 0; t < plan.targets; ++t) {
        const u64* w = plan.weights + t * terms;
        for (std::size_t j = 0; j < count; ++j) {
            u128 sum = 0;
            for (std::size_t i = 0; i < terms; ++i) sum += static_cast<u128>(y[j * terms + i]) * w[i];
            residues(out)[t * stride + j] = reduce_wide(sum, plan.target[t]->m);
        }
    }
}

}  // namespace

constexpr Kernels kPortable = {
    "portable", 0,   2,          build,      ntt, intt,             ntt_subtract_scale, add,
    sub,        mul, add_scalar, mul_scalar, dots, combination,      periodic_scratch,   periodic,
    tensor_scratch, tensor,      permute_row, permute_add, convert};

}  // namespace aegis
