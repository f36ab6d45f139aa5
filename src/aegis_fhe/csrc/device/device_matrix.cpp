// Modular matrix products on a device: one launch, however many operands there are.
#include "device/addresses.h"
#include "device/device_ring.h"
#include "host_ring.h"

namespace aegis {

using device::append;
using device::JobPointers;
using device::words;

void DeviceRing::tensor_product(const TensorProduct& job, const Index& limbs) const {
    if (limbs.empty()) return;
    std::vector<u64> pointers;
    append(pointers, job.x);
    append(pointers, job.y);
    append(pointers, job.onto);
    append(pointers, job.out);
    const JobPointers held(*launcher_, *memory_, pointers);
    device::TensorJob part{device_limbs_, rows(limbs),       held.pointers, job.rows, job.terms,
                           job.columns,   !job.onto.empty(), log_n_};
    const device::EntryTiles tiles(degree(), device::tiles_of(job.rows, device::kTileRows) *
                                                 device::tiles_of(job.columns, device::kTileColumns));
    launcher_->run(device::Kernel::tensor, {tiles.blocks, limbs.size(), tiles.threads, 0}, part);
}

// Limbs [first, last) of the job, the weights' first limb being `first`.
void DeviceRing::periodic_limbs(const PeriodicProduct& job, std::size_t first, std::size_t last, const u64* weights,
                                std::size_t row, std::size_t term, std::size_t limb) const {
    if (first == last) return;
    std::vector<u64> pointers;
    append(pointers, job.x);
    append(pointers, job.out);
    const JobPointers held(*launcher_, *memory_, pointers);
    device::PeriodicJob part{};
    part.limbs = device_limbs_;
    part.residue_rows = rows(Index(job.limbs.begin() + static_cast<std::ptrdiff_t>(first),
                                   job.limbs.begin() + static_cast<std::ptrdiff_t>(last)));
    part.first_row = first;
    part.polynomial_rows = job.limbs.size();
    part.pointers = held.pointers;
    part.rows = job.out.size();
    part.terms = job.x.size() / job.components;
    part.components = job.components;
    part.weights = weights;
    part.row_stride = row;
    part.term_stride = term;
    part.limb_stride = limb;
    part.log_n = log_n_;
    part.shift = log_n_ - job.log_m;
    const device::EntryTiles tiles(degree(), device::tiles_of(part.rows, device::kWeightRows) * job.components);
    launcher_->run(device::Kernel::periodic, {tiles.blocks, last - first, tiles.threads, 0}, part);
}

void DeviceRing::periodic_dot(const PeriodicProduct& job, const i64* weights) const {
    const std::size_t m = std::size_t{1} << job.log_m, count = job.limbs.size(), terms = job.x.size() / job.components;
    periodic_limbs(job, 0, count, words(weights), terms * count * m, count * m, m);
}

void DeviceRing::periodic_sums(const PeriodicProduct& job, const i64* coefficients, const Ring& other) const {
    const auto& small = static_cast<const DeviceRing&>(other);
    const std::size_t m = std::size_t{1} << job.log_m, terms = job.x.size() / job.components;
    const std::size_t weights = job.out.size() * terms, count = job.limbs.size();
    const std::size_t batch = periodic_batch(weights * m, count);
    Scratch memory(*memory_, batch * weights * m);
    for (std::size_t first = 0; first < count; first += batch) {
        const std::size_t last = first + batch < count ? first + batch : count, some = last - first;
        const Index limbs(job.limbs.begin() + static_cast<std::ptrdiff_t>(first),
                          job.limbs.begin() + static_cast<std::ptrdiff_t>(last));
        small.from_signed_ntt(coefficients, reinterpret_cast<i64*>(memory.data()), weights, limbs);
        periodic_limbs(job, first, last, memory.data(), terms * some * m, some * m, m);
    }
}

}  // namespace aegis
