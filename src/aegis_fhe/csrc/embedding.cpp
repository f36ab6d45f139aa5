#include "embedding.h"

#include <cmath>
#include <utility>

#include "dispatch.h"
#include "buffer.h"
#include "roots.h"

namespace aegis {
namespace {

constexpr std::size_t kBatchWords = 1 << 12;  // of work below which one more thread costs more than it saves

// work(k, x, y) for each of `count` vectors of n complex values, with memory for two split rows.
template <class Work>
void for_vectors(std::size_t count, std::size_t n, const Work& work) {
    [[maybe_unused]] int threads = get_threads();
#pragma omp parallel num_threads(threads) if (threads > 1 && count > 1 && count * n > kBatchWords)
    {
        Buffer memory(4 * n);
        double* x = reinterpret_cast<double*>(memory.data());
#pragma omp for schedule(static)
        for (std::size_t k = 0; k < count; ++k) work(k, x, x + 2 * n);
    }
}

}  // namespace

Embedding::Embedding(int log_slots, const Loops* loops) : loops_(loops), half_root_(std::sqrt(0.5)) {
    if (log_slots < 2) return;
    const std::size_t order = std::size_t{4} << log_slots, longest = order / 16;
    const RootsOfUnity root(log_slots + 2);
    roots_.resize(6 * (2 * longest - 1));
    for (std::size_t length = 1; length <= longest; length *= 2) {
        double* to = roots_.data() + 6 * (length - 1);
        std::size_t exponent = order / (16 * length);  // of w_j(4L), times 5 for the next j
        for (std::size_t j = 0; j < length; ++j, exponent = exponent * 5 % order)
            for (std::size_t power = 1; power <= 3; ++power) {
                Root value = root(power * exponent % order);
                to[(2 * power - 2) * length + j] = value.re;
                to[(2 * power - 1) * length + j] = value.im;
            }
    }
}

const double* Embedding::interpolate(std::size_t n, double* x, double* y) const {
    std::size_t length = n / 4;
    for (; length >= 1; length /= 4, std::swap(x, y)) {
        loops_->interpolate4(x, y, n, length, roots(length));
        if (length == 2) break;
    }
    if (length != 2 && n != 2) return x;
    if (length == 2) std::swap(x, y);
    loops_->interpolate2(x, y, n, half_root_);
    return y;
}

const double* Embedding::evaluate(std::size_t n, bool odd, const double* from, double* x, double* y) const {
    if (odd) {
        loops_->evaluate2(from, x, n, half_root_);
        from = x;
    }
    for (std::size_t length = odd ? 2 : 1; length < n; length *= 4, std::swap(x, y)) {
        loops_->evaluate4(from, y, n, length, roots(length));
        from = y;
    }
    return from;
}

double Embedding::encode(const double* values, int log_n, double factor, i64* out,
                         const std::vector<std::size_t>& rows, std::size_t step) const {
    const std::size_t n = std::size_t{1} << log_n, count = rows.size();
    std::vector<double> largest(count);
    for_vectors(count, n, [&](std::size_t k, double* x, double* y) {
        loops_->enter(values + 2 * n * k, n, x);
        largest[k] = loops_->round(interpolate(n, x, y), 2 * n, factor, out + 2 * n * step * rows[k], step);
    });
    double result = 0;
    for (double magnitude : largest) result = std::isnan(result) || magnitude <= result ? result : magnitude;
    return result;
}

void Embedding::decode(const double* coefficients, std::size_t count, int log_n, double factor, double* out) const {
    const std::size_t n = std::size_t{1} << log_n;
    for_vectors(count, n, [&](std::size_t k, double* x, double* y) {
        loops_->leave(evaluate(n, log_n % 2, coefficients + 2 * n * k, x, y), n, factor, out + 2 * n * k);
    });
}

}  // namespace aegis
