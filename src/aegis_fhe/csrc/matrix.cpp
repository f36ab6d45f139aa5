// Modular matrix products per limb and NTT entry: ciphertexts by ciphertexts. (Ciphertexts by periodic plaintexts are
// Ring::periodic_dot.) Sums are reduced once; operands are taken in chunks that stay in the second-level cache for all
// the products they meet in.
#include <algorithm>

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

}  // namespace aegis
