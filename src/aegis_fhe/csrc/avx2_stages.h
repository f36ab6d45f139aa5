// Negacyclic transforms in doubles, radix 4: what both directions share. Included by avx2.cpp only.
//
// Order of work for N = 2^16: four stages on strips of 16 rows (one trip through memory), then blocks of 4096 and of
// 1024 values, whose stages run in the first-level cache. More stages per trip do not pay: the kernels are limited by the
// length of their dependency chains, not by loads and stores. Values are signed and unreduced; Bounds decides, from the
// exact growth for this q, before which stages the unmultiplied half must be reduced.
//
// Tables (N doubles, centred): psi^brv(k) for k < N/4; then, for the last two stages of each 16-point group, the
// twiddles of distance 2 (4 groups) and of distance 1 (its 4 even groups, its 4 odd groups): 12 doubles.
#pragma once

#include "avx2_lanes.h"
#include "kernels.h"

namespace aegis {
namespace {

constexpr int kStripStages = 4;        // stages done on strips of 16 rows
constexpr int kMinStripLog = 14;       // from this degree on
constexpr std::size_t kStripWidth = 64;
constexpr int kSmallLog = 10;          // blocks of this size and below are finished pass by pass

void build_table(const Modulus& m, const u64* powers, int log_n, double* table) {
    std::size_t n = std::size_t{1} << log_n;
    auto value = [&](std::size_t k) { return centred_constant(powers[k], m.q); };
    for (std::size_t k = 0; k < n / 4; ++k) table[k] = value(k);
    for (std::size_t g = 0; g < n / 16; ++g) {
        double* t = table + n / 4 + 12 * g;
        for (std::size_t i = 0; i < 4; ++i) *t++ = value(n / 4 + 4 * g + i);
        for (std::size_t i = 0; i < 4; ++i) *t++ = value(n / 2 + 8 * g + 2 * i);
        for (std::size_t i = 0; i < 4; ++i) *t++ = value(n / 2 + 8 * g + 2 * i + 1);
    }
}

void build(const Modulus& m, const Roots& roots, u64* forward, u64* inverse) {
    build_table(m, roots.powers, roots.log_n, reinterpret_cast<double*>(forward));
    build_table(m, roots.inverse_powers, roots.log_n, reinterpret_cast<double*>(inverse));
}

struct Twiddles {
    V first, second, third;  // stage of the larger distance; even and odd group of the smaller
};

AEGIS_HD Twiddles broadcast(const double* table, std::size_t groups, std::size_t g) {
    return {all(table[groups + g]), all(table[2 * (groups + g)]), all(table[2 * (groups + g) + 1])};
}

// Four cache lines, `stride` values apart. May point past the end of a row: a prefetch never faults.
template <class T>
AEGIS_HD void prefetch_rows(const T* p, std::size_t stride) {
    for (std::size_t i = 0; i < 4; ++i) _mm_prefetch(reinterpret_cast<const char*>(p + i * stride), _MM_HINT_T0);
}

// An odd number of stages has one radix-2 pass, where the blocks begin.
int single_stage(int log_n) { return (log_n & 1) == 0 ? -1 : log_n >= kMinStripLog ? kStripStages : 0; }

// Which pairs of stages reduce: bit s is set when the pass that starts at stage s does.
struct Bounds {
    unsigned reduce_mask = 0;
    double last;  // bound of the result
    Bounds(double q, int log_n, int first_single) {
        double a = q;
        for (int s = 0; s < log_n;) {
            int stages = s == first_single ? 1 : 2;
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

// How much of a pass's output is reduced: nothing, the double sum, or every value that is not a product.
enum class Reduce { kNone, kSum, kBoth };

// The reductions of each pass, by the log2 of the block size that it completes. Every pass needs 4A <= 2^53: for q close
// to 2^50 and kBoth each time, A grows as 1, 1.25, 1.44, ... q towards 2q, and is 1.93 q after the 10 passes of N = 2^20.
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
