// The operations of a ring on a device, as launches.
#include "device/device_ring.h"

#include <algorithm>
#include <stdexcept>

#include "device/addresses.h"
#include "device/geometry.h"

namespace aegis {

using device::Grid;
using device::Kernel;

using device::append;
using device::DeviceTable;
using device::JobPointers;
using device::places;
using device::words;

device::Rows DeviceRing::rows(const Index& limbs) const {
    if (limbs.size() > device::kMaxRows) throw std::length_error("more rows than one launch names");
    device::Rows result{};
    result.count = static_cast<unsigned>(limbs.size());
    std::copy(limbs.begin(), limbs.end(), result.limb);
    return result;
}

unsigned DeviceRing::inverse_galois(u64 galois) const {
    return static_cast<unsigned>(inverse_word(galois) & (2 * degree() - 1));
}

template <class Job>
void DeviceRing::entries(Kernel kernel, std::size_t rows, const Job& job) const {
    const std::size_t threads = std::min(degree(), device::kThreads);
    if (rows > 0) launcher_->run(kernel, {rows, degree() / threads, threads, 0}, job);
}

// One pass where a row fits a tile, else two; `between` is what the first leaves to the second.
void DeviceRing::transform(bool forward, device::TransformJob job, const device::Places& between) const {
    job.limbs = device_limbs_;
    job.log_n = log_n_;
    const std::size_t total = (job.polynomials * job.rows.count) << log_n_;
    if (total == 0) return;
    const device::Passes passes(log_n_, launcher_->log_tile(), total);
    job.log_tile = passes.log_tile;
    const Kernel kernel = forward ? Kernel::forward_pass : Kernel::inverse_pass;
    const Grid grid{passes.blocks, 1, passes.threads, passes.shared_bytes};
    if (passes.columns == 0) {
        job.first = 0;
        job.stages = log_n_;
        launcher_->run(kernel, grid, job);
        return;
    }
    device::TransformJob first = job, second = job;
    first.out = between;
    first.sink = device::Sink::kLazy;
    second.in = between;
    second.source = device::Source::kLazy;
    device::TransformJob& columns = forward ? first : second;
    device::TransformJob& lines = forward ? second : first;
    columns.first = 0;
    columns.stages = passes.columns;
    lines.first = passes.columns;
    lines.stages = log_n_ - passes.columns;
    launcher_->run(kernel, grid, first);
    launcher_->run(kernel, grid, second);
}

void DeviceRing::transform_all(bool forward, device::Source source, const i64* x, i64* out, std::size_t outer,
                               const Index& limbs) const {
    device::TransformJob job{};
    job.rows = rows(limbs);
    job.polynomials = outer;
    job.source = source;
    const std::size_t step = limbs.size() * degree();
    job.in = places(words(x), source == device::Source::kSigned ? degree() : step);
    job.out = places(words(out), step);
    transform(forward, job, job.out);
}

void DeviceRing::ntt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    transform_all(true, device::Source::kResidues, x, out, outer, limbs);
}

void DeviceRing::intt(const i64* x, i64* out, std::size_t outer, const Index& limbs) const {
    transform_all(false, device::Source::kResidues, x, out, outer, limbs);
}

void DeviceRing::from_signed_ntt(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const {
    transform_all(true, device::Source::kSigned, coefficients, out, outer, limbs);
}

void DeviceRing::from_signed(const i64* coefficients, i64* out, std::size_t outer, const Index& limbs) const {
    device::SignedJob job{device_limbs_, rows(limbs), words(coefficients), words(out), log_n_};
    entries(Kernel::from_signed, outer * limbs.size(), job);
}

void DeviceRing::binary(Binary op, const i64* x, const i64* y, bool y_shared, i64* out, std::size_t outer,
                        const Index& limbs) const {
    device::EntrywiseJob job{};
    job.limbs = device_limbs_;
    job.rows = rows(limbs);
    job.x = words(x);
    job.y = words(y);
    job.out = words(out);
    job.y_step = y_shared ? 0 : limbs.size() * degree();
    job.log_n = log_n_;
    job.operation = op == Binary::kAdd   ? device::Entrywise::kAdd
                    : op == Binary::kSub ? device::Entrywise::kSub
                                         : device::Entrywise::kMul;
    entries(Kernel::entrywise, outer * limbs.size(), job);
}

void DeviceRing::scalars(device::Entrywise operation, const i64* x, const std::vector<u64>& values, i64* out,
                         std::size_t outer, const Index& limbs) const {
    if (values.size() > device::kMaxLimbs) throw std::length_error("more limbs than a ring has");
    device::EntrywiseJob job{};
    job.limbs = device_limbs_;
    job.rows = rows(limbs);
    job.x = words(x);
    job.out = words(out);
    job.log_n = log_n_;
    job.operation = operation;
    std::copy(values.begin(), values.end(), job.scalars);
    entries(Kernel::entrywise, outer * limbs.size(), job);
}

void DeviceRing::add_scalar(const i64* x, const std::vector<u64>& values, i64* out, std::size_t outer,
                            const Index& limbs) const {
    scalars(device::Entrywise::kAddScalar, x, values, out, outer, limbs);
}

void DeviceRing::mul_scalar(const i64* x, const std::vector<u64>& values, i64* out, std::size_t outer,
                            const Index& limbs) const {
    scalars(device::Entrywise::kMulScalar, x, values, out, outer, limbs);
}

void DeviceRing::sums(device::SumKind kind, const std::vector<u64>& pointers, std::size_t terms, i64* out,
                      std::size_t outer, std::size_t y_step, const std::vector<u64>& factors,
                      const Index& limbs) const {
    const JobPointers held(*launcher_, *memory_, pointers);
    const DeviceTable constants(*launcher_, *memory_, factors);
    device::SumJob job{};
    job.limbs = device_limbs_;
    job.rows = rows(limbs);
    job.terms = terms;
    job.pointers = held.pointers;
    job.out = words(out);
    job.x_step = limbs.size() * degree();
    job.y_step = y_step;
    job.factors = constants.data();
    job.log_n = log_n_;
    job.kind = kind;
    entries(Kernel::sum, outer * limbs.size(), job);
}

void DeviceRing::dot(const std::vector<const i64*>& xs, const std::vector<const i64*>& ys, bool y_shared, i64* out,
                     std::size_t outer, const Index& limbs) const {
    std::vector<u64> pointers;
    append(pointers, xs);
    append(pointers, ys);
    const std::size_t y_step = y_shared ? 0 : limbs.size() * degree();
    sums(device::SumKind::kProducts, pointers, xs.size(), out, outer, y_step, {}, limbs);
}

void DeviceRing::sum(const std::vector<const i64*>& xs, i64* out, std::size_t outer, const Index& limbs) const {
    std::vector<u64> pointers;
    append(pointers, xs);
    sums(device::SumKind::kTerms, pointers, xs.size(), out, outer, 0, {}, limbs);
}

void DeviceRing::combination(const Combination& job, i64* out, std::size_t components, const Index& limbs) const {
    std::vector<u64> pointers, factors(job.factors);
    append(pointers, job.x);
    pointers.insert(pointers.end(), job.strides.begin(), job.strides.end());
    pointers.insert(pointers.end(), job.components.begin(), job.components.end());
    factors.insert(factors.end(), job.constants.begin(), job.constants.end());
    sums(device::SumKind::kCombination, pointers, job.x.size(), out, components, 0, factors, limbs);
}

void DeviceRing::automorphism(const i64* x, i64* out, std::size_t count, u64 galois) const {
    device::AutomorphismJob job{device_limbs_, rows({0}), words(x), words(out), log_n_,
                                static_cast<unsigned>(galois), false};
    entries(Kernel::automorphism, count, job);
}

void DeviceRing::automorphism_coefficients(const i64* x, i64* out, std::size_t outer, const Index& limbs,
                                           u64 galois) const {
    device::AutomorphismJob job{device_limbs_, rows(limbs), words(x), words(out), log_n_, inverse_galois(galois), true};
    entries(Kernel::automorphism, outer * limbs.size(), job);
}

void DeviceRing::convert_rows(const device::Plan& plan, const device::Places& in, const device::Places& out,
                              std::size_t polynomials, bool scaled) const {
    if (polynomials == 0 || plan.targets == 0) return;
    const device::Points points(degree(), plan.sources + 1);
    device::ConvertJob job{device_limbs_, plan, in, out, log_n_, points.count, scaled};
    launcher_->run(Kernel::convert, {degree() / points.count, polynomials, points.threads, points.shared_bytes}, job);
}

void DeviceRing::convert(const i64* x, i64* out, std::size_t outer, const Index& source, const Index& target) const {
    const std::size_t n = degree();
    const device::Places in = places(words(x), source.size() * n), to = places(words(out), target.size() * n);
    convert_rows(plan(source, target), in, to, outer, false);
}

void DeviceRing::lift_row(const i64*, const i64*, u64, i64*, int) const {
    throw std::logic_error("secrets are handled by the host's ring");
}

std::size_t DeviceRing::mask_row(const u64*, std::size_t, const i64*, i64*, std::size_t, int) const {
    throw std::logic_error("secrets are handled by the host's ring");
}

void DeviceRing::to_centred_double(const i64*, double*, const Index&) const {
    throw std::logic_error("results are decoded by the host's ring");
}

}  // namespace aegis
