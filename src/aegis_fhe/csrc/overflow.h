// The overflow count v = round(sum_i y_i / q_i) of a basis conversion, for the integer paths.
#pragma once

#include "kernels.h"

namespace aegis {
namespace {

// y: [source][kWidth], with room for one more row, which receives v.
template <std::size_t kWidth>
void count_overflow(const ConvertPlan& plan, u64* y) {
    double estimate[kWidth] = {};
    for (std::size_t i = 0; i < plan.sources; ++i)
        for (std::size_t j = 0; j < kWidth; ++j)
            estimate[j] += static_cast<double>(y[i * kWidth + j]) * plan.source[i]->m.q_inverse;
    for (std::size_t j = 0; j < kWidth; ++j) {
        u64 below = static_cast<u64>(estimate[j]);
        double distance = estimate[j] - static_cast<double>(below) - 0.5;
        bool unsure = distance < kOverflowMargin && distance > -kOverflowMargin;
        y[plan.sources * kWidth + j] = unsure ? exact_overflow(plan, y + j, kWidth, estimate[j]) : below + (distance > 0);
    }
}

}  // namespace
}  // namespace aegis
