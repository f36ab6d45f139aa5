// Negacyclic transforms over an IFMA lane policy: radix 4 down to distance 8, then the last three stages of 64 points
// (8 groups of 8) in registers, between two 8 x 8 transposes.
//
// Tables (2 words per coefficient): pairs (w, Shoup factor) of psi^brv(k) for k < N/8; then for each 64 points the 7
// twiddle vectors of distance 4, 2 (even and odd group), 1 (four), each followed by its factors.
#pragma once

#include "ifma_kernels.h"

namespace aegis {

constexpr int kIfmaBlockLog = 12;  // 32 KiB

template <class L>
struct IfmaTransform {
    using Word = typename L::Word;
    struct Twiddle {
        Word w, shoup;
    };

    static void build_table(const Modulus& m, const u64* powers, int log_n, u64* table) {
        std::size_t n = std::size_t{1} << log_n;
        for (std::size_t k = 0; k < n / 8; ++k) {
            table[2 * k] = powers[k];
            table[2 * k + 1] = shoup_factor52(powers[k], m.q);
        }
        u64* to = table + n / 4;
        for (std::size_t block = 0; block < n / 64; ++block)
            for (int stage = 0; stage < 3; ++stage)
                for (std::size_t i = 0; i < (std::size_t{1} << stage); ++i, to += 16)
                    for (std::size_t lane = 0; lane < 8; ++lane) {
                        std::size_t group = ((8 * block + lane) << stage) + i;
                        to[lane] = powers[((n / 8) << stage) + group];
                        to[8 + lane] = shoup_factor52(to[lane], m.q);
                    }
    }

    static void build(const Modulus& m, const Roots& roots, u64* forward, u64* inverse) {
        build_table(m, roots.powers, roots.log_n, forward);
        build_table(m, roots.inverse_powers, roots.log_n, inverse);
    }

    static Twiddle broadcast(const u64* table, std::size_t k) { return {L::all(table[2 * k]), L::all(table[2 * k + 1])}; }
    static Twiddle lanes(const u64* table) { return {L::load(table), L::load(table + 8)}; }

    // rows of an 8 x 8 matrix -> columns
    static void transpose(Word* x) {
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

    // [0, 4q) -> [0, 4q)
    static void butterfly(const IfmaField<L>& f, Word& x, Word& y, const Twiddle& w) {
        Word u = f.fold(x, f.q2), t = f.mul_lazy(y, w.w, w.shoup);
        x = L::add(u, t);
        y = L::add(L::sub(u, t), f.q2);
    }

    // [0, 2q) -> [0, 2q)
    static void inverse_butterfly(const IfmaField<L>& f, Word& x, Word& y, const Twiddle& w) {
        Word difference = L::add(L::sub(x, y), f.q2);
        x = f.fold(L::add(x, y), f.q2);
        y = f.mul_lazy(difference, w.w, w.shoup);
    }

    // Two stages (one when `single`) over `count` neighbouring groups of 4t (2t) values, group g first. Inverse and
    // kLast: results in [0, q) instead of [0, 2q).
    template <bool kForward, bool kLast>
    static void pass(const IfmaField<L>& f, const u64* table, u64* a, std::size_t groups, std::size_t g,
                     std::size_t count, std::size_t t, bool single) {
        auto put = [&f](u64* p, Word x) { L::store(p, kLast ? f.fold(x, f.q) : x); };
        for (std::size_t end = g + count; g < end; ++g, a += single ? 2 * t : 4 * t) {
            Twiddle first = broadcast(table, groups + g);
            if (single) {
                for (std::size_t j = 0; j < t; j += 8) {
                    Word x = L::load(a + j), y = L::load(a + j + t);
                    kForward ? butterfly(f, x, y, first) : inverse_butterfly(f, x, y, first);
                    put(a + j, x);
                    put(a + j + t, y);
                }
                continue;
            }
            Twiddle second = broadcast(table, 2 * (groups + g)), third = broadcast(table, 2 * (groups + g) + 1);
            for (std::size_t j = 0; j < t; j += 8) {
                Word x0 = L::load(a + j), x1 = L::load(a + j + t);
                Word x2 = L::load(a + j + 2 * t), x3 = L::load(a + j + 3 * t);
                if (kForward) {
                    butterfly(f, x0, x2, first);
                    butterfly(f, x1, x3, first);
                    butterfly(f, x0, x1, second);
                    butterfly(f, x2, x3, third);
                } else {
                    inverse_butterfly(f, x0, x1, second);
                    inverse_butterfly(f, x2, x3, third);
                    inverse_butterfly(f, x0, x2, first);
                    inverse_butterfly(f, x1, x3, first);
                }
                put(a + j, x0);
                put(a + j + t, x1);
                put(a + j + 2 * t, x2);
                put(a + j + 3 * t, x3);
            }
        }
    }

    // The stages of distance 4, 2, 1 (or 1, 2, 4) over 64 points; t: their 7 twiddle vectors with factors.
    template <bool kForward>
    static void leaf(const IfmaField<L>& f, const u64* t, Word* x) {
        transpose(x);
        for (int step = 0; step < 3; ++step) {
            int stage = kForward ? step : 2 - step, distance = 4 >> stage;
            const u64* twiddles = t + 16 * ((1 << stage) - 1);
            for (int i = 0; i < (1 << stage); ++i) {
                Twiddle w = lanes(twiddles + 16 * i);
                for (int k = 0; k < distance; ++k) {
                    Word &near = x[2 * distance * i + k], &far = x[2 * distance * i + k + distance];
                    kForward ? butterfly(f, near, far, w) : inverse_butterfly(f, near, far, w);
                }
            }
        }
        transpose(x);
    }

    static const u64* leaf_table(const u64* table, int log_n, std::size_t at) {
        return table + (std::size_t{1} << log_n) / 4 + 112 * (at / 64);
    }

    // Group g of stage s: its 2^log_size values from there to the end. finish(at, x) takes [0, 4q).
    template <class Finish>
    static void forward(const IfmaField<L>& f, const u64* table, int log_n, u64* a, int log_size, int s, std::size_t g,
                        const Finish& finish) {
        std::size_t at = g << log_size, groups = std::size_t{1} << s;
        int stages = (log_size & 1) == 0 ? 1 : 2;  // log_size - 3 stages are left for the passes
        if (log_size > kIfmaBlockLog) {
            pass<true, false>(f, table, a + at, groups, g, 1, (std::size_t{1} << log_size) >> stages, stages == 1);
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                forward(f, table, log_n, a, log_size - stages, s + stages, (g << stages) + i, finish);
            return;
        }
        for (int size = log_size; size > 3; size -= stages, stages = 2) {
            int below = log_size - size;
            pass<true, false>(f, table, a + at, groups << below, g << below, std::size_t{1} << below,
                              (std::size_t{1} << size) >> stages, stages == 1);
        }
        for (std::size_t j = at; j < at + (std::size_t{1} << log_size); j += 64) {
            Word x[8];
            for (int i = 0; i < 8; ++i) x[i] = L::load(a + j + 8 * i);
            leaf<true>(f, leaf_table(table, log_n, j), x);
            for (int i = 0; i < 8; ++i) finish(j + 8 * i, x[i]);
        }
    }

    // The mirror image: from the values `in` (scaled by 1/N on the way) to group g of stage s.
    static void inverse(const IfmaField<L>& f, const u64* table, int log_n, const i64* in, const IfmaConstant<L>& scale,
                        u64* a, int log_size, int s, std::size_t g) {
        std::size_t at = g << log_size, groups = std::size_t{1} << s;
        int stages = (log_size & 1) == 0 ? 1 : 2;
        auto run = [&](int size, int count_log, int step, bool last) {
            std::size_t t = (std::size_t{1} << size) >> step, count = std::size_t{1} << count_log;
            last ? pass<false, true>(f, table, a + at, groups << count_log, g << count_log, count, t, step == 1)
                 : pass<false, false>(f, table, a + at, groups << count_log, g << count_log, count, t, step == 1);
        };
        if (log_size > kIfmaBlockLog) {
            for (std::size_t i = 0; i < (std::size_t{1} << stages); ++i)
                inverse(f, table, log_n, in, scale, a, log_size - stages, s + stages, (g << stages) + i);
            run(log_size, 0, stages, s == 0);
            return;
        }
        for (std::size_t j = at; j < at + (std::size_t{1} << log_size); j += 64) {
            Word x[8];
            for (int i = 0; i < 8; ++i) x[i] = f.mul_lazy(load_row<L>(in + j + 8 * i), scale.w, scale.shoup);
            leaf<false>(f, leaf_table(table, log_n, j), x);
            for (int i = 0; i < 8; ++i) L::store(a + j + 8 * i, x[i]);
        }
        for (int size = 5; size < log_size; size += 2) run(size, log_size - size, 2, false);
        run(log_size, 0, stages, s == 0);
    }
};

}  // namespace aegis
