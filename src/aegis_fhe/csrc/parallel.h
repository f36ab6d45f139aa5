// Loops over rows, spread over threads. Rows of the same modulus are neighbours in time, so that its twiddle table is
// read from memory once.
#pragma once

#include <cstddef>

#include "dispatch.h"

namespace aegis {
namespace {

// run(limb, outer) for every row, limb-major.
template <class F>
void for_rows(std::size_t outer, std::size_t limbs, F run) {
    [[maybe_unused]] int threads = get_threads();
    std::size_t tasks = outer * limbs;
#pragma omp parallel for num_threads(threads) if (threads > 1 && tasks > 1) schedule(static)
    for (std::size_t t = 0; t < tasks; ++t) run(t / outer, t % outer);
}

}  // namespace
}  // namespace aegis
