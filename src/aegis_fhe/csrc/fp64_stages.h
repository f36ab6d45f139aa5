// Negacyclic transforms in doubles, radix 4: what both directions share. Included by the path files only.
//
// Order of work for N = 2^16: four stages on strips of 16 rows (one trip through memory), then blocks of 4096 and of
// 1024 values, whose stages run in the first-level cache, the last four of them in registers. The kernels are limited
// by the length of their dependency chains, not by loads and stores, so several butterflies run side by side and more
// stages per trip do not pay. Values are signed and unreduced; fp64_bounds.h decides before which stages the
// unmultiplied half must be reduced.
//
// Tables (N doubles, centred): psi^brv(k) for k < N/4; then, for the last two stages of each 4 * lanes points, the
// twiddle vectors of distance 2 and of distance 1 (even groups, odd groups): 3 * lanes doubles.
#pragma once

#include <immintrin.h>

#include "fp64_bounds.h"
#include "fp64_field.h"
#include "kernels.h"

namespace aegis {
namespace {

constexpr int kStripStages = 4;        // stages done on strips of 16 rows
constexpr int kMinStripLog = 14;       // from this degree on
constexpr std::size_t kStripWidth = 64;
constexpr int kSmallLog = 10;          // blocks of this size and below are finished pass by pass

// An odd number of stages has one radix-2 pass, where the blocks begin.
int single_stage(int log_n) { return (log_n & 1) == 0 ? -1 : log_n >= kMinStripLog ? kStripStages : 0; }

// Four cache lines, `stride` values apart. May point past the end of a row: a prefetch never faults.
template <class T>
AEGIS_HD void prefetch_rows(const T* p, std::size_t stride) {
    for (std::size_t i = 0; i < 4; ++i) _mm_prefetch(reinterpret_cast<const char*>(p + i * stride), _MM_HINT_T0);
}

template <class L>
struct Fp64Stages {
    using V = typename L::V;
    static constexpr std::size_t kLanes = std::size_t{1} << L::kLogLanes;
    static constexpr std::size_t kLeaf = 4 * kLanes;  // points that the last four stages take at once

    struct Twiddles {
        V first, second, third;  // stage of the larger distance; even and odd group of the smaller
    };

    static void build_table(const Modulus& m, const u64* powers, int log_n, double* table) {
        std::size_t n = std::size_t{1} << log_n;
        auto value = [&](std::size_t k) { return centred_constant(powers[k], m.q); };
        for (std::size_t k = 0; k < n / 4; ++k) table[k] = value(k);
        for (std::size_t g = 0; g < n / kLeaf; ++g) {
            double* t = table + n / 4 + 3 * kLanes * g;
            for (std::size_t i = 0; i < kLanes; ++i) *t++ = value(n / 4 + kLanes * g + i);
            for (std::size_t i = 0; i < kLanes; ++i) *t++ = value(n / 2 + 2 * (kLanes * g + i));
            for (std::size_t i = 0; i < kLanes; ++i) *t++ = value(n / 2 + 2 * (kLanes * g + i) + 1);
        }
    }

    static void build(const Modulus& m, const Roots& roots, u64* forward, u64* inverse) {
        build_table(m, roots.powers, roots.log_n, reinterpret_cast<double*>(forward));
        build_table(m, roots.inverse_powers, roots.log_n, reinterpret_cast<double*>(inverse));
    }

    AEGIS_HD Twiddles broadcast(const double* table, std::size_t groups, std::size_t g) {
        const double* pair = table + 2 * (groups + g);
        return {L::all(table[groups + g]), L::all(pair[0]), L::all(pair[1])};
    }

    // Vectors from four rows, through `butterfly(twiddles, x0, x1, x2, x3)`, for j < width (a multiple of 2 * lanes).
    template <class Load, class Store, class Butterfly>
    AEGIS_HD void radix4(const Twiddles& w, std::size_t width, Load get, Store put, Butterfly butterfly) {
        for (std::size_t j = 0; j < width; j += 2 * kLanes) {
            V x[2][4];
            for (std::size_t i = 0; i < 2; ++i)
                for (std::size_t r = 0; r < 4; ++r) x[i][r] = get(r, j + i * kLanes);
            for (std::size_t i = 0; i < 2; ++i) butterfly(w, x[i][0], x[i][1], x[i][2], x[i][3]);
            for (std::size_t i = 0; i < 2; ++i)
                for (std::size_t r = 0; r < 4; ++r) put(r, j + i * kLanes, x[i][r]);
        }
    }

    // Two stages over `count` neighbouring groups of 4t values, group g first.
    template <class Butterfly>
    AEGIS_HD void pass4(const double* table, double* a, std::size_t groups, std::size_t g, std::size_t count,
                        std::size_t t, Butterfly butterfly) {
        for (std::size_t last = g + count; g < last; ++g, a += 4 * t)
            radix4(
                broadcast(table, groups, g), t,
                [a, t](std::size_t r, std::size_t j) { return L::load(a + r * t + j); },
                [a, t](std::size_t r, std::size_t j, V x) { L::store(a + r * t + j, x); }, butterfly);
    }

    // The stages of distance 8, 4 (`outer`), 2 and 1 (`inner`) of the values [at, at + size), in registers; the
    // inverse in the other order. Four leaves side by side: alone, one is a chain of four products that nothing fills.
    template <bool kForward, class T, class Load, class Outer, class Inner>
    AEGIS_HD void leaves(const double* table, std::size_t n, const T* from, double* to, std::size_t at,
                         std::size_t size, Load get, Outer outer, Inner inner) {
        std::size_t end = at + size;
        for (; at + kWays * kLeaf <= end; at += kWays * kLeaf)
            some_leaves<kWays, kForward>(table, n, from, to, at, get, outer, inner);
        for (; at < end; at += kLeaf) some_leaves<1, kForward>(table, n, from, to, at, get, outer, inner);
    }

  private:
    static constexpr std::size_t kWays = 4;

    template <std::size_t kCount, bool kForward, class T, class Load, class Outer, class Inner>
    AEGIS_HD void some_leaves(const double* table, std::size_t n, const T* from, double* to, std::size_t at, Load get,
                              Outer outer, Inner inner) {
        V x[kCount][4];
        for (std::size_t i = 0; i < kCount; ++i) {
            L::load_quads(from + at + i * kLeaf, get, x[i][0], x[i][1], x[i][2], x[i][3]);
            if (kForward) outer(outer_twiddles(table, n, at + i * kLeaf), x[i][0], x[i][1], x[i][2], x[i][3]);
        }
        for (std::size_t i = 0; i < kCount; ++i) L::transpose(x[i][0], x[i][1], x[i][2], x[i][3]);
        for (std::size_t i = 0; i < kCount; ++i)
            inner(inner_twiddles(table, n, at + i * kLeaf), x[i][0], x[i][1], x[i][2], x[i][3]);
        for (std::size_t i = 0; i < kCount; ++i) {
            L::transpose(x[i][0], x[i][1], x[i][2], x[i][3]);
            if (!kForward) outer(outer_twiddles(table, n, at + i * kLeaf), x[i][0], x[i][1], x[i][2], x[i][3]);
            L::store_quads(to + at + i * kLeaf, x[i][0], x[i][1], x[i][2], x[i][3]);
        }
    }

    AEGIS_HD Twiddles outer_twiddles(const double* table, std::size_t n, std::size_t at) {
        std::size_t group = n / 16 + at / 16;
        const double* pairs = table + 2 * group;
        return {L::template each_quad<1>(table + group), L::template each_quad<2>(pairs),
                L::template each_quad<2>(pairs + 1)};
    }
    AEGIS_HD Twiddles inner_twiddles(const double* table, std::size_t n, std::size_t at) {
        const double* t = table + n / 4 + 3 * kLanes * (at / kLeaf);
        return {L::load(t), L::load(t + kLanes), L::load(t + 2 * kLanes)};
    }
};

// Group g of stage s, its 2^log_size values: passes over the whole, then the four parts (two in a single stage), and so
// on; from kSmallLog on pass by pass, the last four stages in `leaves`. Work gives both. Down: forward transform.
template <class Work>
void walk_down(const Work& work, int log_size, int s, std::size_t g) {
    int stages = (log_size & 1) == 0 ? 2 : 1;
    if (log_size > kSmallLog) {
        work.pass(log_size, s, g, 1);
        for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
            walk_down(work, log_size - stages, s + stages, (g << stages) + i);
        return;
    }
    for (int size = log_size; size > 4; size -= stages, s += stages, stages = 2)
        work.pass(size, s, g << (log_size - size), std::size_t{1} << (log_size - size));
    work.leaves(g << log_size, std::size_t{1} << log_size);
}

// The mirror image.
template <class Work>
void walk_up(const Work& work, int log_size, int s, std::size_t g) {
    if (log_size > kSmallLog) {
        int stages = (log_size & 1) == 0 ? 2 : 1;
        for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
            walk_up(work, log_size - stages, s + stages, (g << stages) + i);
        work.pass(log_size, s, g, 1);
        return;
    }
    work.leaves(g << log_size, std::size_t{1} << log_size);
    for (int size = 6; size <= log_size + (log_size & 1); size += 2) {
        int actual = size > log_size ? log_size : size, below = log_size - actual;
        work.pass(actual, s + below, g << below, std::size_t{1} << below);
    }
}

}  // namespace
}  // namespace aegis
