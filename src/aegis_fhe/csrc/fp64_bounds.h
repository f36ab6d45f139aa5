// When lazily reduced doubles must be reduced, from the exact growth for this q. Included by the path files only.
#pragma once

#include "fp64.h"

namespace aegis {
namespace {

// Which pairs of forward stages reduce: bit s is set when the pass that starts at stage s does.
struct ForwardBounds {
    unsigned reduce_mask = 0;
    double last;  // bound of the result
    ForwardBounds(double q, int log_n, int single) {
        double a = q;
        for (int s = 0; s < log_n;) {
            int stages = s == single ? 1 : 2;
            if (grow(a, a, q, stages) > kExact) {
                reduce_mask |= 1u << s;
                a = grow(0.5 * q + 1, a, q, stages);
            } else {
                a = grow(a, a, q, stages);
            }
            s += stages;
        }
        last = a;
    }
    bool operator[](int s) const { return (reduce_mask >> s) & 1; }

  private:
    // kept: bound of the unmultiplied half; a: of the multiplied half
    static double grow(double kept, double a, double q, int stages) {
        double after = kept + product_bound(a, q);
        return stages == 1 ? after : after + product_bound(after, q);
    }
};

// How much of an inverse pass's output is reduced: nothing, the double sum, or every value that is not a product.
enum class Reduce { kNone, kSum, kBoth };

// The reductions of each pass, by the log2 of the block size that it completes. Every pass needs 4A <= 2^53: for q
// close to 2^50 and kBoth each time, A grows as 1, 1.25, 1.44, ... q towards 2q, and is 1.93 q after the 10 passes of
// N = 2^20.
struct InverseBounds {
    Reduce passes[32] = {};
    bool small;  // the products of the last pass stay in (-q, q)
    InverseBounds(double q, int log_n, int single) {
        double a = q;
        for (int size = 0; size < log_n;) {
            if (size + 1 == single) {
                size += 1;
                a = product_bound(2 * a, q);  // the sum is reduced, see inverse_pass2
                continue;
            }
            size += 2;
            small = product_bound(4 * a, q) < q;
            double product = product_bound(2 * a, q), difference = product_bound(4 * a, q);
            double partly = 2 * product > difference ? 2 * product : difference;
            if (16 * a <= kExact) {
                passes[size] = Reduce::kNone;
                a = 4 * a > partly ? 4 * a : partly;
            } else if (4 * partly <= kExact) {
                passes[size] = Reduce::kSum;
                a = partly;
            } else {
                passes[size] = Reduce::kBoth;
                double twice = product_bound(2 * product, q);
                a = difference > twice ? difference : twice;
            }
        }
    }
};

}  // namespace
}  // namespace aegis
