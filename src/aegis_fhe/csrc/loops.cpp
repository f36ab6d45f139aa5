#include "loops.h"

#include "processor.h"

namespace aegis {

std::vector<const Loops*> available_loops() {
    std::vector<const Loops*> sets;
#if defined(AEGIS_X86)
    if (has_avx512()) sets.push_back(&kLoopsAvx512);
    if (has_avx2()) sets.push_back(&kLoopsAvx2);
#endif
    sets.push_back(&kLoopsPortable);
    return sets;
}

const Loops* find_loops(const std::string& name) {
    std::vector<const Loops*> sets = available_loops();
    if (name.empty()) return sets.front();
    for (const Loops* set : sets)
        if (name == set->name) return set;
    return nullptr;
}

const Loops* loops_beside(const std::string& path) {
    const Loops* set = find_loops(path == "avx512ifma" ? "avx512" : path);
    return set != nullptr ? set : &kLoopsPortable;
}

}  // namespace aegis
