// Python binding: raw pointers as integers, checked on the Python side; the GIL is released around all work.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arena_tensor.h"
#include "ring.h"
#include "sampling.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace aegis;

namespace {

using Address = std::uintptr_t;
using Addresses = std::vector<Address>;

const i64* in(Address a) { return reinterpret_cast<const i64*>(a); }
i64* out(Address a) { return reinterpret_cast<i64*>(a); }

std::vector<const i64*> rows(const Addresses& addresses) {
    std::vector<const i64*> result;
    for (Address a : addresses) result.push_back(in(a));
    return result;
}

// Python's hold on an arena: tensors and rings share the arena itself, not a Python object.
struct ArenaHandle {
    std::shared_ptr<Arena> arena;
};

// Consecutive runs of rows, from where each one ends.
Digits digits(const std::vector<std::size_t>& ends) {
    Digits result;
    for (std::size_t end : ends) result.push_back({result.empty() ? 0 : result.back().end, end});
    return result;
}

Ring* make_ring(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots, const std::string& path,
                const ArenaHandle& arena) {
    const Kernels* kernels = find_path(path);
    if (kernels == nullptr) throw nb::value_error(("no kernel path named " + path + " on this machine").c_str());
    return new Ring(log_n, moduli, roots, kernels, arena.arena);
}

void binary(const Ring& ring, int op, Address x, Address y, bool shared, Address to, std::size_t outer,
            const Index& limbs) {
    ring.binary(static_cast<Ring::Binary>(op), in(x), in(y), shared, out(to), outer, limbs);
}

}  // namespace

NB_MODULE(_kernels, m) {
    using Release = nb::call_guard<nb::gil_scoped_release>;
    m.def("available_paths", [] {
        std::vector<std::string> names;
        for (const Kernels* path : available_paths()) names.emplace_back(path->name);
        return names;
    });
    m.def("get_threads", &get_threads);
    m.def("set_threads", &set_threads, "threads"_a);
    m.def("sample_uniform", [](Address words, std::size_t count, u64 q, Address to, std::size_t wanted) {
        return sample_uniform(reinterpret_cast<const u64*>(words), count, q, out(to), wanted);
    }, Release());
    m.def("sample_ternary", [](Address bytes, std::size_t count, Address to, std::size_t wanted) {
        return sample_ternary(reinterpret_cast<const std::uint8_t*>(bytes), count, out(to), wanted);
    }, Release());
    m.def("sample_table", [](Address words, std::size_t count, const std::vector<u64>& table, Address to) {
        sample_table(reinterpret_cast<const u64*>(words), count, table.data(), table.size(), out(to));
    }, Release());
    nb::class_<ArenaHandle>(m, "Arena")
        .def("__init__", [](ArenaHandle* handle, std::size_t slack_bytes) {
            new (handle) ArenaHandle{std::make_shared<Arena>(slack_bytes)};
        }, "slack_bytes"_a)
        .def("tensor", [](const ArenaHandle& h, std::vector<std::int64_t> shape, std::size_t bytes) {
            return arena_tensor(h.arena, std::move(shape), bytes);
        })
        .def("trim", [](const ArenaHandle& h) { return h.arena->trim(); }, Release())
        .def("reset_peaks", [](const ArenaHandle& h) { h.arena->reset_peaks(); })
        .def("counters", [](const ArenaHandle& h) {
            Arena::Counters c = h.arena->counters();
            return std::vector<std::size_t>{c.in_use, c.cached, c.peak_in_use, c.peak_held, c.made};
        });
    nb::class_<Ring>(m, "Ring")
        .def(nb::new_(&make_ring), Release(), "log_n"_a, "moduli"_a, "roots"_a, "path"_a, "arena"_a)
        .def_prop_ro("path", &Ring::path)
        .def("ntt", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& limbs) {
            r.ntt(in(x), out(to), outer, limbs);
        }, Release())
        .def("intt", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& limbs) {
            r.intt(in(x), out(to), outer, limbs);
        }, Release())
        .def("binary", &binary, Release())
        .def("add_scalar", [](const Ring& r, Address x, const std::vector<u64>& scalars, Address to,
                              std::size_t outer, const Index& limbs) {
            r.add_scalar(in(x), scalars, out(to), outer, limbs);
        }, Release())
        .def("mul_scalar", [](const Ring& r, Address x, const std::vector<u64>& scalars, Address to,
                              std::size_t outer, const Index& limbs) {
            r.mul_scalar(in(x), scalars, out(to), outer, limbs);
        }, Release())
        .def("dot", [](const Ring& r, const Addresses& xs, const Addresses& ys, bool shared, Address to,
                       std::size_t outer, const Index& limbs) {
            r.dot(rows(xs), rows(ys), shared, out(to), outer, limbs);
        }, Release())
        .def("periodic_dot", [](const Ring& r, const Addresses& xs, Address weights, int log_m, Address to,
                                std::size_t count, std::size_t components, const Index& limbs) {
            r.periodic_dot(rows(xs), in(weights), log_m, out(to), count, components, limbs);
        }, Release())
        .def("convert", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& source,
                           const Index& target) {
            r.convert(in(x), out(to), outer, source, target);
        }, Release())
        .def("mod_down", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& keep,
                            const Index& drop, Address addend, std::size_t addends, u64 galois) {
            r.mod_down(in(x), out(to), outer, keep, drop, in(addend), addends, galois);
        }, Release())
        .def("mod_up", [](const Ring& r, Address d, Address to, const std::vector<std::size_t>& ends,
                          const Index& limbs) {
            r.mod_up(in(d), out(to), digits(ends), limbs);
        }, Release())
        .def("key_product", [](const Ring& r, Address d, Address extended, Address b, Address a, std::size_t key_rows,
                               const std::vector<std::size_t>& ends, const Index& limbs, Address to) {
            Digits parts = digits(ends);
            r.key_product({in(d), in(extended), in(b), in(a), key_rows, &parts, &limbs}, out(to));
        }, Release())
        .def("key_product_add", [](const Ring& r, Address d, Address extended, Address b, Address a,
                                   std::size_t key_rows, const std::vector<std::size_t>& ends, const Index& limbs,
                                   u64 galois, bool first, Address sum) {
            Digits parts = digits(ends);
            r.key_product_add({in(d), in(extended), in(b), in(a), key_rows, &parts, &limbs}, galois, first, out(sum));
        }, Release())
        .def("automorphism", [](const Ring& r, Address x, Address to, std::size_t count, u64 galois) {
            r.automorphism(in(x), out(to), count, galois);
        }, Release())
        .def("automorphism_coefficients", [](const Ring& r, Address x, Address to, std::size_t outer,
                                             const Index& limbs, u64 galois) {
            r.automorphism_coefficients(in(x), out(to), outer, limbs, galois);
        }, Release())
        .def("from_signed", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& limbs) {
            r.from_signed(in(x), out(to), outer, limbs);
        }, Release())
        .def("to_centred_double", [](const Ring& r, Address x, Address to, const Index& limbs) {
            r.to_centred_double(in(x), reinterpret_cast<double*>(to), limbs);
        }, Release());
}
