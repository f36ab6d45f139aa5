// What a kernel sees of the machine: a block of threads with shared memory. Kernels are written once, in phases: all
// threads of a block do one phase before any does the next. On a GPU a phase is the thread's own call and a barrier; on
// the CPU it is a loop over the threads, in either order, so that a phase in which one thread reads what another
// writes gives different results for the two orders.
#pragma once

#include "modular.h"

#if defined(__CUDACC__)
#define AEGIS_UNROLL _Pragma("unroll")
#define AEGIS_UNROLL_BY_4 _Pragma("unroll 4")
#else
#define AEGIS_UNROLL
#define AEGIS_UNROLL_BY_4
#endif

namespace aegis {
namespace device {

#if defined(__CUDACC__)

extern __shared__ u64 shared_words[];

struct Block {
    __device__ std::size_t x() const { return blockIdx.x; }
    __device__ std::size_t y() const { return blockIdx.y; }
    __device__ std::size_t threads() const { return blockDim.x; }
    template <class T>
    __device__ T* shared() const {
        return reinterpret_cast<T*>(shared_words);
    }
    template <class F>
    __device__ __forceinline__ void phase(F run) const {
        run(static_cast<std::size_t>(threadIdx.x));
        __syncthreads();
    }
    // Of a kernel whose threads have nothing to do with each other.
    template <class F>
    __device__ __forceinline__ void alone(F run) const {
        run(static_cast<std::size_t>(threadIdx.x));
    }
};

#else

struct Block {
    std::size_t block_x, block_y, thread_count;
    void* memory;
    bool backwards;

    std::size_t x() const { return block_x; }
    std::size_t y() const { return block_y; }
    std::size_t threads() const { return thread_count; }
    template <class T>
    T* shared() const {
        return static_cast<T*>(memory);
    }
    template <class F>
    void phase(F run) const {
        for (std::size_t t = 0; t < thread_count; ++t) run(backwards ? thread_count - 1 - t : t);
    }
    template <class F>
    void alone(F run) const {
        phase(run);
    }
};

#endif

}  // namespace device
}  // namespace aegis
