// The inverse transform of fp64_stages.h: butterflies x + y, (x - y) w. Included by the path files only.
#pragma once

#include <type_traits>

#include "fp64_stages.h"

namespace aegis {
namespace {

// In: |x_i| <= A, 4A <= 2^53. Out: x0 4A, x1 2R(2A), x2 R(4A), x3 R(2R(2A)) before the reductions.
template <class L, Reduce kReduce>
struct InverseButterfly {
    using V = typename L::V;
    Fp64Field<L> f;
    AEGIS_INLINE void operator()(const typename Fp64Stages<L>::Twiddles& w, V& x0, V& x1, V& x2, V& x3) const {
        V s0 = x0 + x1, d0 = f.mul(x0 - x1, w.second);
        V s1 = x2 + x3, d1 = f.mul(x2 - x3, w.third);
        x0 = s0 + s1;
        x1 = d0 + d1;
        x2 = f.mul(s0 - s1, w.first);
        x3 = f.mul(d0 - d1, w.first);
        if (kReduce != Reduce::kNone) x0 = f.reduce(x0);
        if (kReduce == Reduce::kBoth) x1 = f.reduce(x1);
    }
};

// The last two stages: products with 1/N (and the last twiddle), so that nothing is left to reduce but a sign.
template <class L, bool kSmall>
struct LastInverseButterfly {
    using V = typename L::V;
    Fp64Field<L> f;
    V scale, last;
    AEGIS_INLINE void operator()(const typename Fp64Stages<L>::Twiddles& w, V& x0, V& x1, V& x2, V& x3) const {
        V s0 = x0 + x1, d0 = f.mul(x0 - x1, w.second);
        V s1 = x2 + x3, d1 = f.mul(x2 - x3, w.third);
        x0 = finish(f.mul(s0 + s1, scale));
        x1 = finish(f.mul(d0 + d1, scale));
        x2 = finish(f.mul(s0 - s1, last));
        x3 = finish(f.mul(d0 - d1, last));
    }
    AEGIS_INLINE V finish(V x) const { return kSmall ? f.lift(x) : f.canon(x); }
};

template <class L>
struct Fp64Inverse {
    using V = typename L::V;
    using S = Fp64Stages<L>;
    Fp64Field<L> f;
    const Limb& limb;
    const double* table;
    int log_n;
    const i64* in;
    double* a;
    const InverseBounds& reduce;

    // run(std::integral_constant<Reduce, ...>) for the reduction of the pass that completes blocks of 2^log_size.
    template <class Run>
    void with_reduction(int log_size, const Run& run) const {
        switch (reduce.passes[log_size]) {
            case Reduce::kNone: run(std::integral_constant<Reduce, Reduce::kNone>()); break;
            case Reduce::kSum: run(std::integral_constant<Reduce, Reduce::kSum>()); break;
            case Reduce::kBoth: run(std::integral_constant<Reduce, Reduce::kBoth>()); break;
        }
    }

    void pass(int log_size, int s, std::size_t g, std::size_t count) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s, t = std::size_t{1} << (log_size - 2);
        if (log_size & 1) return single_pass(f, p, groups, g, count, 2 * t);
        with_reduction(log_size, [&](auto kind) { radix4_pass<kind.value>(f, p, groups, g, count, t); });
    }

    template <Reduce kReduce>
    void radix4_pass(const Fp64Field<L> f, double* p, std::size_t groups, std::size_t g, std::size_t count,
                     std::size_t t) const {
        S::pass4(table, p, groups, g, count, t, InverseButterfly<L, kReduce>{f});
    }

    // A single stage always reduces its sum: it occurs once, for odd log2 N.
    void single_pass(const Fp64Field<L> f, double* p, std::size_t groups, std::size_t g, std::size_t count,
                     std::size_t t) const {
        for (std::size_t i = 0; i < count; ++i, p += 2 * t) {
            V w = L::all(table[groups + g + i]);
            for (std::size_t j = 0; j < t; j += S::kLanes) {
                V x = L::load(p + j), y = L::load(p + j + t);
                L::store(p + j, f.reduce(x + y));
                L::store(p + j + t, f.mul(x - y, w));
            }
        }
    }

    void leaves(std::size_t at, std::size_t size) const {
        with_reduction(2, [&](auto inner) {
            with_reduction(4, [&](auto outer) { leaves_with<inner.value, outer.value>(f, at, size); });
        });
    }

    template <Reduce kInner, Reduce kOuter>
    void leaves_with(const Fp64Field<L> f, std::size_t at, std::size_t size) const {
        S::template leaves<false>(table, std::size_t{1} << log_n, in, a, at, size,
                                  [](const i64* p) { return load_residues<L>(p); }, InverseButterfly<L, kOuter>{f},
                                  InverseButterfly<L, kInner>{f});
    }

    // The last four stages (0-3) on strips of 16 rows, with the factor 1/N.
    template <Reduce kReduce, bool kSmall>
    void strips(const Fp64Field<L> f, i64* out) const {
        std::size_t row = std::size_t{1} << (log_n - kStripStages);
        alignas(64) double strip[16 * kStripWidth];
        double* s = strip;
        auto last = S::broadcast(table, 1, 0);
        LastInverseButterfly<L, kSmall> finish{f, L::all(centred_constant(limb.n_inverse, limb.m.q)),
                                               L::all(centred_constant(limb.n_inverse_last, limb.m.q))};
        for (std::size_t at = 0; at < row; at += kStripWidth) {
            for (std::size_t g = 0; g < 4; ++g) {
                const double* p = a + 4 * g * row + at;
                double* to = s + 4 * g * kStripWidth;
                S::radix4(S::broadcast(table, 4, g), kStripWidth,
                          [p, row](std::size_t i, std::size_t j) {
                              if (i == 0 && j % 8 == 0) prefetch_rows(p + j + kStripWidth, row);
                              return L::load(p + i * row + j);
                          },
                          [to](std::size_t i, std::size_t j, V x) { L::store(to + i * kStripWidth + j, x); },
                          InverseButterfly<L, kReduce>{f});
            }
            for (std::size_t r = 0; r < 4; ++r) {
                const double* from = s + r * kStripWidth;
                i64* p = out + r * row + at;
                S::radix4(last, kStripWidth,
                          [from](std::size_t i, std::size_t j) { return L::load(from + 4 * i * kStripWidth + j); },
                          [p, row](std::size_t i, std::size_t j, V x) { store_residues<L>(p + 4 * i * row + j, x); },
                          finish);
            }
        }
    }

    void run(i64* out) const {
        if (log_n >= kMinStripLog) {
            for (std::size_t g = 0; g < 16; ++g) walk_up(*this, log_n - kStripStages, kStripStages, g);
            with_reduction(log_n - 2, [&](auto kind) {
                reduce.small ? strips<kind.value, true>(f, out) : strips<kind.value, false>(f, out);
            });
            return;
        }
        walk_up(*this, log_n, 0, 0);
        V scale = L::all(centred_constant(limb.n_inverse, limb.m.q));
        for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += S::kLanes)
            store_residues<L>(out + j, f.canon(f.mul(L::load(a + j), scale)));
    }
};

}  // namespace
}  // namespace aegis
