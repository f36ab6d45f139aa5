// Python binding: raw pointers as integers, checked on the Python side; the GIL is released around all work.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arena_tensor.h"
#include "device/device_ring.h"
#include "device/driver.h"
#include "embedding.h"
#include "host_link.h"
#include "host_ring.h"
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

std::vector<i64*> outs(const Addresses& addresses) {
    std::vector<i64*> result;
    for (Address a : addresses) result.push_back(out(a));
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

// d, extended, addends.
using Operands = std::vector<std::tuple<Address, Address, Addresses>>;
// b, a, key_rows, where digits end, limbs, factors.
using Key = std::tuple<Address, Address, std::size_t, std::vector<std::size_t>, Index, std::vector<u64>>;

KeyProduct key_product(const Operands& operands, const Key& key) {
    const auto& [b, a, key_rows, ends, limbs, factors] = key;
    KeyProduct job{{}, in(b), in(a), key_rows, digits(ends), limbs, factors};
    for (const auto& [d, extended, addends] : operands) job.operands.push_back({in(d), in(extended), rows(addends)});
    return job;
}

// Scratch from Python: functions that take bytes and give an address, and that take the address back.
class PythonMemory : public Memory {
  public:
    PythonMemory(nb::callable take, nb::callable give) : take_(std::move(take)), give_(std::move(give)) {}
    ~PythonMemory() override {
        nb::gil_scoped_acquire held;
        take_.reset();
        give_.reset();
    }
    Block take(std::size_t bytes) override {
        nb::gil_scoped_acquire held;
        return {reinterpret_cast<void*>(nb::cast<Address>(take_(bytes))), bytes};
    }
    void give(Block block) override {
        nb::gil_scoped_acquire held;
        give_(reinterpret_cast<Address>(block.data));
    }

  private:
    nb::callable take_, give_;
};

struct LauncherHandle {
    std::shared_ptr<device::Launcher> launcher;
};

Ring* make_device_ring(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots,
                       const LauncherHandle& launcher, nb::callable take, nb::callable give) {
    auto memory = std::make_shared<PythonMemory>(std::move(take), std::move(give));
    nb::gil_scoped_release released;
    return new DeviceRing(log_n, moduli, roots, launcher.launcher, std::move(memory));
}

Ring* make_dry_ring(int log_n, std::size_t moduli, const ArenaHandle& arena) {
    const std::vector<u64> none(moduli, 0);
    return new DeviceRing(log_n, none, none, device::null_launcher(), arena.arena);
}

Ring* make_emulated_ring(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots, bool words,
                         int log_tile, bool backwards, const ArenaHandle& arena) {
    std::shared_ptr<device::Launcher> launcher = device::emulated_launcher(words, log_tile, backwards);
    return new DeviceRing(log_n, moduli, roots, std::move(launcher), arena.arena);
}

Ring* make_ring(int log_n, const std::vector<u64>& moduli, const std::vector<u64>& roots, const std::string& path,
                const ArenaHandle& arena) {
    const Kernels* kernels = find_path(path);
    if (kernels == nullptr) throw nb::value_error(("no kernel path named " + path + " on this machine").c_str());
    return new HostRing(log_n, moduli, roots, kernels, arena.arena);
}

const Loops& loops_named(const std::string& path) {
    const Loops* loops = find_loops(path);
    if (loops == nullptr) throw nb::value_error(("no loops named " + path + " on this machine").c_str());
    return *loops;
}

Embedding* make_embedding(int log_slots, const std::string& path) {
    return new Embedding(log_slots, &loops_named(path));
}

void binary(const Ring& ring, int op, Address x, Address y, bool shared, Address to, std::size_t outer,
            const Index& limbs) {
    ring.binary(static_cast<Ring::Binary>(op), in(x), in(y), shared, out(to), outer, limbs);
}

// How this module was built: what a bug report needs, and how a test knows that it runs the checked build.
nb::dict build_info() {
    nb::dict info;
    info["compiler"] = __VERSION__;
#if defined(_OPENMP)
    info["openmp"] = true;
#else
    info["openmp"] = false;
#endif
#if defined(AEGIS_SANITIZERS)
    info["sanitizers"] = AEGIS_SANITIZERS;
#else
    info["sanitizers"] = "";
#endif
    return info;
}

}  // namespace

NB_MODULE(_kernels, m) {
    using Release = nb::call_guard<nb::gil_scoped_release>;
    nb::set_leak_warnings(false);  // a frozen garbage collector leaves its objects to the end of the process
    m.def("available_paths", [] {
        std::vector<std::string> names;
        for (const Kernels* path : available_paths()) names.emplace_back(path->name);
        return names;
    });
    m.def("build_info", &build_info);
    m.def("get_threads", &get_threads);
    m.def("periodic_batch", &periodic_batch, "weight_words"_a, "limbs"_a);
    m.def("set_threads", &set_threads, "threads"_a);
    m.def("sample_uniform", [](Address words, std::size_t count, u64 q, Address to, std::size_t wanted,
                               const std::string& path) {
        return sample_uniform(loops_named(path), reinterpret_cast<const u64*>(words), count, q, out(to), wanted);
    }, Release(), "words"_a, "count"_a, "q"_a, "to"_a, "wanted"_a, "path"_a = "");
    m.def("sample_ternary", [](Address bytes, std::size_t count, Address to, std::size_t wanted) {
        return sample_ternary(reinterpret_cast<const std::uint8_t*>(bytes), count, out(to), wanted);
    }, Release());
    m.def("sample_table", [](Address words, std::size_t count, const std::vector<u64>& table, Address to,
                             const std::string& path) {
        sample_table(loops_named(path), reinterpret_cast<const u64*>(words), count, table.data(), table.size(),
                     out(to));
    }, Release(), "words"_a, "count"_a, "table"_a, "to"_a, "path"_a = "");
    m.def("available_loops", [] {
        std::vector<std::string> names;
        for (const Loops* set : available_loops()) names.emplace_back(set->name);
        return names;
    });
    nb::class_<ArenaHandle>(m, "Arena")
        .def("__init__", [](ArenaHandle* handle, std::size_t slack_bytes) {
            new (handle) ArenaHandle{std::make_shared<Arena>(slack_bytes)};
        }, "slack_bytes"_a)
        .def("tensor", [](const ArenaHandle& h, std::vector<std::int64_t> shape, std::size_t bytes) {
            return arena_tensor(h.arena, std::move(shape), bytes);
        })
        .def("reserve", [](const ArenaHandle& h, std::size_t bytes) { h.arena->reserve(bytes); }, Release())
        .def("trim", [](const ArenaHandle& h) { return h.arena->trim(); }, Release())
        .def("reset_peaks", [](const ArenaHandle& h) { h.arena->reset_peaks(); })
        .def("counters", [](const ArenaHandle& h) {
            Arena::Counters c = h.arena->counters();
            return std::vector<std::size_t>{c.in_use, c.cached, c.peak_in_use, c.peak_held, c.made};
        });
    nb::class_<HostLink>(m, "HostLink")
        .def("__init__", [](HostLink* link, Address bell, const Addresses& bells, const Addresses& incoming,
                            const Addresses& outgoing, std::size_t capacity) {
            std::vector<HostPeer> peers;
            for (std::size_t i = 0; i < bells.size(); ++i)
                peers.push_back({reinterpret_cast<void*>(bells[i]), reinterpret_cast<void*>(incoming.at(i)),
                                 reinterpret_cast<void*>(outgoing.at(i))});
            new (link) HostLink(reinterpret_cast<void*>(bell), peers, capacity);
        }, "bell"_a, "bells"_a, "incoming"_a, "outgoing"_a, "capacity"_a)
        .def("send", [](HostLink& link, std::size_t peer, Address data, std::size_t bytes) {
            return link.send(peer, reinterpret_cast<const void*>(data), bytes);
        }, Release())
        .def("receive", [](HostLink& link, std::size_t peer, Address data, std::size_t bytes) {
            return link.receive(peer, reinterpret_cast<void*>(data), bytes);
        }, Release())
        .def("wait", &HostLink::wait, Release(), "ticket"_a, "seconds"_a);
    nb::class_<Embedding>(m, "Embedding")
        .def(nb::new_(&make_embedding), Release(), "log_slots"_a, "path"_a)
        .def_prop_ro("path", &Embedding::path)
        .def("encode", [](const Embedding& e, Address values, int log_n, double factor, Address to,
                          const std::vector<std::size_t>& rows, std::size_t step) {
            return e.encode(reinterpret_cast<const double*>(values), log_n, factor, out(to), rows, step);
        }, Release())
        .def("decode", [](const Embedding& e, Address coefficients, std::size_t count, int log_n, double factor,
                          Address to) {
            e.decode(reinterpret_cast<const double*>(coefficients), count, log_n, factor,
                     reinterpret_cast<double*>(to));
        }, Release());
    m.def("set_stream", &device::set_stream, "stream"_a);
    nb::class_<LauncherHandle>(m, "CudaLauncher")
        .def("__init__", [](LauncherHandle* handle, int ordinal, nb::bytes image, bool words) {
            new (handle) LauncherHandle{device::cuda_launcher(ordinal, std::string(image.c_str(), image.size()), words)};
        }, "ordinal"_a, "image"_a, "words"_a)
        .def_prop_ro("words", [](const LauncherHandle& handle) { return handle.launcher->words(); });
    nb::class_<Ring>(m, "Ring")
        .def(nb::new_(&make_ring), Release(), "log_n"_a, "moduli"_a, "roots"_a, "path"_a, "arena"_a)
        .def_static("emulated", &make_emulated_ring, Release(), nb::rv_policy::take_ownership, "log_n"_a, "moduli"_a,
                    "roots"_a, "words"_a, "log_tile"_a, "backwards"_a, "arena"_a)
        .def_static("dry", &make_dry_ring, Release(), nb::rv_policy::take_ownership, "log_n"_a, "moduli"_a, "arena"_a)
        .def_static("on_device", &make_device_ring, nb::rv_policy::take_ownership, "log_n"_a, "moduli"_a, "roots"_a,
                    "launcher"_a, "take"_a, "give"_a)
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
        .def("sum", [](const Ring& r, const Addresses& xs, Address to, std::size_t outer, const Index& limbs) {
            r.sum(rows(xs), out(to), outer, limbs);
        }, Release())
        .def("combination", [](const Ring& r, const Addresses& xs, const std::vector<std::size_t>& strides,
                               const std::vector<std::size_t>& counts, const std::vector<u64>& factors,
                               const std::vector<u64>& constants, Address to, std::size_t components,
                               const Index& limbs) {
            r.combination({rows(xs), strides, counts, factors, constants}, out(to), components, limbs);
        }, Release())
        .def("periodic_dot", [](const Ring& r, const Addresses& xs, Address weights, int log_m, Address to,
                                std::size_t count, std::size_t components, const Index& limbs) {
            std::vector<i64*> results;
            for (std::size_t i = 0; i < count; ++i) results.push_back(out(to) + i * components * (limbs.size() << r.log_n()));
            r.periodic_dot({rows(xs), results, components, log_m, limbs}, in(weights));
        }, Release())
        .def("periodic_sums", [](const Ring& r, const Addresses& xs, Address coefficients, const Ring& small,
                                 const Addresses& to, std::size_t components, const Index& limbs) {
            r.periodic_sums({rows(xs), outs(to), components, small.log_n(), limbs}, in(coefficients), small);
        }, Release())
        .def("tensor_product", [](const Ring& r, const Addresses& x, const Addresses& y, std::size_t row_count,
                                  std::size_t terms, std::size_t columns, const Addresses& onto, const Addresses& to,
                                  const Index& limbs) {
            r.tensor_product({rows(x), rows(y), row_count, terms, columns, rows(onto), outs(to)}, limbs);
        }, Release())
        .def("convert", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& source,
                           const Index& target) {
            r.convert(in(x), out(to), outer, source, target);
        }, Release())
        .def("mod_down", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& keep,
                            const Index& drop, u64 galois) {
            r.mod_down(in(x), out(to), outer, keep, drop, galois);
        }, Release())
        .def("mod_up", [](const Ring& r, const Addresses& ds, const Addresses& to, const std::vector<std::size_t>& ends,
                          const Index& limbs) {
            r.mod_up(rows(ds), outs(to), digits(ends), limbs);
        }, Release())
        .def("key_product", [](const Ring& r, const Operands& operands, const Key& key, const Addresses& to) {
            r.key_product(key_product(operands, key), outs(to));
        }, Release())
        .def("switch_key", [](const Ring& r, const Operands& operands, const Key& key, std::size_t kept, u64 galois,
                              const Addresses& to) {
            r.switch_key(key_product(operands, key), outs(to), kept, galois);
        }, Release())
        .def("add_key_product", [](const Ring& r, const Operands& operands, const Key& key, u64 galois, bool first,
                                   Address to) {
            r.add_key_product(key_product(operands, key), galois, first, out(to));
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
        .def("from_signed_ntt", [](const Ring& r, Address x, Address to, std::size_t outer, const Index& limbs) {
            r.from_signed_ntt(in(x), out(to), outer, limbs);
        }, Release())
        .def("lift_row", [](const Ring& r, Address message, Address source, u64 factor, Address row, int limb) {
            r.lift_row(in(message), in(source), factor, out(row), limb);
        }, Release())
        .def("mask_row", [](const Ring& r, Address words, std::size_t count, Address secret, Address row,
                            std::size_t wanted, int limb) {
            return r.mask_row(reinterpret_cast<const u64*>(words), count, in(secret), out(row), wanted, limb);
        }, Release())
        .def("to_centred_double", [](const Ring& r, Address x, Address to, const Index& limbs) {
            r.to_centred_double(in(x), reinterpret_cast<double*>(to), limbs);
        }, Release());
}
