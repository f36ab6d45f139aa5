// Negacyclic transforms in passes of up to log_tile stages: a tile of values goes once through global memory, and
// through shared memory between steps of up to four stages, which a thread does in registers on 16 values.
//
// A pass at the stages [first, first + stages) of N = 2^log_n works on transforms of P = 2^stages points. The last pass
// (`Lines`) finds them one after another in memory; the pass before (`Columns`) finds the points of one transform N / P
// apart and takes neighbouring transforms together, so that whole cache lines are read.
//
// Global memory per value: 8 bytes in, 8 out, and the twiddles, 8 bytes for each value of `Lines` (from the second
// cache when several polynomials have the same limb). Arithmetic: stages / 2 products of 6 operations and as many sums.
// Shared memory is padded by one word in 16, so that threads whose values lie 16 apart meet different banks.
#pragma once

#include "device/arithmetic.h"
#include "device/block.h"

namespace aegis {
namespace device {

constexpr int kStep = 4;                    // stages in registers
constexpr std::size_t kPerThread = 1 << kStep;

AEGIS_HD unsigned reversed(unsigned x, int bits) {
#if defined(__CUDACC__)
    return bits == 0 ? 0 : __brev(x) >> (32 - bits);
#else
    unsigned r = 0;
    for (int i = 0; i < bits; ++i, x >>= 1) r = (r << 1) | (x & 1);
    return r;
#endif
}

// NTT entry j belongs to the root psi^(2 brv(j) + 1): where that entry of p(X^galois) is found in p.
AEGIS_HD unsigned permuted(unsigned j, int log_n, unsigned galois) {
    const unsigned exponent = galois * (2 * reversed(j, log_n) + 1) & ((2u << log_n) - 1);
    return reversed(exponent >> 1, log_n);
}

// One row of a job: its modulus, and where it is read and written.
struct RowOf {
    const Limb* limb;
    const u64* in;
    u64* out;
    const u64* x;
    unsigned row;  // of its polynomial

    // at: of all words of the job, row by row
    RowOf(const TransformJob& job, std::size_t at) {
        const unsigned number = static_cast<unsigned>(at >> job.log_n), polynomial = number / job.rows.count;
        row = number - polynomial * job.rows.count;
        const std::size_t own = static_cast<std::size_t>(row) << job.log_n;
        limb = job.limbs + job.rows.limb[row];
        const bool one_for_all = job.source == Source::kSigned || job.source == Source::kDropped;
        in = job.in.of(polynomial) + (one_for_all ? 0 : own);
        out = job.out.of(polynomial) + own;
        x = job.x + polynomial * job.x_step + own;
    }
};

// Where the transforms of a tile lie: point e of its c-th transform.
struct Tile {
    std::size_t at, end;         // of all words of the job; where they end
    unsigned point, neighbour;   // words between points, and between transforms, in memory
    int log_count;               // of its transforms
    int padding;                 // one word in 2^padding
    bool columns, one_row;

    unsigned padded(unsigned i) const { return i + (i >> padding); }
};

// The values of a step lie a power of two apart, and where that is 1 they begin at a multiple of 16: their padded
// places are equally far apart too. Not so for the columns of small tiles, which go without padding.
AEGIS_HD int padding_of(int log_count) { return log_count == 0 || log_count >= kStep ? kStep : 31; }

AEGIS_HD Tile tile_of(const TransformJob& job, std::size_t block) {
    const std::size_t end = (job.polynomials * job.rows.count) << job.log_n;
    const int log_count = job.log_tile - job.stages;
    const bool one_row = job.log_tile <= job.log_n;
    if (job.first + job.stages == job.log_n)
        return {block << job.log_tile, end, 1, 1u << job.stages, log_count, kStep, false, one_row};
    const int log_stride = job.log_n - job.stages, log_tiles = log_stride - log_count;  // of a row
    const std::size_t within = block & ((std::size_t{1} << log_tiles) - 1);
    return {((block >> log_tiles) << job.log_n) + (within << log_count),
            end,
            1u << log_stride,
            1,
            log_count,
            padding_of(log_count),
            true,
            true};
}

// Values from the words of one row, `count` of them.
template <class A, int count>
void values_of(const TransformJob& job, const RowOf& row, const u64* words, typename A::Value* x) {
    if (job.source == Source::kLazy) {
        AEGIS_UNROLL
        for (int i = 0; i < count; ++i) x[i] = A::of_lazy(words[i]);
    } else if (job.source == Source::kResidues) {
        AEGIS_UNROLL
        for (int i = 0; i < count; ++i) x[i] = A::of_residue(words[i]);
    } else {
        // 0, or the modulus of the centred residues
        const u64 dropped = job.source == Source::kDropped ? job.limbs[job.dropped].m.q : 0;
        AEGIS_UNROLL
        for (int i = 0; i < count; ++i)
            x[i] = A::of_residue(dropped == 0 ? signed_residue(static_cast<i64>(words[i]), *row.limb)
                                              : centred_residue(words[i], dropped, *row.limb));
    }
}

template <class A>
typename A::Value value_at(const TransformJob& job, const RowOf& row, unsigned word) {
    const u64 x = row.in[word];
    typename A::Value value;
    values_of<A, 1>(job, row, &x, &value);
    return value;
}

template <class A>
void put(const TransformJob& job, const A& a, const RowOf& row, unsigned word, typename A::Value value) {
    if (job.sink == Sink::kLazy) {
        row.out[word] = A::lazy(value);
    } else if (job.sink == Sink::kResidues) {
        row.out[word] = a.residue(value);
    } else {
        const unsigned to = job.inverse_galois == 1 ? word : permuted(word, job.log_n, job.inverse_galois);
        row.out[to] = a.quotient(row.x[word], value, A::constant(job.factor[row.row]));
    }
}

// What the last inverse stage multiplies its sums and its differences by.
AEGIS_HD const Constant* factors_of(const TransformJob& job, const RowOf& row) {
    return job.scale != nullptr ? job.scale + 2 * row.row : row.limb->n_inverse;
}

// Stage u of the k that a step does on 2^k values of group `base` (2^s + group, s the first stage), and those after it;
// the values further apart come first. Templates, because a GPU's compiler does not unroll a loop within a loop whose
// bounds depend on it, and values in registers have no index.
template <class A, int k, int u>
void forward_stages(const A& a, typename A::Value* x, const typename A::Twiddle* table, std::size_t base,
                    unsigned mask) {
    constexpr int distance = 1 << (k - 1 - u);
    const bool reduce = (mask >> u) & 1;
    AEGIS_UNROLL
    for (int pair = 0; pair < 1 << (k - 1); ++pair) {
        const int i = pair / distance, low = 2 * distance * i + pair % distance;
        a.forward(x[low], x[low + distance], table[(base << u) + i], reduce);
    }
    if constexpr (u + 1 < k) forward_stages<A, k, u + 1>(a, x, table, base, mask);
}

// The other way round; the last stage of all carries the factors.
template <class A, int k, int u>
void inverse_stages(const A& a, typename A::Value* x, const typename A::Twiddle* table, std::size_t base, unsigned mask,
                    bool last, const Constant* factors) {
    constexpr int distance = 1 << (k - 1 - u);
    const bool reduce = (mask >> u) & 1;
    if (u == 0 && last) {
        AEGIS_UNROLL
        for (int pair = 0; pair < 1 << (k - 1); ++pair)
            a.inverse_last(x[pair], x[pair + distance], A::constant(factors[0]), A::constant(factors[1]));
        return;
    }
    AEGIS_UNROLL
    for (int pair = 0; pair < 1 << (k - 1); ++pair) {
        const int i = pair / distance, low = 2 * distance * i + pair % distance;
        a.inverse(x[low], x[low + distance], table[(base << u) + i], reduce);
    }
    if constexpr (u > 0) inverse_stages<A, k, u - 1>(a, x, table, base, mask, last, factors);
}

// One step of k stages from stage s of the pass: values from global or shared memory, back to either. Quotients are
// written in order, by `each_value`.
template <class A, bool kForward, int k>
void step(const Block& block, const TransformJob& job, const Tile& tile, int s, bool from_memory, bool to_memory) {
    using Value = typename A::Value;
    Value* shared = block.shared<Value>();
    const int log_apart = job.stages - s - k;  // of the values that a thread takes
    const unsigned items = 1u << (job.log_tile - k), word_mask = (1u << job.log_n) - 1;
    const RowOf first_row(job, tile.at);
    block.phase([&](std::size_t thread) {
        for (unsigned item = static_cast<unsigned>(thread); item < items; item += static_cast<unsigned>(block.threads())) {
            // neighbouring threads have neighbouring addresses
            const int log_items = job.stages - k;
            const unsigned c = tile.columns ? item & ((1u << tile.log_count) - 1) : item >> log_items;
            const unsigned rest = tile.columns ? item >> tile.log_count : item & ((1u << log_items) - 1);
            const unsigned group = rest >> log_apart, e = (group << (log_apart + k)) + (rest & ((1u << log_apart) - 1));
            const std::size_t at = tile.at + static_cast<std::size_t>(e) * tile.point + c * tile.neighbour;
            if (at >= tile.end) continue;
            const RowOf row = tile.one_row ? first_row : RowOf(job, at);
            const unsigned word = static_cast<unsigned>(at) & word_mask;
            const A a(*row.limb);
            // value i: `apart` words apart in memory, and `shared_apart` in shared memory
            const unsigned apart = tile.point << log_apart;
            const int log_shared = tile.columns ? log_apart + tile.log_count : log_apart;
            const unsigned shared_apart = (1u << log_shared) + (log_shared >= tile.padding ? 1u << (log_shared - tile.padding) : 0);
            Value* own = shared + tile.padded(tile.columns ? (e << tile.log_count) + c : (c << job.stages) + e);
            Value x[1 << k];
            if (from_memory) {
                u64 words[1 << k];
                AEGIS_UNROLL
                for (int i = 0; i < 1 << k; ++i) words[i] = row.in[word + i * apart];
                values_of<A, 1 << k>(job, row, words, x);
            } else {
                AEGIS_UNROLL
                for (int i = 0; i < 1 << k; ++i) x[i] = own[i * shared_apart];
            }
            // groups of stage first + s: those of the stages before this pass, times 2^s
            const unsigned outer = job.first == 0 ? 0 : word >> (job.log_n - job.first);
            const std::size_t base = (((std::size_t{1} << job.first) + outer) << s) + group;
            const int stage = job.first + s;
            if constexpr (kForward) {
                const auto* table = static_cast<const typename A::Twiddle*>(row.limb->forward);
                forward_stages<A, k, 0>(a, x, table, base, row.limb->reduce_forward >> stage);
            } else {
                const auto* table = static_cast<const typename A::Twiddle*>(row.limb->inverse);
                const unsigned mask = row.limb->reduce_inverse >> stage;
                inverse_stages<A, k, k - 1>(a, x, table, base, mask, stage == 0, factors_of(job, row));
            }
            if (to_memory && job.sink == Sink::kLazy) {
                AEGIS_UNROLL
                for (int i = 0; i < 1 << k; ++i) row.out[word + i * apart] = A::lazy(x[i]);
            } else if (to_memory) {
                AEGIS_UNROLL
                for (int i = 0; i < 1 << k; ++i) row.out[word + i * apart] = a.residue(x[i]);
            } else {
                AEGIS_UNROLL
                for (int i = 0; i < 1 << k; ++i) own[i * shared_apart] = x[i];
            }
        }
    });
}

template <class A, bool kForward>
void any_step(const Block& block, const TransformJob& job, const Tile& tile, int s, int k, bool from_memory,
              bool to_memory) {
    if (k == 4) return step<A, kForward, 4>(block, job, tile, s, from_memory, to_memory);
    if (k == 3) return step<A, kForward, 3>(block, job, tile, s, from_memory, to_memory);
    if (k == 2) return step<A, kForward, 2>(block, job, tile, s, from_memory, to_memory);
    step<A, kForward, 1>(block, job, tile, s, from_memory, to_memory);
}

// All values of a tile of lines, in order, kPerThread of them by each thread.
template <class F>
void each_value(const Block& block, const TransformJob& job, const Tile& tile, F run) {
    const unsigned size = 1u << job.log_tile, word_mask = (1u << job.log_n) - 1;
    const unsigned threads = static_cast<unsigned>(block.threads());
    const RowOf first_row(job, tile.at);
    block.phase([&](std::size_t thread) {
        AEGIS_UNROLL_BY_4
        for (unsigned r = 0; r < kPerThread; ++r) {
            const unsigned i = static_cast<unsigned>(thread) + r * threads;
            if (i >= size || tile.at + i >= tile.end) return;
            const unsigned word = static_cast<unsigned>(tile.at + i) & word_mask;
            run(tile.one_row ? first_row : RowOf(job, tile.at + i), word, tile.padded(i));
        }
    });
}

// Steps of four stages, the first of what is left over.
template <class A>
void forward_pass(const Block& block, const TransformJob& job) {
    using Value = typename A::Value;
    const Tile tile = tile_of(job, block.x());
    if (job.stages == 0)
        return each_value(block, job, tile, [&](const RowOf& row, unsigned word, unsigned) {
            put<A>(job, A(*row.limb), row, word, value_at<A>(job, row, word));
        });
    int k = job.stages % kStep == 0 ? kStep : job.stages % kStep;
    for (int s = 0; s < job.stages; s += k, k = kStep)
        any_step<A, true>(block, job, tile, s, k, s == 0, tile.columns && s + k == job.stages);
    if (tile.columns) return;
    const Value* shared = block.shared<Value>();
    each_value(block, job, tile, [&](const RowOf& row, unsigned word, unsigned i) {
        put<A>(job, A(*row.limb), row, word, shared[i]);
    });
}

// The mirror image.
template <class A>
void inverse_pass(const Block& block, const TransformJob& job) {
    using Value = typename A::Value;
    const Tile tile = tile_of(job, block.x());
    if (job.stages == 0)
        return each_value(block, job, tile, [&](const RowOf& row, unsigned word, unsigned) {
            const A a(*row.limb);
            const Constant factor = *factors_of(job, row);
            put<A>(job, a, row, word, a.times(value_at<A>(job, row, word), A::constant(factor)));
        });
    if (!tile.columns) {
        Value* shared = block.shared<Value>();
        each_value(block, job, tile,
                   [&](const RowOf& row, unsigned word, unsigned i) { shared[i] = value_at<A>(job, row, word); });
    }
    for (int s = job.stages; s > 0;) {
        const int k = s >= kStep ? kStep : s;
        s -= k;
        any_step<A, false>(block, job, tile, s, k, tile.columns && s + k == job.stages, s == 0);
    }
}

}  // namespace device
}  // namespace aegis
