#include "arena_ranges.h"

#include <sys/mman.h>

#include <cstdint>
#include <iterator>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

namespace aegis {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20, kRegion = std::size_t{64} << 20;

// Whole huge pages; null when the system has no memory.
char* map_region(std::size_t bytes) {
    if (bytes + kHugePage < bytes) return nullptr;
    void* memory = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto begin = reinterpret_cast<std::uintptr_t>(memory), aligned = (begin + kHugePage - 1) / kHugePage * kHugePage;
    auto* data = reinterpret_cast<char*>(aligned);
    if (aligned > begin) munmap(memory, aligned - begin);
    if (std::size_t left = begin + kHugePage - aligned; left > 0) munmap(data + bytes, left);
#ifdef MADV_HUGEPAGE
    madvise(data, bytes, MADV_HUGEPAGE);  // one fault for each 2 MiB; a refusal costs time only
#endif
    return data;
}

}  // namespace

Ranges::~Ranges() {
    for (auto& [data, bytes] : regions_) munmap(data, bytes);
}

void* Ranges::take_used(std::size_t bytes) { return take(used_, bytes); }

void* Ranges::take_fresh(std::size_t bytes) {
    void* data = take(fresh_, bytes);
    if (data == nullptr && add_region(bytes)) data = take(fresh_, bytes);
    return data;
}

void Ranges::give(void* data, std::size_t bytes) { add(static_cast<char*>(data), bytes, false); }

void Ranges::release(std::size_t keep_bytes) {
    while (used_bytes_ > keep_bytes) {
        auto longest = ranges_.find(used_.rbegin()->second);
        auto [data, bytes] = std::pair(longest->first, longest->second.first);
        remove(longest);
        auto region = regions_.find(data);
        if (region != regions_.end() && region->second == bytes) {
            munmap(data, bytes);
            regions_.erase(region);
        } else {
            madvise(data, bytes, MADV_DONTNEED);
            add(data, bytes, true);
        }
    }
}

void* Ranges::take(Sizes& sizes, std::size_t bytes) {
    auto found = sizes.lower_bound({bytes, nullptr});
    if (found == sizes.end()) return nullptr;
    auto range = ranges_.find(found->second);
    auto [data, whole] = std::pair(range->first, range->second.first);
    bool fresh = range->second.second;
    remove(range);
    if (whole > bytes) add(data + bytes, whole - bytes, fresh);
    return data;
}

void Ranges::add(char* data, std::size_t bytes, bool fresh) {
    auto range = ranges_.insert({data, {bytes, fresh}}).first;
    sizes(fresh).insert({bytes, data});
    if (!fresh) used_bytes_ += bytes;
    for (auto left : {range == ranges_.begin() ? range : std::prev(range), range}) {
        auto right = std::next(left);
        if (left == ranges_.end() || right == ranges_.end() || !joins(*left, *right)) continue;
        auto [begin, size] = std::pair(left->first, left->second.first + right->second.first);
        remove(right);
        remove(left);
        return add(begin, size, fresh);
    }
}

void Ranges::remove(std::map<char*, std::pair<std::size_t, bool>>::iterator range) {
    auto [bytes, fresh] = range->second;
    sizes(fresh).erase({bytes, range->first});
    if (!fresh) used_bytes_ -= bytes;
    ranges_.erase(range);
}

// Regions end where another one may begin, which is given back by itself.
bool Ranges::joins(const Range& left, const Range& right) const {
    bool adjacent = left.first + left.second.first == right.first;
    return adjacent && left.second.second == right.second.second && regions_.find(right.first) == regions_.end();
}

bool Ranges::add_region(std::size_t bytes) {
    std::size_t size = bytes > kRegion ? (bytes + kHugePage - 1) / kHugePage * kHugePage : kRegion;
    char* data = size < bytes ? nullptr : map_region(size);
    if (data == nullptr) return false;
    regions_[data] = size;
    add(data, size, true);
    return true;
}

}  // namespace aegis
