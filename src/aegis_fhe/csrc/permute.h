// The permutation that an automorphism X -> X^g makes of NTT entries, by blocks of 8 entries.
//
// Entry j belongs to the root psi^(2 brv(j) + 1), so entry j of p(X^g) is the entry of p whose exponent is
// g (2 brv(j) + 1) mod 2N. Low bits of a product depend on low bits only, and they are the high bits of the index:
// aligned blocks go to aligned blocks. Within a block of 8 only three bits of the exponent vary, in steps of g N/4, so
// there are 8 orders of lanes in all.
#pragma once

#include "modular.h"

namespace aegis {

struct PermutePlan {
    std::size_t blocks;           // N / 8
    const std::uint32_t* source;  // [blocks]  8 (source block) + order of its lanes
    const u64* orders;            // [8][8]    which lane of the source block each lane takes
};

namespace {

// run(to, x) for every entry of the permuted row.
template <class Put>
void permute_each(const i64* in, const PermutePlan& plan, const Put& put) {
    for (std::size_t b = 0; b < plan.blocks; ++b) {
        const i64* from = in + (plan.source[b] & ~7u);
        const u64* order = plan.orders + 8 * (plan.source[b] & 7);
        for (std::size_t lane = 0; lane < 8; ++lane) put(8 * b + lane, from[order[lane]]);
    }
}

[[maybe_unused]] void permute_row(const i64* in, const PermutePlan& plan, i64* out) {
    permute_each(in, plan, [out](std::size_t j, i64 x) { out[j] = x; });
}

[[maybe_unused]] void permute_row_add(const Modulus& m, const i64* in, const PermutePlan& plan, i64* out) {
    i64 q = static_cast<i64>(m.q);
    permute_each(in, plan, [out, q](std::size_t j, i64 x) {
        i64 sum = out[j] + x;
        out[j] = sum >= q ? sum - q : sum;
    });
}

}  // namespace
}  // namespace aegis
