// The forward transform of avx2_stages.h: butterflies x +- w y. Included by avx2.cpp only.
#pragma once

#include "avx2_stages.h"

namespace aegis {
namespace {

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

template <bool kReduce>
void forward_pass4(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t count,
                   std::size_t t) {
    for (std::size_t last = g + count; g < last; ++g, a += 4 * t) {
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
template <bool kReduce>
void forward_strips(const Field f, const double* table, int log_n, const i64* in, double* out) {
    std::size_t row = std::size_t{1} << (log_n - kStripStages);
    alignas(64) double strip[16 * kStripWidth];
    Twiddles w = broadcast(table, 1, 0);
    for (std::size_t at = 0; at < row; at += kStripWidth) {
        for (std::size_t r = 0; r < 4; ++r)
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const i64* p = in + r * row + at + j;
                if (j % 8 == 0) prefetch_rows(p + kStripWidth, 4 * row);
                V x0 = load_residues(p), x1 = load_residues(p + 4 * row);
                V x2 = load_residues(p + 8 * row), x3 = load_residues(p + 12 * row);
                forward4<false>(f, w, x0, x1, x2, x3);
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
                forward4<kReduce>(f, v, x0, x1, x2, x3);
                double* p = out + 4 * g * row + at + j;
                if (j % 8 == 0) prefetch_rows(p + kStripWidth, row);
                store(p, x0);
                store(p + row, x1);
                store(p + 2 * row, x2);
                store(p + 3 * row, x3);
            }
        }
    }
}

// The last two stages of `count` 16-point groups, group g first.
template <bool kReduce>
void forward_last(const Field f, const double* table, std::size_t n, double* a, std::size_t g, std::size_t count) {
    const double* t = table + n / 4 + 12 * g;
    for (std::size_t i = 0; i < count; ++i, a += 16, t += 12) {
        V x0, x1, x2, x3;
        load_transposed(a, x0, x1, x2, x3);
        forward4<kReduce>(f, {load(t), load(t + 4), load(t + 8)}, x0, x1, x2, x3);
        store_transposed(a, x0, x1, x2, x3);
    }
}

struct StoreResidues {
    i64* out;
    void operator()(const Field f, const double* a, std::size_t at, std::size_t count) const {
        for (std::size_t j = 0; j < count; j += 4) store_words(out + at + j, to_words(f.canon(load(a + at + j))));
    }
};

// The same for |x| < 2^53 / 6: x/q + 1/(2q) is then never rounded across an integer, so its floor is that of x/q.
struct StoreSmallResidues {
    i64* out;
    void operator()(const Field f, const double* a, std::size_t at, std::size_t count) const {
        V half = all(0.5) * f.q_inverse;
        for (std::size_t j = 0; j < count; j += 4) {
            V x = load(a + at + j);
            V quotient = _mm256_floor_pd(fused(x, f.q_inverse, half));
            store_words(out + at + j, to_words(Avx2Lanes::fused_from(x, quotient, f.q)));
        }
    }
};

// (x - value) factor
struct SubtractScale {
    const i64* x;
    double factor;
    i64* out;
    void operator()(const Field f, const double* a, std::size_t at, std::size_t count) const {
        V by = all(factor);
        for (std::size_t j = 0; j < count; j += 4) {
            V difference = load_residues(x + at + j) - f.reduce(load(a + at + j));  // < 3/2 q
            store_words(out + at + j, to_words(lift(f.mul(difference, by), f.q)));
        }
    }
};

template <class Finish>
struct Forward {
    const Field& f;
    const double* table;
    int log_n;
    double* a;
    const Bounds& reduce;
    const Finish& finish;

    // One pass (two stages, or one for an odd size) over `count` neighbouring groups of stage s.
    void pass(int log_size, int s, std::size_t g, std::size_t count) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s;
        if ((log_size & 1) == 0) {
            std::size_t t = std::size_t{1} << (log_size - 2);
            reduce[s] ? forward_pass4<true>(f, table, p, groups, g, count, t)
                      : forward_pass4<false>(f, table, p, groups, g, count, t);
            return;
        }
        std::size_t t = std::size_t{1} << (log_size - 1);
        for (std::size_t i = 0; i < count; ++i, p += 2 * t)
            reduce[s] ? forward_pass2<true>(f, table, p, groups, g + i, t)
                      : forward_pass2<false>(f, table, p, groups, g + i, t);
    }

    // Group g of stage s: its 2^log_size values from there to the end.
    void block(int log_size, int s, std::size_t g) const {
        int stages = (log_size & 1) == 0 ? 2 : 1;
        if (log_size > kSmallLog) {
            pass(log_size, s, g, 1);
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                block(log_size - stages, s + stages, (g << stages) + i);
            return;
        }
        int size = log_size;
        while (size > 2) {
            pass(size, s, g, std::size_t{1} << (log_size - size));
            size -= stages, s += stages, g <<= stages;
            stages = 2;
        }
        std::size_t n = std::size_t{1} << log_n, at = g * 4, count = std::size_t{1} << log_size;
        reduce[log_n - 2] ? forward_last<true>(f, table, n, a + at, at / 16, count / 16)
                          : forward_last<false>(f, table, n, a + at, at / 16, count / 16);
        finish(f, a, at, count);
    }
};

template <class Finish>
void forward_transform(const Limb& limb, int log_n, const i64* in, double* a, const Bounds& bounds,
                       const Finish& finish) {
    Field f(limb.m);
    const double* table = static_cast<const double*>(limb.forward);
    Forward<Finish> work{f, table, log_n, a, bounds, finish};
    if (log_n < kMinStripLog) {
        for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += 4) store(a + j, load_residues(in + j));
        work.block(log_n, 0, 0);
        return;
    }
    bounds[2] ? forward_strips<true>(f, table, log_n, in, a) : forward_strips<false>(f, table, log_n, in, a);
    for (std::size_t g = 0; g < 16; ++g) work.block(log_n - kStripStages, kStripStages, g);
}

void ntt(const Limb& limb, int log_n, const i64* in, i64* out) {
    Bounds bounds(limb.m.q_double, log_n, single_stage(log_n));
    double* a = reinterpret_cast<double*>(out);
    bounds.last < kExact / 6 ? forward_transform(limb, log_n, in, a, bounds, StoreSmallResidues{out})
                             : forward_transform(limb, log_n, in, a, bounds, StoreResidues{out});
}

void ntt_subtract_scale(const Limb& limb, int log_n, i64* coefficients, const i64* x, u64 factor, i64* out) {
    Bounds bounds(limb.m.q_double, log_n, single_stage(log_n));
    forward_transform(limb, log_n, coefficients, reinterpret_cast<double*>(coefficients), bounds,
                      SubtractScale{x, centred_constant(factor, limb.m.q), out});
}

}  // namespace
}  // namespace aegis
