// Kernels on a GPU, through the driver that is found at run time: nothing of CUDA is needed to build or to load this.
#pragma once

#include <memory>
#include <string>

#include "device/launcher.h"

namespace aegis {
namespace device {

// image: the kernels of entry.cu compiled for this GPU (cubin), in the arithmetic that `words` says. Uses the device's
// primary context, which other libraries of the process share. Throws std::runtime_error with the driver's own words.
std::shared_ptr<Launcher> cuda_launcher(int ordinal, const std::string& image, bool words);

// The stream of the calling thread's launches from now on: a CUstream; 0 is the default stream.
void set_stream(u64 stream);

}  // namespace device
}  // namespace aegis
