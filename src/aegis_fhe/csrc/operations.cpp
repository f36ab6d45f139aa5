// The operations of Ring: loops over rows and blocks, shared by all kernel paths, spread over threads.
#include "parallel.h"
#include "host_ring.h"

namespace aegis {

void HostRing::ntt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->ntt(limbs_[limbs[l]], log_n_, x + at, out + at);
    });
}

void HostRing::intt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->intt(limbs_[limbs[l]], log_n_, x + at, out + at);
    });
}

void HostRing::binary(Binary op, const i64* x, const i64* y, bool y_shared, i64* out, std::size_t outer,
                  const Index& limbs) const {
    std::size_t n = degree();
    auto kernel = op == Binary::kAdd ? kernels_->add : op == Binary::kSub ? kernels_->sub : kernels_->mul;
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernel(limbs_[limbs[l]], x + at, y + (y_shared ? l * n : at), out + at, n);
    });
}

void HostRing::add_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                      const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->add_scalar(limbs_[limbs[l]], x + at, scalars[l], out + at, n);
    });
}

void HostRing::mul_scalar(const i64* x, const std::vector<u64>& scalars, i64* out, std::size_t outer,
                      const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        kernels_->mul_scalar(limbs_[limbs[l]], x + at, scalars[l], out + at, n);
    });
}

// Block by block, so that the multiple stays in the first-level cache.
void HostRing::add_scaled(const Limb& limb, const i64* x, u64 factor, i64* row, std::size_t count) const {
    constexpr std::size_t kBlock = 512;
    alignas(64) i64 scaled[kBlock];
    std::size_t block = count < kBlock ? count : kBlock;
    for (std::size_t at = 0; at < count; at += block) {
        kernels_->mul_scalar(limb, x + at, factor, scaled, block);
        kernels_->add(limb, row + at, scaled, row + at, block);
    }
}

void HostRing::dot(const std::vector<const i64*>& xs, const std::vector<const i64*>& ys, bool y_shared, i64* out,
               std::size_t outer, const Index& limbs) const {
    std::size_t n = degree();
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t at = (o * limbs.size() + l) * n;
        std::vector<const i64*> x_rows(xs), y_rows(ys);
        for (const i64*& row : x_rows) row += at;
        for (const i64*& row : y_rows) row += y_shared ? l * n : at;
        i64* to = out + at;
        kernels_->dots(limbs_[limbs[l]], {1, xs.size(), 1, x_rows.data(), y_rows.data(), &to, n});
    });
}

// Block by block, so that the sum so far stays in the first-level cache.
void HostRing::sum(const std::vector<const i64*>& xs, i64* out, std::size_t outer, const Index& limbs) const {
    constexpr std::size_t kBlock = 1024;
    std::size_t n = degree(), block = n < kBlock ? n : kBlock;
    for_rows(outer, limbs.size(), [&](std::size_t l, std::size_t o) {
        std::size_t row = (o * limbs.size() + l) * n;
        for (std::size_t at = row; at < row + n; at += block) {
            kernels_->add(limbs_[limbs[l]], xs[0] + at, xs[1] + at, out + at, block);
            for (std::size_t i = 2; i < xs.size(); ++i)
                kernels_->add(limbs_[limbs[l]], out + at, xs[i] + at, out + at, block);
        }
    });
}

void HostRing::combination(const Combination& job, i64* out, std::size_t components, const Index& limbs) const {
    std::size_t n = degree(), terms = job.x.size();
    for_rows(components, limbs.size(), [&](std::size_t l, std::size_t c) {
        std::vector<const i64*> rows;
        std::vector<u64> factors;
        for (std::size_t i = 0; i < terms; ++i)
            if (c < job.components[i]) {
                rows.push_back(job.x[i] + c * job.strides[i] + l * n);
                factors.push_back(job.factors[l * terms + i]);
            }
        u64 constant = c == 0 ? job.constants[l] : 0;
        i64* to = out + (c * limbs.size() + l) * n;
        kernels_->combination(limbs_[limbs[l]], {rows.data(), factors.data(), rows.size(), constant, to, n});
    });
}

const ConvertPlan& HostRing::plan(const Index& source, const Index& target) const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<OwnedPlan>& owned = plans_[{source, target}];
    if (!owned) owned = build_plan(limbs_, source, target);
    return owned->plan;
}

void HostRing::convert_rows(const ConvertPlan& plan, const i64* x, i64* out, std::size_t outer, std::size_t x_outer,
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

// One target alone: worth it for few sources, when the row is used at once.
void HostRing::convert_row(const ConvertPlan& plan, std::size_t target, const i64* x, i64* out) const {
    std::size_t n = degree(), block = n < kConvertBlock ? n : kConvertBlock, terms = plan.sources + 1;
    ConvertPlan one = plan;
    one.targets = 1;
    one.target += target;
    one.weights += target * terms;
    one.weights_double += target * terms;
    one.weights_montgomery += target * terms;
    one.product_inverse += target;
    Scratch scratch(*arena_, terms * kConvertStride);
    for (std::size_t at = 0; at < n; at += block)
        kernels_->convert(one, x + at, out + at, n, block, scratch.data());
}

void HostRing::convert(const i64* x, i64* out, std::size_t outer, const Index& source, const Index& target) const {
    std::size_t n = degree();
    convert_rows(plan(source, target), x, out, outer, source.size() * n, target.size() * n);
}

}  // namespace aegis
