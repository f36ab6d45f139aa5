// The inverse transform of avx2_stages.h: butterflies x + y, (x - y) w. Included by avx2.cpp only.
#pragma once

#include "avx2_stages.h"

namespace aegis {
namespace {

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

template <Reduce kReduce>
void inverse_pass4(const Field f, const double* table, double* a, std::size_t groups, std::size_t g, std::size_t count,
                   std::size_t t) {
    for (std::size_t last = g + count; g < last; ++g, a += 4 * t) {
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

// The first two stages (distance 1 and 2) of `count` 16-point groups, group g first.
template <Reduce kReduce>
void inverse_first(const Field f, const double* table, std::size_t n, const i64* in, double* a, std::size_t g,
                   std::size_t count) {
    const double* t = table + n / 4 + 12 * g;
    for (std::size_t j = 0; j < 16 * count; j += 4) store(a + j, load_residues(in + j));
    for (std::size_t i = 0; i < count; ++i, a += 16, t += 12) {
        V x0, x1, x2, x3;
        load_transposed(a, x0, x1, x2, x3);
        inverse4<kReduce>(f, {load(t), load(t + 4), load(t + 8)}, x0, x1, x2, x3);
        store_transposed(a, x0, x1, x2, x3);
    }
}

struct Inverse {
    const Field& f;
    const double* table;
    int log_n;
    const i64* in;
    double* a;
    const InverseBounds& reduce;

    void pass(int log_size, int s, std::size_t g, std::size_t count) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s, t = std::size_t{1} << (log_size - 2);
        if (log_size & 1) {
            for (std::size_t i = 0; i < count; ++i) inverse_pass2(f, table, p + 4 * t * i, groups, g + i, 2 * t);
            return;
        }
        switch (reduce.passes[log_size]) {
            case Reduce::kNone: inverse_pass4<Reduce::kNone>(f, table, p, groups, g, count, t); break;
            case Reduce::kSum: inverse_pass4<Reduce::kSum>(f, table, p, groups, g, count, t); break;
            case Reduce::kBoth: inverse_pass4<Reduce::kBoth>(f, table, p, groups, g, count, t); break;
        }
    }

    void first(std::size_t at, std::size_t size) const {
        std::size_t n = std::size_t{1} << log_n, g = at / 16, count = size / 16;
        switch (reduce.passes[2]) {
            case Reduce::kNone: inverse_first<Reduce::kNone>(f, table, n, in + at, a + at, g, count); break;
            case Reduce::kSum: inverse_first<Reduce::kSum>(f, table, n, in + at, a + at, g, count); break;
            case Reduce::kBoth: inverse_first<Reduce::kBoth>(f, table, n, in + at, a + at, g, count); break;
        }
    }

    // The mirror image of Forward::block.
    void block(int log_size, int s, std::size_t g) const {
        if (log_size > kSmallLog) {
            int stages = (log_size & 1) == 0 ? 2 : 1;
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                block(log_size - stages, s + stages, (g << stages) + i);
            pass(log_size, s, g, 1);
            return;
        }
        first(g << log_size, std::size_t{1} << log_size);
        for (int size = 4; size <= log_size + (log_size & 1); size += 2) {
            int actual = size > log_size ? log_size : size, below = log_size - actual;
            pass(actual, s + below, g << below, std::size_t{1} << below);
        }
    }
};

// The last four stages (0-3) on strips of 16 rows, with the factor 1/N.
template <Reduce kReduce, bool kSmall>
void inverse_strips(const Field f, const Limb& limb, int log_n, const double* a, i64* out) {
    const double* table = static_cast<const double*>(limb.inverse);
    std::size_t row = std::size_t{1} << (log_n - kStripStages);
    alignas(64) double strip[16 * kStripWidth];
    V second = all(table[2]), third = all(table[3]);
    V scale = all(centred_constant(limb.n_inverse, limb.m.q)), last = all(centred_constant(limb.n_inverse_last, limb.m.q));
    auto finish = [&f](V x) { return kSmall ? lift(x, f.q) : f.canon(x); };
    for (std::size_t at = 0; at < row; at += kStripWidth) {
        for (std::size_t g = 0; g < 4; ++g) {
            Twiddles w = broadcast(table, 4, g);
            for (std::size_t j = 0; j < kStripWidth; j += 4) {
                const double* p = a + 4 * g * row + at + j;
                if (j % 8 == 0) prefetch_rows(p + kStripWidth, row);
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
                store_words(p, to_words(finish(f.mul(s0 + s1, scale))));
                store_words(p + 4 * row, to_words(finish(f.mul(d0 + d1, scale))));
                store_words(p + 8 * row, to_words(finish(f.mul(s0 - s1, last))));
                store_words(p + 12 * row, to_words(finish(f.mul(d0 - d1, last))));
            }
    }
}

template <bool kSmall>
void inverse_strips_with(const Field& f, const Limb& limb, int log_n, const double* a, i64* out, Reduce reduce) {
    switch (reduce) {
        case Reduce::kNone: inverse_strips<Reduce::kNone, kSmall>(f, limb, log_n, a, out); break;
        case Reduce::kSum: inverse_strips<Reduce::kSum, kSmall>(f, limb, log_n, a, out); break;
        case Reduce::kBoth: inverse_strips<Reduce::kBoth, kSmall>(f, limb, log_n, a, out); break;
    }
}

void intt(const Limb& limb, int log_n, const i64* in, i64* out) {
    Field f(limb.m);
    const double* table = static_cast<const double*>(limb.inverse);
    double* a = reinterpret_cast<double*>(out);
    bool strips = log_n >= kMinStripLog;
    int single = single_stage(log_n);
    InverseBounds bounds(limb.m.q_double, log_n, single < 0 ? -1 : log_n - single);
    Inverse work{f, table, log_n, in, a, bounds};
    if (strips) {
        for (std::size_t g = 0; g < 16; ++g) work.block(log_n - kStripStages, kStripStages, g);
        bounds.small ? inverse_strips_with<true>(f, limb, log_n, a, out, bounds.passes[log_n - 2])
                     : inverse_strips_with<false>(f, limb, log_n, a, out, bounds.passes[log_n - 2]);
        return;
    }
    work.block(log_n, 0, 0);
    V scale = all(centred_constant(limb.n_inverse, limb.m.q));
    for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += 4)
        store_words(out + j, to_words(f.canon(f.mul(load(a + j), scale))));
}

}  // namespace
}  // namespace aegis
