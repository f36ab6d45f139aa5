// Negacyclic transforms in doubles, radix 4. Included by avx2.cpp only.
//
// Order of work for N = 2^16: four stages on strips of 16 rows (one trip through memory), then blocks of 4096 values
// down to 16 points, whose last four stages stay in registers. Values are signed and unreduced; Bounds decides, from
// the exact growth for this q, before which stages the unmultiplied half must be reduced.
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

// ---- forward: x +- w y ------------------------------------------------------------------------------------------

// In: |x_i| <= A. Out: A + R(A) + R(A + R(A)) where R is product_bound; with reduction q/2 replaces the first A.
template <bool kReduce>
AEGIS_HD void forward4(const Field& f, const Twiddles& w, V& x0, V& x1, V& x2, V& x3) {
    if (kReduce) {
        x0 = f.reduce(x0);
        x1 = f.reduce(x1);
    }
    V y2 = f.mul(x2, w.first), y3 = f.mul(x3, w.first);
    x2 = x0 - y2;
    x3 = x1 - y3;
    x0 = x0 + y2;
    x1 = x1 + y3;
    V y1 = f.mul(x1, w.second);
    y3 = f.mul(x3, w.third);
    x1 = x0 - y1;
    x0 = x0 + y1;
    x3 = x2 - y3;
    x2 = x2 + y3;
}

// Which pairs of stages reduce: bit s is set when the pass that starts at stage s does.
struct Bounds {
    unsigned reduce_mask = 0;
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
    }
    bool operator[](int s) const { return (reduce_mask >> s) & 1; }

  private:
    // kept: bound of the unmultiplied half; a: of the multiplied half
    static double grow(double kept, double a, double q, int stages) {
        double after = kept + product_bound(a, q);
        return stages == 1 ? after : after + product_bound(after, q);
    }
};

template <bool kReduce>
void forward_pass4(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t t) {
    Twiddles w = broadcast(table, groups, g);
    for (std::size_t j = 0; j < t; j += 4) {
        V x0 = load(a + j), x1 = load(a + j + t), x2 = load(a + j + 2 * t), x3 = load(a + j + 3 * t);
        forward4<kReduce>(f, w, x0, x1, x2, x3);
        store(a + j, x0);
        store(a + j + t, x1);
        store(a + j + 2 * t, x2);
        store(a + j + 3 * t, x3);
    }
}

template <bool kReduce>
void forward_pass2(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t t) {
    V w = all(table[groups + g]);
    for (std::size_t j = 0; j < t; j += 4) {
        V x = load(a + j), y = f.mul(load(a + j + t), w);
        if (kReduce) x = f.reduce(x);
        store(a + j, x + y);
        store(a + j + t, x - y);
    }
}

// Stages 0-3 for N >= 2^14: rows of N/16 values, in strips that stay in cache.
template <bool kReduce0, bool kReduce2>
void forward_strips(const Field f, const double* table, int log_n, const i64* in, double* out) {
    std::size_t row = std::size_t{1} << (log_n - kStripStages);
    alignas(64) double strip[16 * kStripWidth];
    Twiddles w = broadcast(table, 1, 0);
    for (std::size_t at = 0; at < row; at += kStripWidth) {
        for (std::size_t r = 0; r < 4; ++r)
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const i64* p = in + r * row + at + j;
                V x0 = load_residues(p), x1 = load_residues(p + 4 * row);
                V x2 = load_residues(p + 8 * row), x3 = load_residues(p + 12 * row);
                forward4<kReduce0>(f, w, x0, x1, x2, x3);
                double* s = strip + r * kStripWidth + j;
                store(s, x0);
                store(s + 4 * kStripWidth, x1);
                store(s + 8 * kStripWidth, x2);
                store(s + 12 * kStripWidth, x3);
            }
        for (std::size_t g = 0; g < 4; ++g) {
            Twiddles v = broadcast(table, 4, g);
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const double* s = strip + 4 * g * kStripWidth + j;
                V x0 = load(s), x1 = load(s + kStripWidth), x2 = load(s + 2 * kStripWidth), x3 = load(s + 3 * kStripWidth);
                forward4<kReduce2>(f, v, x0, x1, x2, x3);
                double* p = out + 4 * g * row + at + j;
                store(p, x0);
                store(p + row, x1);
                store(p + 2 * row, x2);
                store(p + 3 * row, x3);
            }
        }
    }
}

struct StoreResidues {
    i64* out;
    void operator()(const Field& f, std::size_t at, V x) const {
        store_words(out + at, to_words(f.canon(x)));
    }
};

// (x - value) factor
struct SubtractScale {
    const i64* x;
    V factor;
    i64* out;
    void operator()(const Field& f, std::size_t at, V value) const {
        V difference = load_residues(x + at) - f.reduce(value);  // < 3/2 q
        store_words(out + at, to_words(f.canon(f.mul(difference, factor))));
    }
};

// The last four stages of `count` 16-point groups.
template <bool kReduceA, bool kReduceB, class Finish>
void forward_last(const Field f, const double* table, std::size_t n, const double* a, std::size_t at, std::size_t count,
                  const Finish& finish) {
    for (std::size_t g = 0; g < count; ++g) {
        const double* p = a + at + 16 * g;
        const double* t = table + n / 4 + 12 * (at / 16 + g);
        V x0 = load(p), x1 = load(p + 4), x2 = load(p + 8), x3 = load(p + 12);
        forward4<kReduceA>(f, broadcast(table, n / 16, at / 16 + g), x0, x1, x2, x3);
        transpose(x0, x1, x2, x3);
        forward4<kReduceB>(f, {load(t), load(t + 4), load(t + 8)}, x0, x1, x2, x3);
        transpose(x0, x1, x2, x3);
        finish(f, at + 16 * g, x0);
        finish(f, at + 16 * g + 4, x1);
        finish(f, at + 16 * g + 8, x2);
        finish(f, at + 16 * g + 12, x3);
    }
}

template <class Finish>
struct Forward {
    const Field& f;
    const double* table;
    int log_n;
    double* a;
    Bounds reduce;
    const Finish& finish;

    void pass(int log_size, int s, std::size_t g) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s;
        if ((log_size & 1) == 0) {
            std::size_t t = std::size_t{1} << (log_size - 2);
            reduce[s] ? forward_pass4<true>(f, table, p, groups, g, t) : forward_pass4<false>(f, table, p, groups, g, t);
        } else {
            std::size_t t = std::size_t{1} << (log_size - 1);
            reduce[s] ? forward_pass2<true>(f, table, p, groups, g, t) : forward_pass2<false>(f, table, p, groups, g, t);
        }
    }

    void last(int log_size, std::size_t g) const {
        std::size_t n = std::size_t{1} << log_n, at = g << log_size, count = (std::size_t{1} << log_size) / 16;
        bool first = reduce[log_n - 4], second = reduce[log_n - 2];
        if (first)
            second ? forward_last<true, true>(f, table, n, a, at, count, finish)
                   : forward_last<true, false>(f, table, n, a, at, count, finish);
        else
            second ? forward_last<false, true>(f, table, n, a, at, count, finish)
                   : forward_last<false, false>(f, table, n, a, at, count, finish);
    }

    // Group g of stage s: 2^log_size values from there to the end.
    void block(int log_size, int s, std::size_t g) const {
        if (log_size > kSmallLog) {
            pass(log_size, s, g);
            int stages = (log_size & 1) == 0 ? 2 : 1;
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                block(log_size - stages, s + stages, (g << stages) + i);
            return;
        }
        int size = log_size, stage = s;
        while (size > 4) {
            int stages = (size & 1) == 0 ? 2 : 1;
            std::size_t groups = std::size_t{1} << (stage - s);
            for (std::size_t i = 0; i < groups; ++i) pass(size, stage, (g << (stage - s)) + i);
            size -= stages;
            stage += stages;
        }
        last(log_size, g);
    }
};

template <class Finish>
void forward_transform(const Limb& limb, int log_n, const i64* in, double* a, const Finish& finish) {
    Field f(limb.m);
    const double* table = static_cast<const double*>(limb.forward);
    bool strips = log_n >= kMinStripLog;
    // an odd number of stages: one radix-2 pass where the blocks begin
    int single = (log_n & 1) == 0 ? -1 : (strips ? kStripStages : 0);
    Forward<Finish> work{f, table, log_n, a, Bounds(limb.m.q_double, log_n, single), finish};
    if (!strips) {
        for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += 4) store(a + j, load_residues(in + j));
        work.block(log_n, 0, 0);
        return;
    }
    work.reduce[2] ? forward_strips<false, true>(f, table, log_n, in, a)
                   : forward_strips<false, false>(f, table, log_n, in, a);
    for (std::size_t g = 0; g < 16; ++g) work.block(log_n - kStripStages, kStripStages, g);
}

void ntt(const Limb& limb, int log_n, const i64* in, i64* out) {
    forward_transform(limb, log_n, in, reinterpret_cast<double*>(out), StoreResidues{out});
}

void ntt_subtract_scale(const Limb& limb, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out) {
    SubtractScale finish{x, all(centred_constant(factor, limb.m.q)), out};
    forward_transform(limb, log_n, coefficients, reinterpret_cast<double*>(coefficients), finish);
}

// ---- inverse: x + y, (x - y) w ----------------------------------------------------------------------------------

// How much of a pass's output is reduced: nothing, the double sum, or every value that is not a product.
enum class Reduce { kNone, kSum, kBoth };

// In: |x_i| <= A, 4A <= 2^53. Out: x0 4A, x1 2R(2A), x2 R(4A), x3 R(2R(2A)) before the reductions.
template <Reduce kReduce>
AEGIS_HD void inverse4(const Field& f, const Twiddles& w, V& x0, V& x1, V& x2, V& x3) {
    V s0 = x0 + x1, d0 = f.mul(x0 - x1, w.second);
    V s1 = x2 + x3, d1 = f.mul(x2 - x3, w.third);
    x0 = s0 + s1;
    x1 = d0 + d1;
    x2 = f.mul(s0 - s1, w.first);
    x3 = f.mul(d0 - d1, w.first);
    if (kReduce != Reduce::kNone) x0 = f.reduce(x0);
    if (kReduce == Reduce::kBoth) x1 = f.reduce(x1);
}

// The reductions of each pass, by the log2 of the block size that it completes.
struct InverseBounds {
    Reduce passes[32] = {};
    InverseBounds(double q, int log_n, int single) {
        double a = q;
        for (int size = 0; size < log_n;) {
            if (size + 1 == single) {
                size += 1;
                a = product_bound(2 * a, q);  // the sum is reduced, see inverse_pass2
                continue;
            }
            size += 2;
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

template <Reduce kReduce>
void inverse_pass4(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t t) {
    Twiddles w = broadcast(table, groups, g);
    for (std::size_t j = 0; j < t; j += 4) {
        V x0 = load(a + j), x1 = load(a + j + t), x2 = load(a + j + 2 * t), x3 = load(a + j + 3 * t);
        inverse4<kReduce>(f, w, x0, x1, x2, x3);
        store(a + j, x0);
        store(a + j + t, x1);
        store(a + j + 2 * t, x2);
        store(a + j + 3 * t, x3);
    }
}

// A single stage always reduces its sum: it occurs once, for odd log2 N.
void inverse_pass2(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t t) {
    V w = all(table[groups + g]);
    for (std::size_t j = 0; j < t; j += 4) {
        V x = load(a + j), y = load(a + j + t);
        store(a + j, f.reduce(x + y));
        store(a + j + t, f.mul(x - y, w));
    }
}

// The first four stages (distance 1, 2, 4, 8) of `count` 16-point groups.
template <Reduce kReduceA, Reduce kReduceB>
void inverse_first(const Field f, const double* table, std::size_t n, const i64* in, double* a, std::size_t at,
                   std::size_t count) {
    for (std::size_t g = 0; g < count; ++g) {
        const i64* p = in + at + 16 * g;
        double* to = a + at + 16 * g;
        const double* t = table + n / 4 + 12 * (at / 16 + g);
        V x0 = load_residues(p), x1 = load_residues(p + 4), x2 = load_residues(p + 8), x3 = load_residues(p + 12);
        transpose(x0, x1, x2, x3);
        inverse4<kReduceA>(f, {load(t), load(t + 4), load(t + 8)}, x0, x1, x2, x3);
        transpose(x0, x1, x2, x3);
        inverse4<kReduceB>(f, broadcast(table, n / 16, at / 16 + g), x0, x1, x2, x3);
        store(to, x0);
        store(to + 4, x1);
        store(to + 8, x2);
        store(to + 12, x3);
    }
}

struct Inverse {
    const Field& f;
    const double* table;
    int log_n;
    const i64* in;
    double* a;
    InverseBounds reduce;

    void pass(int log_size, int s, std::size_t g) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s, t = std::size_t{1} << (log_size - 2);
        if (log_size & 1) {
            inverse_pass2(f, table, p, groups, g, 2 * t);
            return;
        }
        switch (reduce.passes[log_size]) {
            case Reduce::kNone: inverse_pass4<Reduce::kNone>(f, table, p, groups, g, t); break;
            case Reduce::kSum: inverse_pass4<Reduce::kSum>(f, table, p, groups, g, t); break;
            case Reduce::kBoth: inverse_pass4<Reduce::kBoth>(f, table, p, groups, g, t); break;
        }
    }

    template <Reduce kA>
    void first_with(std::size_t at, std::size_t count) const {
        std::size_t n = std::size_t{1} << log_n;
        switch (reduce.passes[4]) {
            case Reduce::kNone: inverse_first<kA, Reduce::kNone>(f, table, n, in, a, at, count); break;
            case Reduce::kSum: inverse_first<kA, Reduce::kSum>(f, table, n, in, a, at, count); break;
            case Reduce::kBoth: inverse_first<kA, Reduce::kBoth>(f, table, n, in, a, at, count); break;
        }
    }

    void first(int log_size, std::size_t g) const {
        std::size_t at = g << log_size, count = (std::size_t{1} << log_size) / 16;
        switch (reduce.passes[2]) {
            case Reduce::kNone: first_with<Reduce::kNone>(at, count); break;
            case Reduce::kSum: first_with<Reduce::kSum>(at, count); break;
            case Reduce::kBoth: first_with<Reduce::kBoth>(at, count); break;
        }
    }

    // The mirror image of Forward::block.
    void block(int log_size, int s, std::size_t g) const {
        if (log_size > kSmallLog) {
            int stages = (log_size & 1) == 0 ? 2 : 1;
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                block(log_size - stages, s + stages, (g << stages) + i);
            pass(log_size, s, g);
            return;
        }
        first(log_size, g);
        for (int size = 6; size <= log_size + (log_size & 1); size += 2) {
            int actual = size > log_size ? log_size : size, stage = s + log_size - actual;
            std::size_t groups = std::size_t{1} << (stage - s);
            for (std::size_t i = 0; i < groups; ++i) pass(actual, stage, (g << (stage - s)) + i);
        }
    }
};

// The last four stages (0-3) on strips of 16 rows, with the factor 1/N.
template <Reduce kReduce>
void inverse_strips(const Field f, const Limb& limb, int log_n, const double* a, i64* out) {
    const double* table = static_cast<const double*>(limb.inverse);
    std::size_t row = std::size_t{1} << (log_n - kStripStages);
    alignas(64) double strip[16 * kStripWidth];
    V second = all(table[2]), third = all(table[3]);
    V scale = all(centred_constant(limb.n_inverse, limb.m.q)), last = all(centred_constant(limb.n_inverse_last, limb.m.q));
    for (std::size_t at = 0; at < row; at += kStripWidth) {
        for (std::size_t g = 0; g < 4; ++g) {
            Twiddles w = broadcast(table, 4, g);
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const double* p = a + 4 * g * row + at + j;
                V x0 = load(p), x1 = load(p + row), x2 = load(p + 2 * row), x3 = load(p + 3 * row);
                inverse4<kReduce>(f, w, x0, x1, x2, x3);
                double* s = strip + 4 * g * kStripWidth + j;
                store(s, x0);
                store(s + kStripWidth, x1);
                store(s + 2 * kStripWidth, x2);
                store(s + 3 * kStripWidth, x3);
            }
        }
        for (std::size_t r = 0; r < 4; ++r)
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const double* s = strip + r * kStripWidth + j;
                V x0 = load(s), x1 = load(s + 4 * kStripWidth);
                V x2 = load(s + 8 * kStripWidth), x3 = load(s + 12 * kStripWidth);
                V s0 = x0 + x1, d0 = f.mul(x0 - x1, second);
                V s1 = x2 + x3, d1 = f.mul(x2 - x3, third);
                i64* p = out + r * row + at + j;
                store_words(p, to_words(f.canon(f.mul(s0 + s1, scale))));
                store_words(p + 4 * row, to_words(f.canon(f.mul(d0 + d1, scale))));
                store_words(p + 8 * row, to_words(f.canon(f.mul(s0 - s1, last))));
                store_words(p + 12 * row, to_words(f.canon(f.mul(d0 - d1, last))));
            }
    }
}

void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
    Field f(limb.m);
    const double* table = static_cast<const double*>(limb.inverse);
    double* a = reinterpret_cast<double*>(out);
    bool strips = log_n >= kMinStripLog;
    int single = (log_n & 1) == 0 ? -1 : (strips ? log_n - kStripStages : log_n);
    Inverse work{f, table, log_n, in, a, InverseBounds(limb.m.q_double, log_n, single)};
    if (strips) {
        for (std::size_t g = 0; g < 16; ++g) work.block(log_n - kStripStages, kStripStages, g);
        switch (work.reduce.passes[log_n - 2]) {
            case Reduce::kNone: inverse_strips<Reduce::kNone>(f, limb, log_n, a, out); break;
            case Reduce::kSum: inverse_strips<Reduce::kSum>(f, limb, log_n, a, out); break;
            case Reduce::kBoth: inverse_strips<Reduce::kBoth>(f, limb, log_n, a, out); break;
        }
        return;
    }
    work.block(log_n, 0, 0);
    V scale = all(centred_constant(limb.n_inverse, limb.m.q));
    for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += 4)
        store_words(out + j, to_words(f.canon(f.mul(load(a + j), scale))));
}

}  // namespace
}  // namespace aegis
