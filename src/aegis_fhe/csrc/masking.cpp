// From signed coefficients to residues in the NTT domain, and the masked rows of ciphertexts and keys: row by row, so
// that a row of N words stays in cache through all its steps.
#include <algorithm>

#include "parallel.h"
#include "host_ring.h"
#include "sampling.h"

namespace aegis {
namespace {

constexpr std::size_t kBlock = 512;  // 4 KiB of each operand: they stay in the first-level cache

}  // namespace

void HostRing::from_signed(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        loops_->from_signed(coefficients + o * n, n, limbs_[limbs[l]].m, out + (o * limbs.size() + l) * n);
    });
}

void HostRing::from_signed_ntt(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        const Limb& limb = limbs_[limbs[l]];
        i64* row = out + (o * limbs.size() + l) * n;
        loops_->from_signed(coefficients + o * n, n, limb.m, row);
        kernels_->ntt(limb, log_n_, row, row);
    });
}

void HostRing::lift_row(const i64* message, const i64* source, u64 factor, i64* row, int index) const {
    const Limb& limb = limbs_[index];
    std::size_t n = degree();
    loops_->from_signed(message, n, limb.m, row);
    kernels_->ntt(limb, log_n_, row, row);
    if (source != nullptr) add_scaled(limb, source, factor, row, n);
}

std::size_t HostRing::mask_row(const u64* words, std::size_t count, const i64* secret, i64* row, std::size_t wanted,
                           int index) const {
    const Modulus& m = limbs_[index].m;
    alignas(64) i64 mask[kBlock];
    std::size_t done = 0;
    for (std::size_t at = 0; at < count && done < wanted;) {
        std::size_t block = std::min({kBlock, count - at, wanted - done});
        std::size_t accepted = sample_uniform(*loops_, words + at, block, m.q, mask, block);
        loops_->subtract_product(mask, secret + done, accepted, m, row + done);
        at += block;
        done += accepted;
    }
    return done;
}

}  // namespace aegis
