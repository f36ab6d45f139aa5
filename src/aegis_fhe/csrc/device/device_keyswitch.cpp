// The steps of a hybrid key switch on a device: ModUp and ModDown are one inverse transform, one conversion for each
// digit and one forward transform, the inner product with the key one launch for up to four operands.
#include <algorithm>

#include "device/addresses.h"
#include "device/device_ring.h"

namespace aegis {

using device::Kernel;

using device::places;
using device::words;

void DeviceRing::mod_up(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, const Digits& digits,
                        const Index& limbs) const {
    for (std::size_t first = 0; first < ds.size(); first += device::kMaxOuts)
        extend(ds, extended, first, std::min(ds.size() - first, device::kMaxOuts), digits, limbs);
}

// `count` polynomials from `first` on, together.
void DeviceRing::extend(const std::vector<const i64*>& ds, const std::vector<i64*>& extended, std::size_t first,
                        std::size_t count, const Digits& digits, const Index& limbs) const {
    const std::size_t n = degree(), q_rows = digits.back().end;
    Scratch scratch(*memory_, count * q_rows * n);
    device::TransformJob inverse{};
    inverse.rows = rows(Index(limbs.begin(), limbs.begin() + static_cast<std::ptrdiff_t>(q_rows)));
    inverse.polynomials = count;
    inverse.in = places(ds, first, count);
    inverse.out = places(scratch.data(), q_rows * n);
    inverse.scale = digit_scales(digits, limbs);
    transform(false, inverse, inverse.out);
    std::vector<i64*> to(extended.begin() + static_cast<std::ptrdiff_t>(first),
                         extended.begin() + static_cast<std::ptrdiff_t>(first + count));
    std::vector<i64*> untransformed(to);
    Index converted;  // limbs of the rows that are not transformed yet, which end at `to`
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const Digit& digit = digits[i];
        Index own(limbs.begin() + digit.begin, limbs.begin() + digit.end), others(limbs);
        others.erase(others.begin() + digit.begin, others.begin() + digit.end);
        convert_rows(plan(own, others), places(scratch.data() + digit.begin * n, q_rows * n), places(to, 0, count),
                     count, true);
        for (i64*& rows_of : to) rows_of += others.size() * n;
        converted.insert(converted.end(), others.begin(), others.end());
        if (i + 1 < digits.size() && converted.size() + limbs.size() <= device::kMaxRows) continue;
        device::TransformJob forward{};
        forward.rows = rows(converted);
        forward.polynomials = count;
        forward.in = forward.out = places(untransformed, 0, count);
        transform(true, forward, forward.out);
        converted.clear();
        untransformed = to;
    }
}

void DeviceRing::key_products(const KeyProduct& job, const std::vector<i64*>& out, u64 galois, bool onto) const {
    const std::size_t count = job.limbs.size(), threads = std::min(degree(), device::kThreads);
    device::KeyJob part{};
    part.limbs = device_limbs_;
    part.rows = rows(job.limbs);
    part.b = words(job.b);
    part.a = words(job.a);
    part.key_rows = job.key_rows;
    part.q_rows = job.digits.back().end;
    part.digits = job.digits.size();
    for (std::size_t i = 0; i < job.digits.size(); ++i)
        part.ends[i] = static_cast<unsigned short>(job.digits[i].end);
    std::copy(job.factors.begin(), job.factors.end(), part.factors);
    part.log_n = log_n_;
    part.galois = static_cast<unsigned>(galois);
    part.onto = onto;
    for (std::size_t first = 0; first < job.operands.size(); first += device::kGroup) {
        part.operands = std::min(job.operands.size() - first, device::kGroup);
        for (std::size_t r = 0; r < part.operands; ++r) {
            const KeyProduct::Operand& operand = job.operands[first + r];
            part.d[r] = words(operand.d);
            part.extended[r] = words(operand.extended);
            for (std::size_t c = 0; c < 2; ++c)
                part.addends[r][c] = c < operand.addends.size() ? words(operand.addends[c]) : nullptr;
            part.out[r] = words(out[first + r]);
        }
        launcher_->run(Kernel::key_product, {degree() / threads, count, threads, 0}, part);
    }
}

void DeviceRing::key_product(const KeyProduct& job, const std::vector<i64*>& out) const {
    key_products(job, out, 1, false);
}

void DeviceRing::add_key_product(const KeyProduct& job, u64 galois, bool first, i64* total) const {
    key_products(job, {total}, galois, !first);
}

void DeviceRing::switch_key(const KeyProduct& job, const std::vector<i64*>& out, std::size_t kept, u64 galois) const {
    const std::size_t n = degree(), size = 2 * job.limbs.size() * n;
    const Index keep(job.limbs.begin(), job.limbs.begin() + static_cast<std::ptrdiff_t>(kept));
    const Index drop(job.limbs.begin() + static_cast<std::ptrdiff_t>(kept), job.limbs.end());
    Scratch scratch(*memory_, out.size() * size);
    std::vector<i64*> products, components;
    for (std::size_t r = 0; r < out.size(); ++r) {
        products.push_back(reinterpret_cast<i64*>(scratch.data() + r * size));
        for (std::size_t c = 0; c < 2; ++c) components.push_back(out[r] + c * kept * n);
    }
    key_products(job, products, 1, false);
    divide(scratch.data(), components.size(), components, keep, drop, galois);
}

void DeviceRing::mod_down(const i64* x, i64* out, std::size_t outer, const Index& keep, const Index& drop,
                          u64 galois) const {
    std::vector<i64*> components;
    for (std::size_t o = 0; o < outer; ++o) components.push_back(out + o * keep.size() * degree());
    divide(words(x), outer, components, keep, drop, galois);
}

// kMaxOuts polynomials at a time. One dropped limb needs no conversion: the first pass reads its row for all others.
void DeviceRing::divide(const u64* x, std::size_t outer, const std::vector<i64*>& out, const Index& keep,
                        const Index& drop, u64 galois) const {
    const std::size_t n = degree(), kept = keep.size(), dropped = drop.size(), all = (kept + dropped) * n;
    if (outer == 0 || kept == 0) return;
    const device::Plan& constants = plan(drop, keep);
    const bool single = dropped == 1;
    const std::size_t some = std::min(outer, device::kMaxOuts);
    Scratch low(*memory_, some * dropped * n), between(*memory_, some * kept * n);
    for (std::size_t first = 0; first < outer; first += some, x += some * all) {
        const std::size_t count = std::min(outer - first, some);
        device::TransformJob inverse{};
        inverse.rows = rows(drop);
        inverse.polynomials = count;
        inverse.in = places(x + kept * n, all);
        inverse.out = places(low.data(), dropped * n);
        inverse.scale = single ? nullptr : constants.hat_scale;
        transform(false, inverse, inverse.out);
        const device::Places converted = places(between.data(), kept * n);
        if (!single) convert_rows(constants, inverse.out, converted, count, true);
        device::TransformJob forward{};
        forward.rows = rows(keep);
        forward.polynomials = count;
        forward.in = single ? inverse.out : converted;
        forward.source = single ? device::Source::kDropped : device::Source::kResidues;
        forward.dropped = static_cast<unsigned>(drop[0]);
        forward.sink = device::Sink::kQuotient;
        forward.x = x;
        forward.x_step = all;
        forward.factor = constants.product_inverse;
        forward.inverse_galois = inverse_galois(galois);
        forward.out = places(out, first, count);
        transform(true, forward, converted);
    }
}

}  // namespace aegis
