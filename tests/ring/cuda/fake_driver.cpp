// A driver in place of NVIDIA's, for tests: the same functions, kernels on emulated threads, memory of this process.
// What it is asked for beyond that it refuses, as a GPU would: memory that was not allocated, grids too large.
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "device/kernel_list.h"

using namespace aegis::device;

namespace {

using Run = void (*)(const Block&, const void* job);

template <class A>
std::map<std::string, Run> kernels() {
    std::map<std::string, Run> found;
#define AEGIS_PUT(name, Job, function, blocks) \
    found["aegis_" #name] = [](const Block& block, const void* job) { function(block, *static_cast<const Job*>(job)); };
    AEGIS_DEVICE_KERNELS(AEGIS_PUT, A)
    return found;
}

std::map<std::string, Run> image_kernels;
std::map<unsigned long long, std::size_t> allocated;
unsigned long long launches = 0, last_stream = 0;
int context, module;

int failure(const char* name) { return std::getenv(name) != nullptr ? std::atoi(std::getenv(name)) : 0; }

}  // namespace

extern "C" {

int cuInit(unsigned) { return failure("FAKE_INIT"); }
int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? 0 : 101;
}
int cuDevicePrimaryCtxRetain(void** found, int) {
    *found = &context;
    return 0;
}
int cuCtxSetCurrent(void* given) { return given == &context ? 0 : 201; }
// An image is the name of its arithmetic.
int cuModuleLoadData(void** found, const void* image) {
    const std::string name(static_cast<const char*>(image));
    if (name != "Fp64" && name != "Words") return 200;
    image_kernels = name == "Words" ? kernels<Words>() : kernels<Fp64>();
    *found = &module;
    return 0;
}
int cuModuleUnload(void* given) { return given == &module ? 0 : 400; }
int cuModuleGetFunction(void** found, void*, const char* name) {
    auto kernel = image_kernels.find(name);
    if (kernel == image_kernels.end()) return 500;
    *found = reinterpret_cast<void*>(kernel->second);
    return 0;
}
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned, unsigned,
                   unsigned shared_bytes, void* stream, void** parameters, void** extra) {
    if (y > 65535 || z != 1 || threads > 1024 || shared_bytes > 48 * 1024 || extra != nullptr) return 1;
    if (failure("FAKE_LAUNCH") != 0) return failure("FAKE_LAUNCH");
    ++launches;
    last_stream = reinterpret_cast<unsigned long long>(stream);
    // A kernel sees shared memory as another left it.
    std::vector<aegis::u64> shared((shared_bytes + 7) / 8, 0xfefefefefefefefe);
    for (unsigned j = 0; j < y; ++j)
        for (unsigned i = 0; i < x; ++i)
            reinterpret_cast<Run>(function)(Block{i, j, threads, shared.data(), (i & 1) != 0}, parameters[0]);
    return 0;
}
int cuMemAlloc_v2(unsigned long long* address, std::size_t bytes) {
    if (failure("FAKE_ALLOCATE") != 0) return failure("FAKE_ALLOCATE");
    *address = reinterpret_cast<unsigned long long>(std::malloc(bytes));
    allocated[*address] = bytes;
    return 0;
}
int cuMemFree_v2(unsigned long long address) {
    if (allocated.erase(address) == 0) return 1;
    std::free(reinterpret_cast<void*>(address));
    return 0;
}
int cuMemcpyHtoD_v2(unsigned long long to, const void* from, std::size_t bytes) {
    auto found = allocated.find(to);
    if (found == allocated.end() || bytes > found->second) return 1;
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return 0;
}
int cuGetErrorString(int error, const char** text) {
    *text = error == 2 ? "out of memory" : error == 209 ? "no kernel image is available" : "refused";
    return 0;
}

unsigned long long fake_launches() { return launches; }
unsigned long long fake_last_stream() { return last_stream; }
unsigned long long fake_allocations() { return allocated.size(); }
}
