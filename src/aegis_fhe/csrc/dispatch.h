// Which kernel paths this machine can run, best first; and how many threads the operations use.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace aegis {

// Best first, "portable" always last. "emulated-ifma" is findable by name only: it exists to test the IFMA kernels.
std::vector<const Kernels*> available_paths();

// nullptr if the name is unknown or the machine cannot run it; the empty name is the best path.
const Kernels* find_path(const std::string& name);

int get_threads();
void set_threads(int threads);

}  // namespace aegis
