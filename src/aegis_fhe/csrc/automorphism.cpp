// Automorphisms X -> X^g: permutations of NTT entries (see permute.h), signed moves of coefficients.
#include "parallel.h"
#include "host_ring.h"

namespace aegis {

const PermutePlan& HostRing::permutation(u64 galois) const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<OwnedPermutation>& owned = permutations_[galois];
    if (owned) return owned->plan;
    owned = std::make_unique<OwnedPermutation>();
    std::size_t n = degree(), blocks = n / 8;
    // entry 8 B + lane has the exponent 2 brv(B) + 1 + brv3(lane) N/4
    for (std::size_t b = 0; b < blocks; ++b) {
        u64 exponent = galois * (2 * bit_reverse(b, log_n_ - 3) + 1) & (2 * n - 1);
        u64 low = exponent & (n / 4 - 1), high = exponent >> (log_n_ - 2);
        owned->source.push_back(static_cast<std::uint32_t>(8 * bit_reverse(low >> 1, log_n_ - 3) + high));
    }
    for (u64 high = 0; high < 8; ++high)
        for (u64 lane = 0; lane < 8; ++lane)
            owned->orders.push_back(bit_reverse((high + galois * bit_reverse(lane, 3)) & 7, 3));
    owned->plan = PermutePlan{blocks, owned->source.data(), owned->orders.data()};
    return owned->plan;
}

void HostRing::automorphism(const i64* x, i64* out, std::size_t rows, u64 galois) const {
    std::size_t n = degree();
    if (n < 8) {
        for (std::size_t row = 0; row < rows; ++row)
            for (std::size_t j = 0; j < n; ++j) {
                u64 exponent = galois * (2 * bit_reverse(j, log_n_) + 1) & (2 * n - 1);
                out[row * n + j] = x[row * n + bit_reverse(exponent >> 1, log_n_)];
            }
        return;
    }
    const PermutePlan& order = permutation(galois);
    for_rows(1, rows, [&](std::size_t row, std::size_t) { kernels_->permute(x + row * n, order, out + row * n); });
}

void HostRing::automorphism_coefficients(const i64* x, i64* out, std::size_t outer, const Index& limbs,
                                     u64 galois) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        const i64* from = x + (o * limbs.size() + l) * n;
        i64* to = out + (o * limbs.size() + l) * n;
        i64 q = static_cast<i64>(limbs_[limbs[l]].m.q);
        for (u64 i = 0; i < n; ++i) {
            u64 k = (i * galois) & (2 * n - 1);
            i64 value = from[i];
            to[k & (n - 1)] = k < n || value == 0 ? value : q - value;
        }
    });
}

}  // namespace aegis
