// The steps of a hybrid key switch, each one pass over memory: ModUp, inner product with the key, ModDown. What
// follows a step (a sum, an automorphism) is done to a row while that row is in cache.
#include "parallel.h"
#include "host_ring.h"

namespace aegis {
namespace {

constexpr std::size_t kChunk = 4096;   // entries of every row handled at once: 32 KiB
constexpr std::size_t kFewDropped = 1;  // up to here ModDown converts row by row

}  // namespace

// Extended rows only: digit by digit, its converted rows in the order of `limbs`. Its own rows are those of d.
void HostRing::mod_up(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, const Digits& digits,
                      const Index& limbs) const {
    for (std::size_t i = 0; i < ds.size(); ++i) extend(ds[i], extended[i], digits, limbs);
}

void HostRing::extend(const i64* d, i64* extended, const Digits& digits, const Index& limbs) const {
    std::size_t n = degree(), rows = digits.back().end;
    Scratch memory(*arena_, rows * n);
    i64* coefficients = reinterpret_cast<i64*>(memory.data());
    for_rows(1, rows, [&](std::size_t l, std::size_t) {
        kernels_->intt(limbs_[limbs[l]], log_n_, d + l * n, coefficients + l * n);
    });
    i64* to = extended;
    for (const Digit& digit : digits) {
        Index own(limbs.begin() + digit.begin, limbs.begin() + digit.end), others(limbs);
        others.erase(others.begin() + digit.begin, others.begin() + digit.end);
        convert_rows(plan(own, others), coefficients + digit.begin * n, to, 1, 0, 0);
        for_rows(1, others.size(), [&](std::size_t l, std::size_t) {
            kernels_->ntt(limbs_[others[l]], log_n_, to + l * n, to + l * n);
        });
        to += others.size() * n;
    }
}

// Row l of every digit of every operand, the converted one or d's own, and of both halves of the key: those above the
// level of d are skipped.
struct HostRing::KeyRows {
    std::vector<const i64*> x, key;  // [operand][digit], [digit][half]
    KeyRows(const KeyProduct& job, std::size_t l, std::size_t n) {
        std::size_t count = job.limbs.size(), q_rows = job.digits.back().end;
        std::size_t key_row = l < q_rows ? l : l + job.key_rows - count;
        for (const KeyProduct::Operand& operand : job.operands) {
            const i64* extended = operand.extended;
            for (const Digit& digit : job.digits) {
                std::size_t size = digit.end - digit.begin;
                bool own = digit.begin <= l && l < digit.end;
                x.push_back(own ? operand.d + l * n : extended + (l < digit.begin ? l : l - size) * n);
                extended += (count - size) * n;
            }
        }
        for (std::size_t j = 0; j < job.digits.size(); ++j)
            for (const i64* half : {job.b, job.a}) key.push_back(half + (j * job.key_rows + key_row) * n);
    }
};

// Row l of out [operand][half], chunk by chunk: the addends join while it lies in cache.
void HostRing::product_row(const KeyProduct& job, std::size_t l, const std::vector<i64*>& out) const {
    std::size_t n = degree(), chunk = n < kChunk ? n : kChunk, operands = job.operands.size();
    const Limb& limb = limbs_[job.limbs[l]];
    bool joined = l < job.digits.back().end;
    KeyRows rows(job, l, n);
    std::vector<i64*> to(out);
    for (std::size_t at = 0; at < n; at += chunk) {
        kernels_->dots(limb, {operands, job.digits.size(), 2, rows.x.data(), rows.key.data(), to.data(), chunk});
        for (std::size_t r = 0; joined && r < operands; ++r)
            for (std::size_t c = 0; c < job.operands[r].addends.size(); ++c)
                add_scaled(limb, job.operands[r].addends[c] + l * n + at, job.factors[l], to[2 * r + c], chunk);
        for (auto* side : {&rows.x, &rows.key})
            for (const i64*& pointer : *side) pointer += chunk;
        for (i64*& pointer : to) pointer += chunk;
    }
}

void HostRing::key_product(const KeyProduct& job, const std::vector<i64*>& out) const {
    std::size_t n = degree(), count = job.limbs.size();
    for_rows(1, count, [&](std::size_t l, std::size_t) {
        std::vector<i64*> rows;
        for (i64* to : out)
            for (std::size_t c = 0; c < 2; ++c) rows.push_back(to + (c * count + l) * n);
        product_row(job, l, rows);
    });
}

void HostRing::switch_key(const KeyProduct& job, const std::vector<i64*>& out, std::size_t kept, u64 galois) const {
    std::size_t words = 2 * job.limbs.size() * degree();
    Index keep(job.limbs.begin(), job.limbs.begin() + kept), drop(job.limbs.begin() + kept, job.limbs.end());
    Scratch memory(*arena_, out.size() * words);
    std::vector<i64*> products;
    for (std::size_t r = 0; r < out.size(); ++r) products.push_back(reinterpret_cast<i64*>(memory.data()) + r * words);
    key_product(job, products);
    for (std::size_t r = 0; r < out.size(); ++r) mod_down(products[r], out[r], 2, keep, drop, galois);
}

void HostRing::add_key_product(const KeyProduct& job, u64 galois, bool first, i64* total) const {
    std::size_t n = degree(), count = job.limbs.size();
    const PermutePlan& order = permutation(galois);
    for_rows(1, count, [&](std::size_t l, std::size_t) {
        Scratch memory(*arena_, 2 * n);
        i64* row = reinterpret_cast<i64*>(memory.data());
        product_row(job, l, {row, row + n});
        for (std::size_t c = 0; c < 2; ++c) {
            i64* to = total + (c * count + l) * n;
            first ? kernels_->permute(row + c * n, order, to)
                  : kernels_->permute_add(limbs_[job.limbs[l]], row + c * n, order, to);
        }
    });
}

void HostRing::mod_down(const i64* x, i64* out, std::size_t outer, const Index& keep, const Index& drop,
                    u64 galois) const {
    std::size_t n = degree(), kept = keep.size(), dropped = drop.size(), all = kept + dropped;
    const ConvertPlan& constants = plan(drop, keep);
    const PermutePlan* order = galois == 1 ? nullptr : &permutation(galois);
    Scratch coefficients(*arena_, dropped * n), converted(*arena_, order ? kept * n : 1);
    i64* low = reinterpret_cast<i64*>(coefficients.data());
    for (std::size_t o = 0; o < outer; ++o, x += all * n, out += kept * n) {
        i64* rows = order ? reinterpret_cast<i64*>(converted.data()) : out;
        for_rows(1, dropped, [&](std::size_t l, std::size_t) {
            kernels_->intt(limbs_[drop[l]], log_n_, x + (kept + l) * n, low + l * n);
        });
        if (dropped > kFewDropped) convert_rows(constants, low, rows, 1, 0, 0);
        for_rows(1, kept, [&](std::size_t l, std::size_t) {
            i64* row = rows + l * n;
            if (dropped <= kFewDropped) convert_row(constants, l, low, row);
            kernels_->ntt_subtract_scale(limbs_[keep[l]], log_n_, row, x + l * n, constants.product_inverse[l], row);
            if (order) kernels_->permute(row, *order, out + l * n);
        });
    }
}

}  // namespace aegis
