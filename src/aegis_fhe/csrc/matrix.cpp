// Modular matrix products per limb and NTT entry: ciphertexts by ciphertexts, and by periodic plaintexts. Sums are
// reduced once; operands are taken in chunks that stay in cache for all the products they meet in.
#include "parallel.h"
#include "ring.h"

namespace aegis {
namespace {

constexpr std::size_t kCacheWords = std::size_t{1} << 15;  // 256 KiB of operands
constexpr std::size_t kShortest = 64;

std::size_t chunk_of(std::size_t operands, std::size_t n) {
    std::size_t chunk = n;
    while (chunk > kShortest && chunk * operands > kCacheWords) chunk /= 2;
    return chunk;
}

}  // namespace

void Ring::tensor_product(const TensorProduct& job, i64* out, const Index& limbs) const {
    std::size_t n = degree(), count = limbs.size(), terms = job.terms;
    std::size_t chunk = chunk_of(job.x.size() + job.y.size(), n);
    for_rows(n / chunk, count, [&](std::size_t l, std::size_t part) {
        std::size_t at = l * n + part * chunk;
        std::vector<const i64*> left(2 * terms), right(2 * terms);
        for (std::size_t r = 0; r < job.rows; ++r)
            for (std::size_t s = 0; s < job.columns; ++s) {
                for (std::size_t b = 0; b < terms; ++b) {
                    const i64* const* x = job.x.data() + 2 * (r * terms + b);
                    const i64* const* y = job.y.data() + 2 * (b * job.columns + s);
                    left[b] = x[0] + at;
                    left[terms + b] = x[1] + at;
                    right[b] = y[1] + at;
                    right[terms + b] = y[0] + at;
                }
                i64* to = out + (r * job.columns + s) * 3 * count * n + at;
                kernels_->dot(limbs_[limbs[l]], left.data(), right.data() + terms, terms, to, chunk);
                kernels_->dot(limbs_[limbs[l]], left.data(), right.data(), 2 * terms, to + count * n, chunk);
                kernels_->dot(limbs_[limbs[l]], left.data() + terms, right.data(), terms, to + 2 * count * n, chunk);
            }
    });
}

void Ring::periodic_row(const PeriodicProduct& job, std::size_t l, const i64* weights, std::size_t row_stride,
                        std::size_t term_stride) const {
    std::size_t n = degree(), m = std::size_t{1} << job.log_m, groups = (m + kPeriodicRuns - 1) / kPeriodicRuns;
    std::vector<const i64*> x;
    for (const i64* polynomial : job.x) x.push_back(polynomial + l * n);
    std::vector<i64*> out;
    for (std::size_t r = 0; r < job.rows * job.components; ++r) out.push_back(job.out + (r * job.limbs.size() + l) * n);
    for_rows(1, groups, [&](std::size_t group, std::size_t) {
        std::size_t begin = group * kPeriodicRuns, end = begin + kPeriodicRuns < m ? begin + kPeriodicRuns : m;
        PeriodicJob runs{job.rows,  x.size() / job.components, job.components, x.data(),           weights,
                         row_stride, term_stride,              out.data(),     log_n_ - job.log_m, begin,  end};
        Scratch scratch(*arena_, kernels_->periodic_scratch(runs) + 1);
        kernels_->periodic(limbs_[job.limbs[l]], runs, scratch.data());
    });
}

void Ring::periodic_dot(const PeriodicProduct& job, const i64* weights) const {
    std::size_t m = std::size_t{1} << job.log_m, count = job.limbs.size(), terms = job.x.size() / job.components;
    for (std::size_t l = 0; l < count; ++l) periodic_row(job, l, weights + l * m, terms * count * m, count * m);
}

void Ring::periodic_sums(const PeriodicProduct& job, const i64* coefficients, const Ring& small) const {
    std::size_t m = std::size_t{1} << job.log_m, terms = job.x.size() / job.components, weights = job.rows * terms;
    Scratch memory(*arena_, weights * m);
    i64* values = reinterpret_cast<i64*>(memory.data());
    for (std::size_t l = 0; l < job.limbs.size(); ++l) {
        const Limb& limb = small.limbs_[job.limbs[l]];
        for_rows(1, weights, [&](std::size_t w, std::size_t) {
            loops_->from_signed(coefficients + w * m, m, limb.m, values + w * m);
            small.kernels_->ntt(limb, small.log_n_, values + w * m, values + w * m);
        });
        periodic_row(job, l, values, terms * m, m);
    }
}

}  // namespace aegis
