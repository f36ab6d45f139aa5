// The operations of Ring: loops over rows and blocks, shared by all kernel paths, spread over threads.
#include "parallel.h"
#include "ring.h"

namespace aegis {

void Ring::ntt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->ntt(limbs_[limbs[l]], log_n_, x + at, out + at);
    });
}

void Ring::intt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->intt(limbs_[limbs[l]], log_n_, x + at, out + at);
    });
}

void Ring::binary(Binary op, const i64* x, const i64* y, bool y_shared, i64* out, std::size_t outer,
                  const Index& limbs) const {
    std::size_t n = degree();
    auto kernel = op == Binary::kAdd ? kernels_->add : op == Binary::kSub ? kernels_->sub : kernels_->mul;
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernel(limbs_[limbs[l]], x + at, y + (y_shared ? l * n : at), out + at, n);
    });
}

void Ring::add_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                      const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->add_scalar(limbs_[limbs[l]], x + at, scalars[l], out + at, n);
    });
}

void Ring::mul_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                      const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->mul_scalar(limbs_[limbs[l]], x + at, scalars[l], out + at, n);
    });
}

void Ring::dot(const std::vector<const i64*>& xs, const std::vector<const i64*>& ys, bool y_shared, i64* out,
               std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        std::vector<const i64*> x_rows(xs), y_rows(ys);
        for (const i64*& row : x_rows) row += at;
        for (const i64*& row : y_rows) row += y_shared ? l * n : at;
        kernels_->dot(limbs_[limbs[l]], x_rows.data(), y_rows.data(), xs.size(), out + at, n);
    });
}

void Ring::periodic_dot(const std::vector<const i64*>& xs, const i64* weights, int log_m, i64* out, std::size_t rows,
                        std::size_t components, const Index& limbs) const {
    std::size_t n = degree(), m = std::size_t{1} << log_m, terms = xs.size(), count = limbs.size();
    std::size_t groups = (m + kPeriodicRuns - 1) / kPeriodicRuns;
    for_rows(groups, count, [&](std::size_t l, std::size_t group) {
        std::vector<const i64*> x_rows;
        for (const i64* x : xs)
            for (std::size_t c = 0; c < components; ++c) x_rows.push_back(x + (c * count + l) * n);
        std::vector<i64*> out_rows;
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t c = 0; c < components; ++c)
                out_rows.push_back(out + ((r * components + c) * count + l) * n);
        std::size_t begin = group * kPeriodicRuns, end = begin + kPeriodicRuns < m ? begin + kPeriodicRuns : m;
        PeriodicJob job{rows,         terms,         components, x_rows.data(),   weights + l * m,
                        terms * count * m, count * m, out_rows.data(), log_n_ - log_m, begin, end};
        Scratch scratch(*arena_, kernels_->periodic_scratch(job) + 1);
        kernels_->periodic(limbs_[limbs[l]], job, scratch.data());
    });
}

const ConvertPlan& Ring::plan(const Index& source, const Index& target) const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<OwnedPlan>& owned = plans_[{source, target}];
    if (!owned) owned = build_plan(limbs_, source, target);
    return owned->plan;
}

void Ring::convert_rows(const ConvertPlan& plan, const i64* x, i64* out, std::size_t outer, std::size_t x_outer,
                        std::size_t out_outer) const {
    std::size_t n = degree(), block = n < kConvertBlock ? n : kConvertBlock, blocks = n / block;
    [[maybe_unused]] int threads = get_threads();
#pragma omp parallel num_threads(threads) if (threads > 1 && outer * blocks > 1)
    {
        Scratch scratch(*arena_, (plan.sources + 1) * kConvertStride);
#pragma omp for schedule(static)
        for (std::size_t t = 0; t < outer * blocks; ++t) {
            std::size_t o = t / blocks, at = (t % blocks) * block;
            kernels_->convert(plan, x + o * x_outer + at, out + o * out_outer + at, n, block, scratch.data());
        }
    }
}

void Ring::convert(const i64* x, i64* out, std::size_t outer, const Index& source, const Index& target) const {
    std::size_t n = degree();
    convert_rows(plan(source, target), x, out, outer, source.size() * n, target.size() * n);
}

void Ring::from_signed(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        const i64* from = coefficients + o * n;
        i64* to = out + (o * limbs.size() + l) * n;
        i64 q = static_cast<i64>(limbs_[limbs[l]].m.q);
        for (std::size_t j = 0; j < n; ++j) {
            i64 value = from[j];
            bool small = value > -q && value < q;
            i64 r = small ? value : value % q;
            to[j] = r < 0 ? r + q : r;
        }
    });
}

// Mixed radix (Garner): value = d0 + d1 q0 + d2 q0 q1 < 2^150, as 192 bits; centred, then rounded to nearest-even.
void Ring::to_centred_double(const i64* x, double* out, const Index& limbs) const {
    std::size_t n = degree(), count = limbs.size();
    const Modulus& m0 = limbs_[limbs[0]].m;
    const Modulus& m1 = limbs_[limbs[count > 1 ? 1 : 0]].m;
    const Modulus& m2 = limbs_[limbs[count > 2 ? 2 : 0]].m;
    u64 inverse01 = count > 1 ? inverse_mod(m0.q % m1.q, m1) : 0;
    u64 inverse012 = count > 2 ? inverse_mod(mul_mod(m0.q % m2.q, m1.q % m2.q, m2), m2) : 0;
    u128 q01 = static_cast<u128>(m0.q) * (count > 1 ? m1.q : 1);
    // the product Q, split as high * 2^64 + low
    u64 q2 = count > 2 ? m2.q : 1;
    u128 q_low_part = static_cast<u128>(static_cast<u64>(q01)) * q2;
    u128 q_high = static_cast<u128>(static_cast<u64>(q01 >> 64)) * q2 + static_cast<u64>(q_low_part >> 64);
    u64 q_low = static_cast<u64>(q_low_part);
    for_rows(1, n / (n < 1024 ? n : 1024), [&](std::size_t block, std::size_t) {
        std::size_t size = n < 1024 ? n : 1024;
        for (std::size_t j = block * size; j < (block + 1) * size; ++j) {
            u128 low01 = static_cast<u64>(x[j]);
            u64 d2 = 0;
            if (count > 1) {
                u64 x1 = static_cast<u64>(x[n + j]);
                u64 d1 = mul_mod(sub_mod(x1, static_cast<u64>(x[j]) % m1.q, m1.q), inverse01, m1);
                low01 += static_cast<u128>(d1) * m0.q;
            }
            if (count > 2) {
                u64 x2 = static_cast<u64>(x[2 * n + j]);
                d2 = mul_mod(sub_mod(x2, static_cast<u64>(low01 % m2.q), m2.q), inverse012, m2);
            }
            // low01 + d2 q01
            u128 partial = static_cast<u128>(static_cast<u64>(q01)) * d2 + static_cast<u64>(low01);
            u128 high = static_cast<u128>(static_cast<u64>(q01 >> 64)) * d2 + static_cast<u64>(low01 >> 64) +
                        static_cast<u64>(partial >> 64);
            u64 low = static_cast<u64>(partial);
            // negative when 2 value > Q
            u128 twice_high = (high << 1) | (low >> 63);
            u64 twice_low = low << 1;
            bool negative = twice_high > q_high || (twice_high == q_high && twice_low > q_low);
            if (negative) {
                high = q_high - high - (q_low < low);
                low = q_low - low;
            }
            // 192 -> 128 bits with a sticky bit, then one rounding
            double magnitude;
            if ((high >> 64) == 0) {
                magnitude = static_cast<double>((high << 64) | low);
            } else {
                u128 top = high | (low != 0);
                magnitude = static_cast<double>(top) * 18446744073709551616.0;
            }
            out[j] = negative ? -magnitude : magnitude;
        }
    });
}

}  // namespace aegis
