// Modular matrix products per limb and NTT entry: ciphertexts by ciphertexts, and by periodic plaintexts. Sums are
// reduced once; operands are taken in chunks that stay in cache for all the products they meet in.
#include "parallel.h"
#include "host_ring.h"

namespace aegis {
namespace {

constexpr std::size_t kCacheWords = std::size_t{1} << 16;  // 128 KiB of operands
constexpr std::size_t kShortest = 64;
constexpr std::size_t kWeightWords = std::size_t{1} << 20;  // 8 MiB of periodic weights
constexpr std::size_t kTasks = 16;                          // of one limb of a periodic product

std::size_t chunk_of(std::size_t operands, std::size_t n) {
    std::size_t chunk = n;
    while (chunk > kShortest && chunk * operands > kCacheWords) chunk /= 2;
    return chunk;
}

}  // namespace

void HostRing::tensor_product(const TensorProduct& job, const Index& limbs) const {
    std::size_t n = degree(), count = limbs.size();
    std::size_t chunk = chunk_of(job.x.size() + job.y.size(), n);
    for_rows(n / chunk, count, [&](std::size_t l, std::size_t part) {
        std::size_t at = l * n + part * chunk;
        std::vector<const i64*> x(job.x), y(job.y), onto(job.onto);
        for (auto* rows : {&x, &y, &onto})
            for (const i64*& row : *rows) row += at;
        std::vector<i64*> to;
        for (i64* out : job.out)
            for (std::size_t c = 0; c < 3; ++c) to.push_back(out + c * count * n + at);
        TensorJob own{job.rows,  job.terms,      job.columns, x.data(),
                      y.data(),  to.data(),      onto.empty() ? nullptr : onto.data(), chunk};
        Scratch scratch(*arena_, kernels_->tensor_scratch(own) + 1);
        kernels_->tensor(limbs_[limbs[l]], own, scratch.data());
    });
}

// Limbs [first, last) of the job, the weights' first limb being `first`.
void HostRing::periodic_limbs(const PeriodicProduct& job, std::size_t first, std::size_t last,
                          const PeriodicWeights& weights) const {
    std::size_t n = degree(), m = std::size_t{1} << job.log_m, count = job.limbs.size();
    std::size_t runs = m / kTasks < kPeriodicRuns ? kPeriodicRuns : m / kTasks;  // of a task
    for_rows((m + runs - 1) / runs, last - first, [&](std::size_t i, std::size_t task) {
        std::size_t l = first + i, end = (task + 1) * runs < m ? (task + 1) * runs : m;
        std::vector<const i64*> x;
        for (const i64* polynomial : job.x) x.push_back(polynomial + l * n);
        std::vector<i64*> out;
        for (i64* row : job.out)
            for (std::size_t c = 0; c < job.components; ++c) out.push_back(row + (c * count + l) * n);
        PeriodicJob part{job.out.size(),
                         x.size() / job.components,
                         job.components,
                         x.data(),
                         weights.values + i * weights.limb,
                         weights.row,
                         weights.term,
                         out.data(),
                         log_n_ - job.log_m,
                         0,
                         kPeriodicRuns < m ? kPeriodicRuns : m};
        Scratch scratch(*arena_, kernels_->periodic_scratch(part) + 1);
        for (std::size_t run = task * runs; run < end; run += kPeriodicRuns) {
            part.run_begin = run;
            part.run_end = run + kPeriodicRuns < end ? run + kPeriodicRuns : end;
            kernels_->periodic(limbs_[job.limbs[l]], part, scratch.data());
        }
    });
}

void HostRing::periodic_dot(const PeriodicProduct& job, const i64* weights) const {
    std::size_t m = std::size_t{1} << job.log_m, count = job.limbs.size(), terms = job.x.size() / job.components;
    periodic_limbs(job, 0, count, {weights, terms * count * m, count * m, m});
}

std::size_t periodic_batch(std::size_t weight_words, std::size_t limbs) {
    std::size_t batch = kWeightWords / weight_words + 1;
    return batch < limbs ? batch : limbs;
}

void HostRing::periodic_sums(const PeriodicProduct& job, const i64* coefficients, const Ring& other) const {
    const auto& small = static_cast<const HostRing&>(other);
    std::size_t m = std::size_t{1} << job.log_m, terms = job.x.size() / job.components, weights = job.out.size() * terms;
    std::size_t count = job.limbs.size(), batch = periodic_batch(weights * m, count);
    Scratch memory(*arena_, batch * weights * m);
    i64* values = reinterpret_cast<i64*>(memory.data());
    for (std::size_t first = 0; first < count; first += batch) {
        std::size_t last = first + batch < count ? first + batch : count;
        for_rows(weights, last - first, [&](std::size_t i, std::size_t w) {
            const Limb& limb = small.limbs_[job.limbs[first + i]];
            i64* to = values + (i * weights + w) * m;
            loops_->from_signed(coefficients + w * m, m, limb.m, to);
            small.kernels_->ntt(limb, small.log_n_, to, to);
        });
        periodic_limbs(job, first, last, {values, terms * m, m, weights * m});
    }
}

}  // namespace aegis
