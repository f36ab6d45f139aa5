// A block of an arena as a tensor, through DLPack: the tensor's last view gives the block back, from any thread and
// without Python (so also while the interpreter shuts down).
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <utility>
#include <vector>

#include "arena.h"

namespace aegis {

// The layout that the DLPack specification (version 0) gives to a tensor with its owner.
struct ArenaTensor {
    struct Managed {
        nanobind::dlpack::dltensor tensor;
        void* context;
        void (*deleter)(Managed*);
    };
    Managed managed{};
    std::vector<std::int64_t> shape;
    std::shared_ptr<Arena> arena;
    Arena::Block block{};

    static void release(Managed* managed) {
        auto* self = static_cast<ArenaTensor*>(managed->context);
        self->arena->give(self->block);
        delete self;
    }
};

// An int64 tensor of this shape, not initialised, as the capsule that `torch.from_dlpack` takes.
inline nanobind::object arena_tensor(const std::shared_ptr<Arena>& arena, std::vector<std::int64_t> shape,
                                     std::size_t bytes) {
    auto owner = std::make_unique<ArenaTensor>();
    owner->shape = std::move(shape);
    owner->arena = arena;
    owner->block = arena->take(bytes);
    nanobind::dlpack::dltensor& t = owner->managed.tensor;
    t.data = owner->block.data;
    t.device = {nanobind::device::cpu::value, 0};
    t.ndim = static_cast<std::int32_t>(owner->shape.size());
    t.dtype = nanobind::dtype<std::int64_t>();
    t.shape = owner->shape.data();
    owner->managed.context = owner.get();
    owner->managed.deleter = &ArenaTensor::release;
    ArenaTensor::Managed* managed = &owner.release()->managed;
    PyObject* capsule = PyCapsule_New(managed, "dltensor", [](PyObject* self) {
        if (PyCapsule_IsValid(self, "dltensor") == 0) return;  // a tensor owns it now
        auto* unused = static_cast<ArenaTensor::Managed*>(PyCapsule_GetPointer(self, "dltensor"));
        unused->deleter(unused);
    });
    if (capsule == nullptr) {
        managed->deleter(managed);
        throw nanobind::python_error();
    }
    return nanobind::steal(capsule);
}

}  // namespace aegis
