// Exact centred basis conversion as a tiled matrix product (see ConvertPlan in ../kernels.h): a block takes some
// coefficients of all sources, in shared memory, and a thread sums four targets of one of them at a time.
//
// Memory: 8 bytes for each source and each target of a coefficient; the weights lie in the first cache. Arithmetic: a
// product of 6 operations for each source (none where the rows are scaled already), and 3 + 4 for each pair of source
// and target: below the pace of memory from about ten sources on.
#pragma once

#include "device/arithmetic.h"
#include "device/block.h"
#include "rounding.h"

namespace aegis {
namespace device {

template <class A>
void convert(const Block& block, const ConvertJob& job) {
    using Operand = typename A::Operand;
    const Plan& plan = job.plan;
    const std::size_t n = std::size_t{1} << job.log_n, points = job.points, terms = plan.sources + 1;
    const std::size_t first = block.x() * points;
    const u64* in = job.in.of(block.y()) + first;
    u64* out = job.out.of(block.y()) + first;
    Operand* y = block.shared<Operand>();  // [source, overflow][points]
    block.phase([&](std::size_t thread) {
        for (std::size_t j = thread; j < points; j += block.threads()) {
            double estimate = 0;
            for (std::size_t i = 0; i < plan.sources; ++i) {
                const Limb& limb = job.limbs[plan.source[i]];
                u64 value = in[i * n + j];
                if (!job.scaled) value = product(value, plan.hat_inverse[i], limb.m.q);
                y[i * points + j] = A::operand(value);
                estimate += static_cast<double>(value) * limb.m.q_inverse;
            }
            const u64 below = static_cast<u64>(estimate);
            const double distance = estimate - static_cast<double>(below) - 0.5;
            u64 overflow = below + (distance > 0 ? 1 : 0);
            if (distance < kOverflowMargin && distance > -kOverflowMargin)
                overflow = settled_overflow(plan.sources, plan.words, plan.product_words, plan.hat_words, below,
                                            [&](std::size_t i) { return static_cast<u64>(y[i * points + j]); });
            y[plan.sources * points + j] = A::operand(overflow);
        }
    });
    double bound = 0;
    for (std::size_t i = 0; i < plan.sources; ++i) {
        const double q = job.limbs[plan.source[i]].m.q_double;
        bound = q > bound ? q : bound;
    }
    const std::size_t groups = (plan.targets + kTargets - 1) / kTargets;
    block.alone([&](std::size_t thread) {
        for (std::size_t item = thread; item < groups * points; item += block.threads()) {
            const std::size_t j = item % points, target = item / points * kTargets;
            typename A::Accumulator sums[kTargets];
            AEGIS_UNROLL
            for (std::size_t r = 0; r < kTargets; ++r) sums[r] = A::zero(terms);
            for (std::size_t i = 0; i < terms; ++i) {
                const Operand value = y[i * points + j];
                AEGIS_UNROLL
                for (std::size_t r = 0; r < kTargets; ++r) {
                    const std::size_t t = target + r < plan.targets ? target + r : target;
                    A::add_product(sums[r], value, A::weight(plan, t * terms + i));
                }
            }
            AEGIS_UNROLL
            for (std::size_t r = 0; r < kTargets; ++r)
                if (target + r < plan.targets)
                    out[(target + r) * n + j] =
                        A::reduced(sums[r], terms, job.limbs[plan.target[target + r]], bound);
        }
    });
}

}  // namespace device
}  // namespace aegis
