// The forward transform of fp64_stages.h: butterflies x +- w y. Included by the path files only.
#pragma once

#include "fp64_stages.h"

namespace aegis {
namespace {

// In: |x_i| <= A. Out: A + R(A) + R(A + R(A)) where R is product_bound; with reduction q/2 replaces the first A.
template <class L, bool kReduce>
struct ForwardButterfly {
    using V = typename L::V;
    Fp64Field<L> f;
    AEGIS_INLINE void operator()(const typename Fp64Stages<L>::Twiddles& w, V& x0, V& x1, V& x2, V& x3) const {
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
};

template <class L, class Finish>
struct Fp64Forward {
    using V = typename L::V;
    using S = Fp64Stages<L>;
    Fp64Field<L> f;
    const double* table;
    int log_n;
    double* a;
    const ForwardBounds& reduce;
    const Finish& finish;

    // One pass (two stages, or one for an odd size) over `count` neighbouring groups of stage s.
    void pass(int log_size, int s, std::size_t g, std::size_t count) const {
        reduce[s] ? pass_with<true>(f, log_size, s, g, count) : pass_with<false>(f, log_size, s, g, count);
    }

    template <bool kReduce>
    void pass_with(const Fp64Field<L> f, int log_size, int s, std::size_t g, std::size_t count) const {
        double* p = a + (g << log_size);
        std::size_t groups = std::size_t{1} << s, t = std::size_t{1} << (log_size - 2);
        if ((log_size & 1) == 0) return S::pass4(table, p, groups, g, count, t, ForwardButterfly<L, kReduce>{f});
        for (std::size_t i = 0; i < count; ++i, p += 4 * t) {
            V w = L::all(table[groups + g + i]);
            for (std::size_t j = 0; j < 2 * t; j += S::kLanes) {
                V x = L::load(p + j), y = f.mul(L::load(p + j + 2 * t), w);
                if (kReduce) x = f.reduce(x);
                L::store(p + j, x + y);
                L::store(p + j + 2 * t, x - y);
            }
        }
    }

    void leaves(std::size_t at, std::size_t size) const {
        if (reduce[log_n - 4])
            reduce[log_n - 2] ? leaves_with<true, true>(f, at, size) : leaves_with<true, false>(f, at, size);
        else
            reduce[log_n - 2] ? leaves_with<false, true>(f, at, size) : leaves_with<false, false>(f, at, size);
        finish(f, a, at, size);
    }

    template <bool kReduceOuter, bool kReduceInner>
    void leaves_with(const Fp64Field<L> f, std::size_t at, std::size_t size) const {
        S::template leaves<true>(table, std::size_t{1} << log_n, a, a, at, size,
                                 [](const double* p) { return L::load(p); }, ForwardButterfly<L, kReduceOuter>{f},
                                 ForwardButterfly<L, kReduceInner>{f});
    }

    // Stages 0-3 for N >= 2^14: rows of N/16 values, in strips that stay in cache.
    template <bool kReduce>
    void strips(const Fp64Field<L> f, const i64* in) const {
        std::size_t row = std::size_t{1} << (log_n - kStripStages);
        alignas(64) double strip[16 * kStripWidth];
        double* s = strip;
        auto w = S::broadcast(table, 1, 0);
        for (std::size_t at = 0; at < row; at += kStripWidth) {
            for (std::size_t r = 0; r < 4; ++r) {
                const i64* p = in + r * row + at;
                double* to = s + r * kStripWidth;
                S::radix4(w, kStripWidth,
                          [p, row](std::size_t i, std::size_t j) {
                              if (i == 0 && j % 8 == 0) prefetch_rows(p + j + kStripWidth, 4 * row);
                              return load_residues<L>(p + 4 * i * row + j);
                          },
                          [to](std::size_t i, std::size_t j, V x) { L::store(to + 4 * i * kStripWidth + j, x); },
                          ForwardButterfly<L, false>{f});
            }
            for (std::size_t g = 0; g < 4; ++g) {
                const double* from = s + 4 * g * kStripWidth;
                double* p = a + 4 * g * row + at;
                S::radix4(S::broadcast(table, 4, g), kStripWidth,
                          [from](std::size_t i, std::size_t j) { return L::load(from + i * kStripWidth + j); },
                          [p, row](std::size_t i, std::size_t j, V x) {
                              if (i == 0 && j % 8 == 0) prefetch_rows(p + j + kStripWidth, row);
                              L::store(p + i * row + j, x);
                          },
                          ForwardButterfly<L, kReduce>{f});
            }
        }
    }

    void run(const i64* in) const {
        if (log_n < kMinStripLog) {
            for (std::size_t j = 0; j < (std::size_t{1} << log_n); j += S::kLanes)
                L::store(a + j, load_residues<L>(in + j));
            walk_down(*this, log_n, 0, 0);
            return;
        }
        reduce[2] ? strips<true>(f, in) : strips<false>(f, in);
        for (std::size_t g = 0; g < 16; ++g) walk_down(*this, log_n - kStripStages, kStripStages, g);
    }
};

// What happens to the values, once they are transformed, block by block.
template <class L>
struct StoreResidues {
    i64* out;
    void operator()(const Fp64Field<L> f, const double* a, std::size_t at, std::size_t count) const {
        for (std::size_t j = at; j < at + count; j += Fp64Stages<L>::kLanes)
            store_residues<L>(out + j, f.canon(L::load(a + j)));
    }
};

// The same for |x| < 2^53 / 6: x/q + 1/(2q) is then never rounded across an integer, so its floor is that of x/q.
template <class L>
struct StoreSmallResidues {
    i64* out;
    void operator()(const Fp64Field<L> f, const double* a, std::size_t at, std::size_t count) const {
        typename L::V half = L::all(0.5) * f.q_inverse;
        for (std::size_t j = at; j < at + count; j += Fp64Stages<L>::kLanes) {
            typename L::V x = L::load(a + j), quotient = L::floor(L::fused(x, f.q_inverse, half));
            store_residues<L>(out + j, L::fused_from(x, quotient, f.q));
        }
    }
};

// (x - value) factor
template <class L>
struct SubtractScale {
    const i64* x;
    double factor;
    i64* out;
    void operator()(const Fp64Field<L> f, const double* a, std::size_t at, std::size_t count) const {
        typename L::V by = L::all(factor);
        for (std::size_t j = at; j < at + count; j += Fp64Stages<L>::kLanes) {
            typename L::V difference = load_residues<L>(x + j) - f.reduce(L::load(a + j));  // < 3/2 q
            store_residues<L>(out + j, f.lift(f.mul(difference, by)));
        }
    }
};

template <class L, class Finish>
void forward_transform(const Limb& limb, int log_n, const i64* in, double* a, const ForwardBounds& bounds,
                       const Finish& finish) {
    const double* table = static_cast<const double*>(limb.forward);
    Fp64Forward<L, Finish>{Fp64Field<L>(limb.m), table, log_n, a, bounds, finish}.run(in);
}

}  // namespace
}  // namespace aegis
