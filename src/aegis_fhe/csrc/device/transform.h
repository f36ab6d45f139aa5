// Negacyclic transforms in passes of up to log_tile stages: a tile of values goes once through global memory, and
// through shared memory between steps of up to four stages, which a thread does in registers on 16 values.
//
// A pass at the stages [first, first + stages) of N = 2^log_n works on transforms of P = 2^stages points. The last pass
// (`Lines`) finds them one after another in memory; the pass before (`Columns`) finds the points of one transform N / P
// apart and takes neighbouring transforms together, so that whole cache lines are read.
//
// Global memory per value: 8 bytes in, 8 out, and the twiddles, 8 bytes for each value of `Lines` (from the second
// cache when several polynomials have the same limb). Arithmetic: stages / 2 products of 6 operations and as many sums.
// Shared memory is padded by one word in 16: the steps' strides are multiples of 16.
#pragma once

#include "device/arithmetic.h"
#include "device/block.h"

namespace aegis {
namespace device {

constexpr int kStep = 4;                    // stages in registers
constexpr std::size_t kPerThread = 1 << kStep;

AEGIS_HD std::size_t padded(std::size_t i) { return i + (i >> 4); }

AEGIS_HD std::size_t reversed(std::size_t x, int bits) {
#if defined(__CUDACC__)
    return __brev(static_cast<unsigned>(x)) >> (32 - bits);
#else
    std::size_t r = 0;
    for (int i = 0; i < bits; ++i, x >>= 1) r = (r << 1) | (x & 1);
    return r;
#endif
}

// NTT entry j belongs to the root psi^(2 brv(j) + 1): where that entry of p(X^galois) is found in p.
AEGIS_HD std::size_t permuted(std::size_t j, int log_n, u64 galois) {
    if (log_n == 0) return j;
    u64 exponent = galois * (2 * reversed(j, log_n) + 1) & ((u64{2} << log_n) - 1);
    return reversed(exponent >> 1, log_n);
}

// Where the transforms of a tile lie: point e of its c-th transform.
struct Tile {
    std::size_t at;               // of all words of the job, row by row
    std::size_t point, neighbour;  // words between points, and between transforms, in memory
    std::size_t shared_point, shared_neighbour;
    std::size_t count;            // transforms
    bool columns;
};

AEGIS_HD Tile tile_of(const TransformJob& job, std::size_t block) {
    const std::size_t n = std::size_t{1} << job.log_n, size = std::size_t{1} << job.log_tile;
    const std::size_t points = std::size_t{1} << job.stages, count = size >> job.stages;
    if (job.first + job.stages == job.log_n) return {block * size, 1, points, 1, points, count, false};
    const std::size_t stride = n >> job.stages, tiles = stride / count;  // of a row
    return {block / tiles * n + block % tiles * count, stride, 1, count, 1, count, true};
}

// One row's place and modulus.
struct RowOf {
    const Limb* limb;
    std::size_t polynomial, row, word;  // word: within the row

    RowOf(const TransformJob& job, std::size_t at)
        : polynomial((at >> job.log_n) / job.rows.count),
          row((at >> job.log_n) % job.rows.count),
          word(at & ((std::size_t{1} << job.log_n) - 1)) {
        limb = job.limbs + job.rows.limb[row];
    }
};

template <class A>
typename A::Value loaded(const TransformJob& job, const RowOf& row, std::size_t word) {
    const u64* from = job.in + row.polynomial * job.in_step + word;
    const std::size_t own = row.row << job.log_n;
    if (job.source == Source::kResidues) return A::of_residue(from[own]);
    if (job.source == Source::kLazy) return A::of_lazy(from[own]);
    if (job.source == Source::kSigned) return A::of_residue(signed_residue(static_cast<i64>(from[0]), *row.limb));
    return A::of_residue(centred_residue(from[0], job.limbs[job.dropped].m.q, *row.limb));
}

template <class A>
void stored(const TransformJob& job, const A& a, const RowOf& row, std::size_t word, typename A::Value value) {
    u64* to = job.apart != 0 ? job.outs[row.polynomial] : job.out + row.polynomial * job.out_step;
    to += row.row << job.log_n;
    if (job.sink == Sink::kLazy) {
        to[word] = A::lazy(value);
    } else if (job.sink == Sink::kResidues) {
        to[word] = a.residue(value);
    } else {
        u64 x = job.x[row.polynomial * job.x_step + (row.row << job.log_n) + word];
        to[permuted(word, job.log_n, job.inverse_galois)] = a.quotient(x, value, A::constant(job.factor[row.row]));
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

// One step of k stages from stage s of the pass: values from global or shared memory, back to either.
template <class A, bool kForward, int k>
void step(const Block& block, const TransformJob& job, const Tile& tile, int s, bool from_memory, bool to_memory) {
    using Value = typename A::Value;
    Value* shared = block.shared<Value>();
    const std::size_t n = std::size_t{1} << job.log_n, points = std::size_t{1} << job.stages;
    const std::size_t apart = points >> (s + k), items = tile.count * (points >> k);
    const std::size_t end = (job.polynomials * job.rows.count) << job.log_n;
    block.phase([&](std::size_t thread) {
        for (std::size_t item = thread; item < items; item += block.threads()) {
            // neighbouring threads have neighbouring addresses
            const std::size_t c = tile.columns ? item % tile.count : item / (points >> k);
            const std::size_t rest = tile.columns ? item / tile.count : item % (points >> k);
            const std::size_t j = rest % apart, group = rest / apart, e = group * (apart << k) + j;
            const std::size_t at = tile.at + e * tile.point + c * tile.neighbour;
            if (at >= end) continue;
            const RowOf row(job, at);
            const A a(*row.limb);
            Value x[1 << k];
            AEGIS_UNROLL
            for (int i = 0; i < 1 << k; ++i)
                x[i] = from_memory ? loaded<A>(job, row, row.word + i * apart * tile.point)
                                   : shared[padded((e + i * apart) * tile.shared_point + c * tile.shared_neighbour)];
            // groups of stage first + s: those of the stages before this pass, times 2^s
            const std::size_t outer = job.first == 0 ? 0 : (row.word & (n - 1)) >> (job.log_n - job.first);
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
            AEGIS_UNROLL
            for (int i = 0; i < 1 << k; ++i) {
                if (to_memory) {
                    stored<A>(job, a, row, row.word + i * apart * tile.point, x[i]);
                } else {
                    shared[padded((e + i * apart) * tile.shared_point + c * tile.shared_neighbour)] = x[i];
                }
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

// All values of a tile of lines, in order.
template <class F>
void each_value(const Block& block, const TransformJob& job, const Tile& tile, F run) {
    const std::size_t size = std::size_t{1} << job.log_tile, end = (job.polynomials * job.rows.count) << job.log_n;
    block.phase([&](std::size_t thread) {
        for (std::size_t i = thread; i < size && tile.at + i < end; i += block.threads())
            run(RowOf(job, tile.at + i), padded(i));
    });
}

// Steps of four stages, the first of what is left over.
template <class A>
void forward_pass(const Block& block, const TransformJob& job) {
    using Value = typename A::Value;
    const Tile tile = tile_of(job, block.x());
    if (job.stages == 0)
        return each_value(block, job, tile, [&](const RowOf& row, std::size_t) {
            stored<A>(job, A(*row.limb), row, row.word, loaded<A>(job, row, row.word));
        });
    int k = job.stages % kStep == 0 ? kStep : job.stages % kStep;
    for (int s = 0; s < job.stages; s += k, k = kStep)
        any_step<A, true>(block, job, tile, s, k, s == 0, tile.columns && s + k == job.stages);
    if (tile.columns) return;
    const Value* shared = block.shared<Value>();
    each_value(block, job, tile, [&](const RowOf& row, std::size_t i) {
        stored<A>(job, A(*row.limb), row, row.word, shared[i]);
    });
}

// The mirror image.
template <class A>
void inverse_pass(const Block& block, const TransformJob& job) {
    using Value = typename A::Value;
    const Tile tile = tile_of(job, block.x());
    if (job.stages == 0)
        return each_value(block, job, tile, [&](const RowOf& row, std::size_t) {
            const A a(*row.limb);
            const Constant factor = *factors_of(job, row);
            stored<A>(job, a, row, row.word, a.times(loaded<A>(job, row, row.word), A::constant(factor)));
        });
    if (!tile.columns) {
        Value* shared = block.shared<Value>();
        each_value(block, job, tile,
                   [&](const RowOf& row, std::size_t i) { shared[i] = loaded<A>(job, row, row.word); });
    }
    for (int s = job.stages; s > 0;) {
        const int k = s >= kStep ? kStep : s;
        s -= k;
        any_step<A, false>(block, job, tile, s, k, tile.columns && s + k == job.stages, s == 0);
    }
}

}  // namespace device
}  // namespace aegis
