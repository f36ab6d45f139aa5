// Negacyclic transforms over an IFMA lane policy: passes of up to four stages in registers, the last three stages in
// leaves of 64 points (8 groups of 8) between two 8 x 8 transposes.
//
// Order of work for N = 2^16: three stages on the row, three on blocks of 8192, then on blocks of 1024 values (8 KiB)
// four, three and the last three. The inverse is the mirror image.
//
// Tables, kept small because a row of every limb passes through the caches before a table is used again: pairs
// (w, Shoup factor) of psi^brv(k) for k < N/8; then, for each group of 8 values, one word a = psi^brv(N/2 + 4g) in
// Montgomery form, from which the seven twiddles of the last three stages are made in registers; then the constants
// psi^(N/2), psi^(N/4), psi^(3N/4) as pairs.
//   psi^brv(N/8 + g) = a^4, psi^brv(N/4 + 2g + {0,1}) = a^2 {1, i}, psi^brv(N/2 + 4g + {0..3}) = a {1, i, z, zi}
//
// Ranges: kLimit q <= 2^52, so that any value below kLimit q is a factor. Wide primes (kLimit 4 or 8) are folded after
// Harvey (arXiv 1205.2926). Narrow primes (kLimit 256) are never folded, and values are kept modulo 2^52 only: the
// instructions ignore what lies above. Forward, a bias of 2 log2(N) q on what the first stage does not multiply keeps
// every difference positive, so that a butterfly is three multiply-adds, one sum and one difference.
#pragma once

#include "ifma_kernels.h"

namespace aegis {

constexpr int kIfmaBlockLog = 12;  // 32 KiB: blocks up to here stay in the first-level cache
constexpr int kIfmaLeafLog = 6;
constexpr int kIfmaLeaves = 2;     // leaves in flight: the chain of one alone is too long to overlap with the next
constexpr int kIfmaFarStages = 3;  // of one pass beyond a block: 16 rows that far apart would share cache sets
constexpr int kIfmaNearStages = 4;
constexpr u64 kIfmaNarrow = u64{1} << 44;  // 256 q <= 2^52
constexpr u64 kIfmaMiddle = u64{1} << 49;  // 8 q <= 2^52

template <class L, int kLimit>
struct IfmaTransform {
    using Word = typename L::Word;
    static constexpr bool kFolds = kLimit <= 8;
    // What the inverse passes take and give: Harvey's half range, or what three stages leave without folding.
    static constexpr int kInverseBound = kFolds ? kLimit / 2 : 16;

    using Twiddle = IfmaConstant<L>;

    IfmaField<L> f;
    Word half, q_inverse, bias;  // kLimit/2 q; q^-1 mod 2^52
    const u64* table;
    const u64* leaf;
    Twiddle i, z, zi;

    IfmaTransform(const Modulus& m, const u64* table, int log_n)
        : f(m),
          half(L::all(kLimit / 2 * m.q)),
          q_inverse(L::all(m.inverse52)),
          bias(L::all(2 * static_cast<u64>(log_n) * m.q)),
          table(table),
          leaf(table + (std::size_t{1} << log_n) / 4) {
        const u64* constants = leaf + (std::size_t{1} << log_n) / 8;
        i = broadcast(constants, 0);
        z = broadcast(constants, 1);
        zi = broadcast(constants, 2);
    }

    AEGIS_INLINE static Twiddle broadcast(const u64* table, std::size_t k) { return {table[2 * k], table[2 * k + 1], 0}; }

    // x < 2^52, w < q -> [0, 2q); modulo 2^52 where nothing is folded
    AEGIS_INLINE Word product(Word x, const Twiddle& w) const { return kFolds ? f.mul_lazy(x, w) : f.mul_open(x, w); }

    // x w 2^-52: x < 2^52, w < q -> (0, 2q). Also for w < 2q when x < 2^51. Both low halves agree, so none borrows.
    AEGIS_INLINE Word montgomery(Word x, Word w) const {
        const Word zero = L::all(0);
        Word m = L::low(zero, L::low(zero, x, w), q_inverse);
        return L::sub(L::high(f.q, x, w), L::high(zero, m, f.q));
    }

    // [0, kLimit q) -> [0, q)
    AEGIS_INLINE Word canonical(Word x) const {
        if (!kFolds) return f.fold(f.reduce_lazy(x), f.q);
        if (kLimit == 8) x = f.fold(x, half);
        return f.canonical4(x);
    }

    // rows of an 8 x 8 matrix -> columns
    AEGIS_INLINE static void transpose(Word* x) {
        Word a[8], b[8];
        for (int i = 0; i < 8; i += 2) {
            a[i] = L::unpack_low(x[i], x[i + 1]);
            a[i + 1] = L::unpack_high(x[i], x[i + 1]);
        }
        for (int i = 0; i < 8; i += 4)
            for (int k = 0; k < 2; ++k) {
                b[i + k] = L::template pairs<0x88>(a[i + k], a[i + k + 2]);
                b[i + k + 2] = L::template pairs<0xdd>(a[i + k], a[i + k + 2]);
            }
        for (int k = 0; k < 4; ++k) {
            x[k] = L::template pairs<0x88>(b[k], b[k + 4]);
            x[k + 4] = L::template pairs<0xdd>(b[k], b[k + 4]);
        }
    }

    // (x, y) -> (x + t, x - t), t = y w in [0, 2q). kLimit 4: every stage folds x to [0, 2q), kLimit 8: every second
    // one folds it to [0, 4q), and 2q keeps the difference positive; values stay below kLimit q. kLimit 256: with its
    // bias a value stays in [0, 4 log2(N) q + q], below 256 q for every N = 2^5 to 2^20.
    AEGIS_INLINE void join(Word& x, Word& y, Word t, int stage) const {
        if (kLimit == 4 || (kLimit == 8 && stage % 2 == 0)) x = f.fold(x, half);
        y = L::sub(kFolds ? L::add(x, f.q2) : x, t);
        x = L::add(x, t);
    }

    // (x, y) -> (x + y, x - y + bound), both of values below bound = 2^stage times the pass's own.
    AEGIS_INLINE void part(Word& x, Word& y, Word bound) const {
        Word difference = L::add(L::sub(x, y), bound);
        x = L::add(x, y);
        if (kFolds) x = f.fold(x, half);
        y = difference;
    }

    // ---- stages over 2^kStages vectors with the twiddles of one group ------------------------------------------------

    AEGIS_INLINE void add_bias(Word* x, int count) const {
        if (kFolds) return;
        for (int r = 0; r < count; ++r) x[r] = L::add(x[r], bias);
    }

    template <int kStages>
    AEGIS_INLINE void load_twiddles(Twiddle* to, std::size_t k) const {
        for (int s = 0; s < kStages; ++s)
            for (int g = 0; g < (1 << s); ++g) *to++ = broadcast(table, (k << s) + g);
    }

    // visit(near, far, twiddle) for the butterflies of stage s over `count` times 2^kStages vectors. Twiddles are
    // numbered as load_twiddles lays them down, those of each next 2^kStages vectors after the ones before.
    template <int kStages, class Visit>
    AEGIS_INLINE static void stage(int s, int count, Word* x, const Visit& visit) {
        const int distance = 1 << (kStages - 1 - s), size = 1 << kStages;
#pragma GCC unroll 4
        for (int n = 0; n < count; ++n)
#pragma GCC unroll 8
            for (int g = 0; g < (1 << s); ++g)
#pragma GCC unroll 8
                for (int j = 0; j < distance; ++j) {
                    Word* near = x + size * n + 2 * distance * g + j;
                    visit(near[0], near[distance], (size - 1) * n + (1 << s) - 1 + g);
                }
    }

    template <int kStages>
    AEGIS_INLINE void stages_forward(Word* x, const Twiddle* w) const {
#pragma GCC unroll 4
        for (int s = 0; s < kStages; ++s)
            stage<kStages>(s, 1, x, [&](Word& near, Word& far, int t) AEGIS_LAMBDA { join(near, far, product(far, w[t]), s); });
    }

    // kBound: what the values are below, in units of q. The last stage of the transform multiplies by 1/N as well.
    template <int kStages, int kBound, bool kLast>
    AEGIS_INLINE void stages_inverse(Word* x, const Twiddle* w, const Twiddle& scale, const Twiddle& scale_last) const {
#pragma GCC unroll 4
        for (int s = kStages - 1; s >= 0; --s) {
            const bool last = kLast && s == 0;
            Word bound = kFolds ? half : L::times_power(f.q, kBound << (kStages - 1 - s));
            stage<kStages>(s, 1, x, [&](Word& near, Word& far, int t) AEGIS_LAMBDA {
                if (last) {
                    Word difference = L::add(L::sub(near, far), bound);
                    near = f.mul_exact(L::add(near, far), scale);
                    far = f.mul_exact(difference, scale_last);
                } else {
                    part(near, far, bound);
                    far = product(far, w[t]);
                }
            });
        }
        // Values multiplied in the first stage have doubled since, at most to 2^kStages q; the sum of all is larger.
        if (!kFolds && !kLast) x[0] = f.reduce_open(x[0]);
    }

    // ---- passes over memory ------------------------------------------------------------------------------------------

    // kStages stages of `count` neighbouring groups of 2^kStages t values, table index k first. Index 1 is the first.
    template <int kStages>
    void pass_forward(const u64* from, u64* to, std::size_t k, std::size_t count, std::size_t t) const {
        const IfmaTransform self = *this;  // in registers: a store through `to` cannot change it
        for (std::size_t end = k + count; k < end; ++k, from += t << kStages, to += t << kStages) {
            Twiddle w[(1 << kStages) - 1];
            self.template load_twiddles<kStages>(w, k);
            for (std::size_t j = 0; j < t; j += 8) {
                Word x[1 << kStages];
                for (int r = 0; r < (1 << kStages); ++r) x[r] = L::load(from + j + r * t);
                if (k == 1) self.add_bias(x, 1 << (kStages - 1));
                self.template stages_forward<kStages>(x, w);
                for (int r = 0; r < (1 << kStages); ++r) L::store(to + j + r * t, x[r]);
            }
        }
    }

    template <int kStages, bool kLast>
    void pass_inverse(u64* a, std::size_t k, std::size_t count, std::size_t t, const Twiddle& scale,
                      const Twiddle& scale_last) const {
        const IfmaTransform self = *this;
        for (std::size_t end = k + count; k < end; ++k, a += t << kStages) {
            Twiddle w[(1 << kStages) - 1];
            self.template load_twiddles<kStages>(w, k);
            for (std::size_t j = 0; j < t; j += 8) {
                Word x[1 << kStages];
                for (int r = 0; r < (1 << kStages); ++r) x[r] = L::load(a + j + r * t);
                self.template stages_inverse<kStages, kInverseBound, kLast>(x, w, scale, scale_last);
                for (int r = 0; r < (1 << kStages); ++r) L::store(a + j + r * t, x[r]);
            }
        }
    }

    void run_forward(int stages, const u64* from, u64* to, std::size_t k, std::size_t count, std::size_t t) const {
        switch (stages) {
            case 1: return pass_forward<1>(from, to, k, count, t);
            case 2: return pass_forward<2>(from, to, k, count, t);
            case 3: return pass_forward<3>(from, to, k, count, t);
            case 4: return pass_forward<4>(from, to, k, count, t);
        }
    }

    template <bool kLast>
    void run_inverse(int stages, u64* a, std::size_t k, std::size_t count, std::size_t t, const Twiddle& scale,
                     const Twiddle& scale_last) const {
        switch (stages) {
            case 1: return pass_inverse<1, kLast>(a, k, count, t, scale, scale_last);
            case 2: return pass_inverse<2, kLast>(a, k, count, t, scale, scale_last);
            case 3: return pass_inverse<3, kLast>(a, k, count, t, scale, scale_last);
            case 4: return pass_inverse<4, kLast>(a, k, count, t, scale, scale_last);
        }
    }

    // ---- the last (or first) three stages, kCount leaves of 64 points at once, stage by stage ------------------------

    // Twiddles of the 8 groups of leaf n, Montgomery form: [0] distance 4, [1, 2] distance 2, [3..6] distance 1.
    AEGIS_INLINE void leaf_twiddles(std::size_t n, Word* w) const {
        Word a = L::load(leaf + 8 * n);
        auto settle = [&](Word x) { return kFolds ? f.fold(x, f.q) : x; };
        Word square = settle(montgomery(a, a));
        w[0] = settle(montgomery(square, square));
        w[1] = square;
        w[2] = settle(product(square, i));
        w[3] = a;
        w[4] = settle(product(a, i));
        w[5] = settle(product(a, z));
        w[6] = settle(product(a, zi));
    }

    template <int kCount>
    AEGIS_INLINE void leaf_forward(std::size_t first, Word* x) const {
        Word v[7 * kCount];
        for (int n = 0; n < kCount; ++n) leaf_twiddles(first + n, v + 7 * n);
        for (int n = 0; n < kCount; ++n) transpose(x + 8 * n);
#pragma GCC unroll 3
        for (int s = 0; s < 3; ++s)
            stage<3>(s, kCount, x, [&](Word& near, Word& far, int t) AEGIS_LAMBDA { join(near, far, montgomery(far, v[t]), s); });
        for (int n = 0; n < kCount; ++n) transpose(x + 8 * n);
    }

    // Values below q in; below kInverseBound q out.
    template <int kCount>
    AEGIS_INLINE void leaf_inverse(std::size_t first, Word* x) const {
        Word v[7 * kCount];
        for (int n = 0; n < kCount; ++n) leaf_twiddles(first + n, v + 7 * n);
        for (int n = 0; n < kCount; ++n) transpose(x + 8 * n);
#pragma GCC unroll 3
        for (int s = 2; s >= 0; --s) {
            Word bound = kFolds ? half : L::times_power(f.q, 4 >> s);
            stage<3>(s, kCount, x, [&](Word& near, Word& far, int t) AEGIS_LAMBDA {
                part(near, far, bound);
                far = montgomery(far, v[t]);
            });
        }
        for (int n = 0; n < kCount; ++n) transpose(x + 8 * n);
    }

    template <int kCount, class Finish>
    void leaves_forward(const u64* from, std::size_t first, std::size_t count, std::size_t at,
                        const Finish& finish) const {
        const IfmaTransform self = *this;
        const Finish put = finish;
        for (std::size_t g = 0; g < count; g += kCount) {
            Word x[8 * kCount];
            for (int r = 0; r < 8 * kCount; ++r) x[r] = L::load(from + 64 * g + 8 * r);
            self.template leaf_forward<kCount>(first + g, x);
            for (int r = 0; r < 8 * kCount; ++r) put(self, at + 64 * g + 8 * r, x[r]);
        }
    }

    template <int kCount>
    void leaves_inverse(const u64* from, u64* to, std::size_t first, std::size_t count) const {
        const IfmaTransform self = *this;
        for (std::size_t g = 0; g < count; g += kCount) {
            Word x[8 * kCount];
            for (int r = 0; r < 8 * kCount; ++r) x[r] = L::load(from + 64 * g + 8 * r);
            self.template leaf_inverse<kCount>(first + g, x);
            for (int r = 0; r < 8 * kCount; ++r) L::store(to + 64 * g + 8 * r, x[r]);
        }
    }

    // ---- whole transforms --------------------------------------------------------------------------------------------

    // Stages of the outermost pass of 2^log_size values.
    static int outer_stages(int log_size) {
        if (log_size > kIfmaBlockLog) return kIfmaFarStages;
        int rest = log_size - 3, passes = (rest + kIfmaNearStages - 1) / kIfmaNearStages;
        return (rest + passes - 1) / passes;
    }

    // The group of table index k: `from` -> `to`, 2^log_size values below q. finish(transform, offset in the row, x)
    // takes values below kLimit q.
    template <class Finish>
    void forward(const u64* from, u64* to, int log_size, std::size_t k, std::size_t at, const Finish& finish) const {
        int stages = outer_stages(log_size), left = log_size;
        if (log_size > kIfmaBlockLog) {
            run_forward(stages, from, to, k, 1, (std::size_t{1} << log_size) >> stages);
            for (std::size_t g = 0; g < (std::size_t{1} << stages); ++g) {
                std::size_t offset = g << (log_size - stages);
                forward(to + offset, to + offset, log_size - stages, (k << stages) + g, at + offset, finish);
            }
            return;
        }
        for (std::size_t count = 1; left > 3; count <<= stages, k <<= stages, left -= stages, from = to) {
            stages = outer_stages(left);
            run_forward(stages, from, to, k, count, (std::size_t{1} << left) >> stages);
        }
        std::size_t leaves = (std::size_t{1} << log_size) >> kIfmaLeafLog;
        if (leaves % kIfmaLeaves == 0) return leaves_forward<kIfmaLeaves>(to, at >> kIfmaLeafLog, leaves, at, finish);
        leaves_forward<1>(to, at >> kIfmaLeafLog, leaves, at, finish);
    }

    template <bool kLast>
    void inverse(const u64* from, u64* to, int log_size, std::size_t k, std::size_t at, const Twiddle& scale,
                 const Twiddle& scale_last) const {
        int stages = outer_stages(log_size);
        if (log_size > kIfmaBlockLog) {
            for (std::size_t g = 0; g < (std::size_t{1} << stages); ++g) {
                std::size_t offset = g << (log_size - stages);
                inverse<false>(from + offset, to + offset, log_size - stages, (k << stages) + g, at + offset, scale,
                               scale_last);
            }
            return run_inverse<kLast>(stages, to, k, 1, (std::size_t{1} << log_size) >> stages, scale, scale_last);
        }
        std::size_t leaves = (std::size_t{1} << log_size) >> kIfmaLeafLog;
        leaves % kIfmaLeaves == 0 ? leaves_inverse<kIfmaLeaves>(from, to, at >> kIfmaLeafLog, leaves)
                                  : leaves_inverse<1>(from, to, at >> kIfmaLeafLog, leaves);
        passes_inverse<kLast>(to, log_size, log_size, k, scale, scale_last);
    }

    // The passes of a block whose leaves are done, innermost first: those of its groups of 2^left values.
    template <bool kLast>
    void passes_inverse(u64* a, int log_size, int left, std::size_t k, const Twiddle& scale,
                        const Twiddle& scale_last) const {
        int stages = outer_stages(left), below = log_size - left;
        if (left - stages > 3) passes_inverse<kLast>(a, log_size, left - stages, k, scale, scale_last);
        std::size_t t = (std::size_t{1} << left) >> stages, count = std::size_t{1} << below;
        below == 0 ? run_inverse<kLast>(stages, a, k, 1, t, scale, scale_last)
                   : run_inverse<false>(stages, a, k << below, count, t, scale, scale_last);
    }
};

// Tables in the layout described above; `table` has N words.
inline void build_ifma_table(const Modulus& m, const u64* powers, int log_n, u64* table) {
    std::size_t n = std::size_t{1} << log_n;
    auto put_pair = [&](u64 w) {
        *table++ = w;
        *table++ = shoup_factor52(w, m.q);
    };
    for (std::size_t k = 0; k < n / 8; ++k) put_pair(powers[k]);
    for (std::size_t g = 0; g < n / 8; ++g)
        *table++ = static_cast<u64>((static_cast<u128>(powers[n / 2 + 4 * g]) << 52) % m.q);
    for (std::size_t k = 1; k < 4; ++k) put_pair(powers[k]);
}

// run(transform) with the transform of the limb's size class.
template <class L, class Run>
void with_ifma_transform(const Modulus& m, const void* table, int log_n, const Run& run) {
    const u64* words = static_cast<const u64*>(table);
    if (m.q <= kIfmaNarrow) return run(IfmaTransform<L, 256>(m, words, log_n));
    if (m.q <= kIfmaMiddle) return run(IfmaTransform<L, 8>(m, words, log_n));
    run(IfmaTransform<L, 4>(m, words, log_n));
}

}  // namespace aegis
