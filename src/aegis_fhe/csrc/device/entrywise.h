// Kernels whose entries have nothing to do with each other: memory sets their pace, so words do for all of them. A
// thread takes one entry of one row; block.x() is the row, neighbouring threads have neighbouring entries.
#pragma once

#include "device/arithmetic.h"
#include "device/block.h"
#include "device/transform.h"

namespace aegis {
namespace device {

// run(polynomial, row, limb, entry) for the block's entries of the row.
template <class Job, class F>
void each_entry(const Block& block, const Job& job, F run) {
    const unsigned number = static_cast<unsigned>(block.x()), n = 1u << job.log_n;
    const unsigned polynomial = number / job.rows.count, row = number - polynomial * job.rows.count;
    const Limb& limb = job.limbs[job.rows.limb[row]];
    block.alone([&](std::size_t thread) {
        const unsigned j = static_cast<unsigned>(block.y() * block.threads() + thread);
        if (j < n) run(polynomial, row, limb, j);
    });
}

// 24 bytes of memory an entry, 16 with a scalar.
inline void entrywise(const Block& block, const EntrywiseJob& job) {
    each_entry(block, job, [&](std::size_t polynomial, std::size_t row, const Limb& limb, std::size_t j) {
        const std::size_t at = ((polynomial * job.rows.count + row) << job.log_n) + j;
        const u64 x = job.x[at], q = limb.m.q;
        const bool scalar = job.operation == Entrywise::kAddScalar || job.operation == Entrywise::kMulScalar;
        const u64 y = scalar ? job.scalars[row] : job.y[polynomial * job.y_step + (row << job.log_n) + j];
        u64 result = 0;
        switch (job.operation) {
            case Entrywise::kAdd:
            case Entrywise::kAddScalar: result = add_mod(x, y, q); break;
            case Entrywise::kSub: result = sub_mod(x, y, q); break;
            case Entrywise::kMul:
            case Entrywise::kMulScalar: result = wide_residue(static_cast<u128>(x) * y, limb); break;
        }
        job.out[at] = result;
    });
}

// Sums over terms. Products are below 2^100, so 2^28 of them fit 128 bits.
inline void sum(const Block& block, const SumJob& job) {
    each_entry(block, job, [&](std::size_t polynomial, std::size_t row, const Limb& limb, std::size_t j) {
        const std::size_t own = (row << job.log_n) + j, count = job.rows.count;
        u128 total = 0;
        if (job.kind == SumKind::kTerms) {
            for (std::size_t i = 0; i < job.terms; ++i) total += job.pointers[i][polynomial * job.x_step + own];
        } else if (job.kind == SumKind::kProducts) {
            for (std::size_t i = 0; i < job.terms; ++i)
                total += static_cast<u128>(job.pointers[i][polynomial * job.x_step + own]) *
                         job.pointers[job.terms + i][polynomial * job.y_step + own];
        } else {
            if (polynomial == 0) total = job.factors[count * job.terms + row];
            for (std::size_t i = 0; i < job.terms; ++i) {
                const std::size_t step = job.pointers.word(job.terms + i);
                if (polynomial >= job.pointers.word(2 * job.terms + i)) continue;
                total += static_cast<u128>(job.pointers[i][polynomial * step + own]) * job.factors[row * job.terms + i];
            }
        }
        job.out[((polynomial * count) << job.log_n) + own] = wide_residue(total, limb);
    });
}

// 16 bytes an entry. Entries: aligned runs of 8 come from aligned runs of 8.
inline void automorphism(const Block& block, const AutomorphismJob& job) {
    each_entry(block, job, [&](std::size_t polynomial, std::size_t row, const Limb& limb, unsigned j) {
        const std::size_t at = (polynomial * job.rows.count + row) << job.log_n;
        if (!job.coefficients) {
            job.out[at + j] = job.x[at + permuted(j, job.log_n, job.galois)];
            return;
        }
        const unsigned n = 1u << job.log_n, k = j * job.galois & (2 * n - 1);
        const u64 value = job.x[at + (k & (n - 1))];
        job.out[at + j] = k < n || value == 0 ? value : limb.m.q - value;
    });
}

// 8 bytes in for all limbs, 8 out for each.
inline void from_signed(const Block& block, const SignedJob& job) {
    each_entry(block, job, [&](std::size_t polynomial, std::size_t row, const Limb& limb, std::size_t j) {
        const i64 x = static_cast<i64>(job.x[(polynomial << job.log_n) + j]);
        job.out[((polynomial * job.rows.count + row) << job.log_n) + j] = signed_residue(x, limb);
    });
}

inline void table(const Block& block, const TableJob& job) {
    block.alone([&](std::size_t thread) {
        for (std::size_t i = thread; i < job.count; i += block.threads()) job.to[i] = job.words[i];
    });
}

}  // namespace device
}  // namespace aegis
