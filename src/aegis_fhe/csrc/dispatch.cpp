#include "dispatch.h"

#include <atomic>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "processor.h"

namespace aegis {
namespace {

std::atomic<int> thread_count{0};

}  // namespace

std::vector<const Kernels*> available_paths() {
    std::vector<const Kernels*> paths;
#if defined(AEGIS_X86)
    if (has_avx512ifma()) paths.push_back(&kAvx512Ifma);
    if (has_avx512()) paths.push_back(&kAvx512);
    if (has_avx2()) paths.push_back(&kAvx2);
#endif
    paths.push_back(&kPortable);
    return paths;
}

const Kernels* find_path(const std::string& name) {
    std::vector<const Kernels*> paths = available_paths();
    if (name.empty()) return paths.front();
    for (const Kernels* path : paths)
        if (name == path->name) return path;
    return name == kEmulatedIfma.name ? &kEmulatedIfma : nullptr;
}

int get_threads() {
    int threads = thread_count.load();
    if (threads > 0) return threads;
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void set_threads(int threads) { thread_count.store(threads); }

}  // namespace aegis
