// Modular matrix products for each limb and NTT entry: digits by keys, ciphertexts by ciphertexts and by periodic
// plaintexts. Sums are reduced once (once in A::kTerms terms). A thread has one entry and a tile of results in
// registers; what the tiles of one block read again comes from the first cache.
#pragma once

#include "device/arithmetic.h"
#include "device/block.h"
#include "device/transform.h"

namespace aegis {
namespace device {

// Memory per entry: 16 bytes a digit of the key, 8 a digit of each operand, 16 of each result. The automorphism is the
// place that is read.
template <class A>
void key_product(const Block& block, const KeyJob& job) {
    const std::size_t n = std::size_t{1} << job.log_n, count = job.rows.count, l = block.y();
    const Limb& limb = job.limbs[job.rows.limb[l]];
    const std::size_t key_row = l < job.q_rows ? l : l + job.key_rows - count;
    block.alone([&](std::size_t thread) {
        const std::size_t to = block.x() * block.threads() + thread;
        if (to >= n) return;
        const std::size_t j = job.galois == 1 ? to : permuted(static_cast<unsigned>(to), job.log_n, job.galois);
        typename A::Accumulator sums[kGroup][2];
        AEGIS_UNROLL
        for (std::size_t r = 0; r < kGroup; ++r) sums[r][0] = sums[r][1] = A::zero(job.digits);
        std::size_t begin = 0, skipped = 0;  // rows of the digits before
        for (std::size_t digit = 0; digit < job.digits; ++digit) {
            const std::size_t end = job.ends[digit], size = end - begin;
            const bool own = begin <= l && l < end;
            const std::size_t row = own ? l : skipped + (l < begin ? l : l - size);
            const std::size_t key = ((digit * job.key_rows + key_row) << job.log_n) + j;
            const typename A::Operand b = A::operand(job.b[key]), a = A::operand(job.a[key]);
            AEGIS_UNROLL
            for (std::size_t r = 0; r < kGroup; ++r) {
                if (r >= job.operands) break;
                const typename A::Operand x = A::operand((own ? job.d[r] : job.extended[r])[(row << job.log_n) + j]);
                A::add_product(sums[r][0], x, b);
                A::add_product(sums[r][1], x, a);
            }
            begin = end;
            skipped += count - size;
        }
        AEGIS_UNROLL
        for (std::size_t r = 0; r < kGroup; ++r) {
            if (r >= job.operands) break;
            AEGIS_UNROLL
            for (std::size_t c = 0; c < 2; ++c) {
                u64 value = A::reduced(sums[r][c], job.digits, limb, limb.m.q_double);
                if (l < job.q_rows && job.addends[r][c] != nullptr) {
                    const u64 addend = job.addends[r][c][(l << job.log_n) + j];
                    value = add_mod(value, wide_residue(static_cast<u128>(addend) * job.factors[l], limb), limb.m.q);
                }
                u64* out = job.out[r] + ((c * count + l) << job.log_n) + to;
                *out = job.onto ? add_mod(*out, value, limb.m.q) : value;
            }
        }
    });
}

// A block takes kEntries entries of one limb and every tile of results: its threads are [tile][entry].

template <class A>
void tensor(const Block& block, const TensorJob& job) {
    const std::size_t n = std::size_t{1} << job.log_n, count = job.residue_rows.count, l = block.y();
    const Limb& limb = job.limbs[job.residue_rows.limb[l]];
    const std::size_t tiles_down = (job.rows + kTileRows - 1) / kTileRows;
    const std::size_t tiles = tiles_down * ((job.columns + kTileColumns - 1) / kTileColumns);
    const std::size_t y_at = 2 * job.rows * job.terms, onto_at = y_at + 2 * job.terms * job.columns;
    const std::size_t out_at = onto_at + (job.onto ? 3 * job.rows * job.columns : 0);
    block.alone([&](std::size_t thread) {
        const std::size_t j = block.x() * kEntries + thread % kEntries;
        if (j >= n) return;
        const std::size_t at = (l << job.log_n) + j;
        for (std::size_t tile = thread / kEntries; tile < tiles; tile += block.threads() / kEntries) {
            const std::size_t r0 = tile % tiles_down * kTileRows, s0 = tile / tiles_down * kTileColumns;
            u64 results[kTileRows][kTileColumns][3] = {};
            for (std::size_t first = 0; first < job.terms; first += A::kTerms / 2) {
                const std::size_t left = job.terms - first, terms = left < A::kTerms / 2 ? left : A::kTerms / 2;
                typename A::Accumulator sums[kTileRows][kTileColumns][3];
                AEGIS_UNROLL
                for (std::size_t r = 0; r < kTileRows; ++r)
                    AEGIS_UNROLL
                    for (std::size_t s = 0; s < kTileColumns; ++s) {
                        sums[r][s][0] = sums[r][s][2] = A::zero(terms);
                        sums[r][s][1] = A::zero(2 * terms);
                    }
                for (std::size_t b = first; b < first + terms; ++b) {
                    typename A::Operand x[kTileRows][2], y[kTileColumns][2];
                    AEGIS_UNROLL
                    for (std::size_t r = 0; r < kTileRows; ++r) {
                        const std::size_t row = r0 + r < job.rows ? r0 + r : r0;
                        AEGIS_UNROLL
                        for (std::size_t c = 0; c < 2; ++c)
                            x[r][c] = A::operand(job.pointers[2 * (row * job.terms + b) + c][at]);
                    }
                    AEGIS_UNROLL
                    for (std::size_t s = 0; s < kTileColumns; ++s) {
                        const std::size_t column = s0 + s < job.columns ? s0 + s : s0;
                        AEGIS_UNROLL
                        for (std::size_t c = 0; c < 2; ++c)
                            y[s][c] = A::operand(job.pointers[y_at + 2 * (b * job.columns + column) + c][at]);
                    }
                    AEGIS_UNROLL
                    for (std::size_t r = 0; r < kTileRows; ++r)
                        AEGIS_UNROLL
                        for (std::size_t s = 0; s < kTileColumns; ++s) {
                            A::add_product(sums[r][s][0], x[r][0], y[s][0]);
                            A::add_product(sums[r][s][1], x[r][0], y[s][1]);
                            A::add_product(sums[r][s][1], x[r][1], y[s][0]);
                            A::add_product(sums[r][s][2], x[r][1], y[s][1]);
                        }
                }
                AEGIS_UNROLL
                for (std::size_t r = 0; r < kTileRows; ++r)
                    AEGIS_UNROLL
                    for (std::size_t s = 0; s < kTileColumns; ++s)
                        AEGIS_UNROLL
                        for (std::size_t c = 0; c < 3; ++c) {
                            const std::size_t count_of = c == 1 ? 2 * terms : terms;
                            const u64 value = A::reduced(sums[r][s][c], count_of, limb, limb.m.q_double);
                            results[r][s][c] = add_mod(results[r][s][c], value, limb.m.q);
                        }
            }
            AEGIS_UNROLL
            for (std::size_t r = 0; r < kTileRows; ++r)
                AEGIS_UNROLL
                for (std::size_t s = 0; s < kTileColumns; ++s) {
                    if (r0 + r >= job.rows || s0 + s >= job.columns) continue;
                    const std::size_t entry = (r0 + r) * job.columns + s0 + s;
                    AEGIS_UNROLL
                    for (std::size_t c = 0; c < 3; ++c) {
                        u64 value = results[r][s][c];
                        if (job.onto) value = add_mod(value, job.pointers[onto_at + 3 * entry + c][at], limb.m.q);
                        job.pointers.to(out_at + entry)[((c * count) << job.log_n) + at] = value;
                    }
                }
        }
    });
}

// Weights are the same for runs of 2^shift entries.
template <class A>
void periodic(const Block& block, const PeriodicJob& job) {
    const std::size_t n = std::size_t{1} << job.log_n, l = block.y(), count = job.polynomial_rows;
    const Limb& limb = job.limbs[job.residue_rows.limb[l]];
    const std::size_t groups = (job.rows + kWeightRows - 1) / kWeightRows, tiles = groups * job.components;
    const u64* weights = job.weights + l * job.limb_stride;
    const std::size_t out_at = job.terms * job.components;
    block.alone([&](std::size_t thread) {
        const std::size_t j = block.x() * kEntries + thread % kEntries;
        if (j >= n) return;
        const std::size_t at = ((job.first_row + l) << job.log_n) + j, run = j >> job.shift;
        for (std::size_t tile = thread / kEntries; tile < tiles; tile += block.threads() / kEntries) {
            const std::size_t c = tile % job.components, r0 = tile / job.components * kWeightRows;
            u64 results[kWeightRows] = {};
            for (std::size_t first = 0; first < job.terms; first += A::kTerms) {
                const std::size_t left = job.terms - first, terms = left < A::kTerms ? left : A::kTerms;
                typename A::Accumulator sums[kWeightRows];
                AEGIS_UNROLL
                for (std::size_t r = 0; r < kWeightRows; ++r) sums[r] = A::zero(terms);
                for (std::size_t b = first; b < first + terms; ++b) {
                    const typename A::Operand x = A::operand(job.pointers[b * job.components + c][at]);
                    AEGIS_UNROLL
                    for (std::size_t r = 0; r < kWeightRows; ++r) {
                        const std::size_t row = r0 + r < job.rows ? r0 + r : r0;
                        A::add_product(sums[r], x,
                                       A::operand(weights[row * job.row_stride + b * job.term_stride + run]));
                    }
                }
                AEGIS_UNROLL
                for (std::size_t r = 0; r < kWeightRows; ++r) {
                    const u64 value = A::reduced(sums[r], terms, limb, limb.m.q_double);
                    results[r] = add_mod(results[r], value, limb.m.q);
                }
            }
            AEGIS_UNROLL
            for (std::size_t r = 0; r < kWeightRows; ++r)
                if (r0 + r < job.rows)
                    job.pointers.to(out_at + r0 + r)[((c * count) << job.log_n) + at] = results[r];
        }
    });
}

}  // namespace device
}  // namespace aegis
