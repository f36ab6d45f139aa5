// The kernels compiled for the CPU: proof without a GPU that they compute what they should, bit for bit.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "device/kernel_list.h"
#include "device/launcher.h"
#include "dispatch.h"

namespace aegis {
namespace device {
namespace {

using Run = void (*)(const Block&, const void* job);

template <class A>
struct Kernels {
#define AEGIS_RUN(name, Job, function, blocks)                     \
    static void run_##name(const Block& block, const void* job) { \
        function(block, *static_cast<const Job*>(job));            \
    }
    AEGIS_DEVICE_KERNELS(AEGIS_RUN, A)
    static Run find(Kernel kernel) {
        switch (kernel) {
#define AEGIS_CASE(name, Job, function, blocks) \
    case Kernel::name: return &run_##name;
            AEGIS_DEVICE_KERNELS(AEGIS_CASE, A)
        }
        std::abort();
    }
};

class Emulator : public Launcher {
  public:
    Emulator(bool words, int log_tile, bool backwards) : words_(words), log_tile_(log_tile), backwards_(backwards) {}
    const char* path() const override { return words_ ? "emulated-gpu-words" : "emulated-gpu"; }
    bool words() const override { return words_; }
    int log_tile() const override { return log_tile_; }

    void launch(Kernel kernel, const Grid& grid, const void* job, std::size_t) override {
        const Run run = words_ ? Kernels<Words>::find(kernel) : Kernels<Fp64>::find(kernel);
        [[maybe_unused]] const int threads = get_threads();
#pragma omp parallel num_threads(threads) if (threads > 1 && grid.x * grid.y > 1)
        {
            std::vector<u64> shared((grid.shared_bytes + 7) / 8);
#pragma omp for schedule(static)
            for (std::size_t i = 0; i < grid.x * grid.y; ++i)
                run(Block{i % grid.x, i / grid.x, grid.threads, shared.data(), backwards_}, job);
        }
    }

    std::shared_ptr<void> upload(const void* data, std::size_t bytes) override {
        std::shared_ptr<void> copy(std::malloc(bytes > 0 ? bytes : 1), &std::free);
        if (copy == nullptr) throw std::bad_alloc();
        std::memcpy(copy.get(), data, bytes);
        return copy;
    }

  private:
    bool words_;
    int log_tile_;
    bool backwards_;
};

}  // namespace

std::unique_ptr<Launcher> emulated_launcher(bool words, int log_tile, bool backwards) {
    return std::make_unique<Emulator>(words, log_tile, backwards);
}

}  // namespace device
}  // namespace aegis
