// Who runs kernels: a GPU through its driver, or the CPU in its place. The host side of the engine (device_ring.h)
// knows only this.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "device/geometry.h"

namespace aegis {
namespace device {

enum class Kernel : unsigned {
    forward_pass, inverse_pass, entrywise, sum, automorphism, from_signed, table, convert, key_product, tensor, periodic,
};
constexpr std::size_t kKernels = 11;
constexpr const char* kKernelNames[kKernels] = {"forward_pass", "inverse_pass", "entrywise", "sum",
                                                "automorphism", "from_signed",  "table",     "convert",
                                                "key_product",  "tensor",       "periodic"};

struct Grid {
    std::size_t x, y, threads, shared_bytes;
};

class Launcher {
  public:
    virtual ~Launcher() = default;
    virtual const char* path() const = 0;
    virtual bool words() const = 0;  // the arithmetic: 64-bit words, or doubles
    virtual int log_tile() const = 0;  // of a transform, log2 of its values
    virtual bool dry() const { return false; }  // whether nothing is computed, so that tables may be empty
    // Runs one kernel behind those before it, on the calling thread's stream.
    virtual void launch(Kernel kernel, const Grid& grid, const void* job, std::size_t bytes) = 0;
    // Constants for kernels, kept until the result is gone.
    virtual std::shared_ptr<void> upload(const void* data, std::size_t bytes) = 0;

    // Throws std::length_error for a grid that no GPU takes: work is cut before it comes here.
    template <class Job>
    void run(Kernel kernel, const Grid& grid, const Job& job) {
        static_assert(sizeof job <= 4096, "parameters of a kernel");
        if (grid.x == 0 || grid.x > kMaxBlocks || grid.y == 0 || grid.y > kMaxBlocksDown || grid.threads == 0 ||
            grid.threads > kThreads || grid.shared_bytes > kSharedBytes)
            throw std::length_error(std::string("kernel ") + kKernelNames[static_cast<std::size_t>(kernel)] +
                                    " with more blocks, threads or shared memory than a GPU has");
        launch(kernel, grid, &job, sizeof job);
    }
};

// Kernels on the CPU, block by block: the same source, threads emulated (block.h). words: the arithmetic; backwards:
// the threads of a phase in the other order.
std::unique_ptr<Launcher> emulated_launcher(bool words, int log_tile, bool backwards);

// Launches nothing: what remains of an operation is the memory it takes, which is a GPU's.
std::unique_ptr<Launcher> null_launcher();

}  // namespace device
}  // namespace aegis
