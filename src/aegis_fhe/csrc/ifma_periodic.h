// The product of ciphertexts with periodic plaintexts over an IFMA lane policy: a modular matrix product for each run of
// equal weights.
//
// Rows of weights and of ciphertexts lie a large power of two apart, where they would share cache sets. So the operands
// of a span of entries are first packed, each of their cache lines read once: weights as [run][tile of rows][term][row],
// entries as [block of entries][term].
#pragma once

#include "ifma_kernels.h"

namespace aegis {

template <class L>
class IfmaPeriodic {
    using Word = typename L::Word;
    static constexpr std::size_t kLanes = 8;
    static constexpr std::size_t kRows = 4;  // of a tile: with two vectors of entries, 16 sums in registers

  public:
    static std::size_t scratch(const PeriodicJob& job) {
        return job.rows * job.terms * (job.shift < 3 ? kLanes : job.run_end - job.run_begin) +
               job.terms * (job.shift < 3 ? kLanes : span_of(job)) + 2 * kLanes;
    }

    static void run(const Limb& limb, const PeriodicJob& job, u64* scratch) {
        for (std::size_t first = 0; first < job.terms; first += kIfmaMaxTerms) {
            std::size_t terms = job.terms - first < kIfmaMaxTerms ? job.terms - first : kIfmaMaxTerms;
            IfmaPeriodic part(limb, job, first, terms, scratch);
            job.shift < 3 ? part.short_runs() : job.shift == 3 ? part.long_runs<1>() : part.long_runs<2>();
        }
    }

  private:
    const PeriodicJob& job_;
    const std::size_t first_, terms_, runs_;
    const IfmaReducer<L> reducer_;
    u64 *weights_, *x_;

    IfmaPeriodic(const Limb& limb, const PeriodicJob& job, std::size_t first, std::size_t terms, u64* scratch)
        : job_(job), first_(first), terms_(terms), runs_(job.run_end - job.run_begin), reducer_(limb.m) {
        weights_ = scratch;
        x_ = scratch + (job.rows * terms * (job.shift < 3 ? kLanes : runs_) + kLanes - 1) / kLanes * kLanes;
    }

    // Entries packed at once: all runs of the job, or a part of one long run.
    static std::size_t span_of(const PeriodicJob& job) {
        std::size_t length = std::size_t{1} << job.shift, all = (job.run_end - job.run_begin) << job.shift;
        return length >= kPeriodicPoints ? kPeriodicPoints : all;
    }

    const i64* weight_row(std::size_t r, std::size_t b) const {
        return job_.weights + r * job_.row_stride + (first_ + b) * job_.term_stride + job_.run_begin;
    }

    // to[k * stride] for run k
    void scatter_runs(const i64* from, u64* to, std::size_t stride) const {
        for (std::size_t k = 0; k < runs_; ++k) to[k * stride] = static_cast<u64>(from[k]);
    }

    void pack_runs() {
        std::size_t stride = job_.rows * terms_;  // of a run
        u64* to = weights_;
        for (std::size_t r = 0; r < job_.rows;) {
            std::size_t tile = job_.rows - r >= kRows ? kRows : 1;
            for (std::size_t b = 0; b < terms_; ++b)
                for (std::size_t i = 0; i < tile; ++i) scatter_runs(weight_row(r + i, b), to++, stride);
            r += tile;
        }
    }

    template <std::size_t kVectors>
    void pack_entries(std::size_t c, std::size_t at, std::size_t span) {
        constexpr std::size_t kBlock = kVectors * kLanes;
        for (std::size_t b = 0; b < terms_; ++b) {
            const i64* from = job_.x[(first_ + b) * job_.components + c] + at;
            for (std::size_t j = 0; j < span; j += kBlock)
                for (std::size_t v = 0; v < kBlock; v += kLanes)
                    L::store(x_ + j * terms_ + b * kBlock + v, load_row<L>(from + j + v));
        }
    }

    template <std::size_t kVectors>
    void long_runs() {
        pack_runs();
        std::size_t span = span_of(job_), end = job_.run_end << job_.shift;
        for (std::size_t at = job_.run_begin << job_.shift; at < end; at += span)
            for (std::size_t c = 0; c < job_.components; ++c) {
                pack_entries<kVectors>(c, at, span);
                for (std::size_t j = 0; j < span; j += kVectors * kLanes) {
                    std::size_t run = ((at + j) >> job_.shift) - job_.run_begin;
                    const u64* w = weights_ + run * job_.rows * terms_;
                    std::size_t r = 0;
                    for (; r + kRows <= job_.rows; r += kRows, w += kRows * terms_)
                        tile<kRows, kVectors>(x_ + j * terms_, w, r, c, at + j);
                    for (; r < job_.rows; ++r, w += terms_) tile<1, kVectors>(x_ + j * terms_, w, r, c, at + j);
                }
            }
    }

    template <std::size_t kTile, std::size_t kVectors>
    void tile(const u64* x, const u64* w, std::size_t r, std::size_t c, std::size_t at) const {
        IfmaSum<L> sums[kTile][kVectors];
        for (std::size_t b = 0; b < terms_; ++b, x += kVectors * kLanes, w += kTile) {
            Word values[kVectors];
            for (std::size_t v = 0; v < kVectors; ++v) values[v] = L::load(x + v * kLanes);
            for (std::size_t i = 0; i < kTile; ++i) {
                Word weight = L::all(w[i]);
                for (std::size_t v = 0; v < kVectors; ++v) sums[i][v].add_product(values[v], weight);
            }
        }
        for (std::size_t i = 0; i < kTile; ++i)
            for (std::size_t v = 0; v < kVectors; ++v) put(sums[i][v], out_row(r + i, c) + at + v * kLanes);
    }

    // A vector spans several runs: one weight for each lane.
    void short_runs() {
        for (std::size_t at = job_.run_begin << job_.shift; at < job_.run_end << job_.shift; at += kLanes) {
            u64* to = weights_;
            for (std::size_t r = 0; r < job_.rows; ++r)
                for (std::size_t b = 0; b < terms_; ++b)
                    for (std::size_t lane = 0; lane < kLanes; ++lane)
                        *to++ = static_cast<u64>(weight_row(r, b)[((at + lane) >> job_.shift) - job_.run_begin]);
            for (std::size_t c = 0; c < job_.components; ++c) {
                pack_entries<1>(c, at, kLanes);
                for (std::size_t r = 0; r < job_.rows; ++r) {
                    IfmaSum<L> sum;
                    const u64* w = weights_ + r * terms_ * kLanes;
                    for (std::size_t b = 0; b < terms_; ++b)
                        sum.add_product(L::load(x_ + b * kLanes), L::load(w + b * kLanes));
                    put(sum, out_row(r, c) + at);
                }
            }
        }
    }

    i64* out_row(std::size_t r, std::size_t c) const { return job_.out[r * job_.components + c]; }

    void put(const IfmaSum<L>& sum, i64* out) const {
        Word value = reducer_.reduce(sum);
        if (first_ != 0) value = reducer_.f.fold(L::add(value, load_row<L>(out)), reducer_.f.q);
        store_row<L>(out, value);
    }
};

}  // namespace aegis
