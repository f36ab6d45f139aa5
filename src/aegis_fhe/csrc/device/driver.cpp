#include "device/driver.h"

#include <dlfcn.h>

#include <stdexcept>

namespace aegis {
namespace device {
namespace {

constexpr int kTileLog = 12;

// As the driver's interface has them (CUDA Driver API reference).
using Result = int;
using Device = int;
using Context = void*;
using Module = void*;
using Function = void*;
using Stream = void*;
using Address = unsigned long long;

thread_local Stream current_stream = nullptr;

struct Driver {
    Result (*init)(unsigned);
    Result (*device_get)(Device*, int);
    Result (*context_retain)(Context*, Device);
    Result (*context_set)(Context);
    Result (*module_load)(Module*, const void*);
    Result (*module_unload)(Module);
    Result (*function_get)(Function*, Module, const char*);
    Result (*launch)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**);
    Result (*allocate)(Address*, std::size_t);
    Result (*free)(Address);
    Result (*copy_in)(Address, const void*, std::size_t);
    Result (*error_text)(Result, const char**);

    Driver() {
        void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
        if (library == nullptr) throw std::runtime_error("no NVIDIA driver: libcuda.so.1 is not found");
        find(library, "cuInit", init);
        find(library, "cuDeviceGet", device_get);
        find(library, "cuDevicePrimaryCtxRetain", context_retain);
        find(library, "cuCtxSetCurrent", context_set);
        find(library, "cuModuleLoadData", module_load);
        find(library, "cuModuleUnload", module_unload);
        find(library, "cuModuleGetFunction", function_get);
        find(library, "cuLaunchKernel", launch);
        find(library, "cuMemAlloc_v2", allocate);
        find(library, "cuMemFree_v2", free);
        find(library, "cuMemcpyHtoD_v2", copy_in);
        find(library, "cuGetErrorString", error_text);
        check(init(0), "the driver did not start");
    }

    void check(Result result, const std::string& what) const {
        if (result == 0) return;
        const char* text = nullptr;
        if (error_text(result, &text) != 0 || text == nullptr) text = "unknown error";
        throw std::runtime_error(what + ": " + text + " (CUDA error " + std::to_string(result) + ")");
    }

  private:
    template <class F>
    static void find(void* library, const char* name, F& function) {
        function = reinterpret_cast<F>(dlsym(library, name));
        if (function == nullptr) throw std::runtime_error(std::string("the NVIDIA driver is too old: it has no ") + name);
    }
};

const Driver& driver() {
    static const Driver loaded;
    return loaded;
}

class CudaLauncher : public Launcher {
  public:
    CudaLauncher(int ordinal, const std::string& image, bool words)
        : words_(words), path_("cuda:" + std::to_string(ordinal)) {
        Device device = 0;
        driver().check(driver().device_get(&device, ordinal), "GPU " + std::to_string(ordinal) + " is not there");
        driver().check(driver().context_retain(&context_, device), "the GPU's context");
        enter();
        driver().check(driver().module_load(&module_, image.data()), "the kernels do not load on " + path_);
        for (std::size_t i = 0; i < kKernels; ++i) {
            const std::string name = std::string("aegis_") + kKernelNames[i];
            driver().check(driver().function_get(&functions_[i], module_, name.c_str()), "kernel " + name);
        }
    }
    // The context stays the process's until it ends; uploads that are still there hold the launcher.
    ~CudaLauncher() override {
        if (driver().context_set(context_) == 0) driver().module_unload(module_);
    }

    const char* path() const override { return path_.c_str(); }
    bool words() const override { return words_; }
    int log_tile() const override { return kTileLog; }

    void launch(Kernel kernel, const Grid& grid, const void* job, std::size_t) override {
        enter();
        void* parameters[] = {const_cast<void*>(job)};
        const auto index = static_cast<std::size_t>(kernel);
        const Result result = driver().launch(functions_[index], static_cast<unsigned>(grid.x),
                                              static_cast<unsigned>(grid.y), 1, static_cast<unsigned>(grid.threads), 1,
                                              1, static_cast<unsigned>(grid.shared_bytes), current_stream, parameters,
                                              nullptr);
        driver().check(result, std::string("kernel ") + kKernelNames[index] + " on " + path_);
    }

    // Waits for the copy: tables are made once.
    std::shared_ptr<void> upload(const void* data, std::size_t bytes) override {
        enter();
        Address address = 0;
        driver().check(driver().allocate(&address, bytes > 0 ? bytes : 1), "memory for a table on " + path_);
        Context context = context_;
        std::shared_ptr<void> held(reinterpret_cast<void*>(address), [context](void* memory) {
            if (driver().context_set(context) == 0) driver().free(reinterpret_cast<Address>(memory));
        });
        driver().check(driver().copy_in(address, data, bytes), "a table's way to " + path_);
        return held;
    }

  private:
    void enter() const { driver().check(driver().context_set(context_), "the context of " + path_); }

    bool words_;
    std::string path_;
    Context context_ = nullptr;
    Module module_ = nullptr;
    Function functions_[kKernels] = {};
};

}  // namespace

std::shared_ptr<Launcher> cuda_launcher(int ordinal, const std::string& image, bool words) {
    return std::make_shared<CudaLauncher>(ordinal, image, words);
}

void set_stream(u64 stream) { current_stream = reinterpret_cast<Stream>(stream); }

}  // namespace device
}  // namespace aegis
