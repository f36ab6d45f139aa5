// When the lazily reduced doubles of a device's transforms must be reduced, from the exact growth for this q. A value
// that is multiplied must not exceed 2^52, so that the quotient of its product can be rounded by adding 1.5 2^52.
#pragma once

#include "fp64.h"

namespace aegis {
namespace device {

constexpr double kProductLimit = kExact / 2;  // of a value that is multiplied

// Bit s: stage s reduces. Stage s of log_n joins entries N / 2^(s+1) apart; the inverse begins with the last one.
struct Ranges {
    unsigned forward = 0;  // the unmultiplied half, before the stage
    unsigned inverse = 0;  // the sum, after the stage

    Ranges(double q, int log_n) {
        double a = q;  // bound of all values
        for (int s = 0; s < log_n; ++s) {
            double product = product_bound(a, q), grown = a + product;
            if (grown > kProductLimit) {
                forward |= 1u << s;
                grown = 0.5 * q + 1 + product;
            }
            a = grown;
        }
        a = q;
        for (int s = log_n; s-- > 1;) {
            double product = product_bound(2 * a, q), sum = 2 * a;
            if (2 * sum > kProductLimit) {
                inverse |= 1u << s;
                sum = 0.5 * q + 1;
            }
            a = sum > product ? sum : product;
        }
    }
};

}  // namespace device
}  // namespace aegis
