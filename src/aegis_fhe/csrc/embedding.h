// The canonical embedding of CKKS between slots and coefficients, in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "loops.h"

namespace aegis {

// Roots for all sizes n up to 2^log_slots; immutable.
class Embedding {
  public:
    Embedding(int log_slots, const Loops* loops);

    const char* path() const { return loops_->name; }

    // out[rows[k]][i step] = round(factor c_i), i < 2n: the polynomials with the slots values[k] (n complex numbers),
    // n = 2^log_n; out has rows of 2n step words. Returns the largest |factor c_i| of all, NaN when there is one; the
    // outputs are of use only when it is below 2^62.
    double encode(const double* values, int log_n, double factor, i64* out, const std::vector<std::size_t>& rows,
                  std::size_t step) const;

    // out [count][n] = factor times the n complex slots of the polynomials coefficients [count][2n].
    void decode(const double* coefficients, std::size_t count, int log_n, double factor, double* out) const;

  private:
    // n times the coefficients of the split slots in x; and the slots of the split coefficients in `from`. x and y are
    // scratch of 2n doubles, the result lies in one of them or in `from`.
    const double* interpolate(std::size_t n, double* x, double* y) const;
    const double* evaluate(std::size_t n, bool odd, const double* from, double* x, double* y) const;
    const double* roots(std::size_t length) const { return roots_.data() + 6 * (length - 1); }

    const Loops* loops_;
    std::vector<double> roots_;  // for L = 1, 2, 4 ...: v, v^2, v^3 of j < L, each L real then L imaginary parts
    double half_root_;           // sqrt(1/2)
};

}  // namespace aegis
