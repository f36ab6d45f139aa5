#include "arena.h"

#include <sys/mman.h>

#include <new>
#include <vector>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

namespace aegis {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;

// Null when the system has none. A mapping of its own, so that freeing it returns the memory at once.
void* map_pages(std::size_t bytes) {
    std::size_t margin = bytes >= kHugePage ? kHugePage : 0;
    if (bytes + margin < bytes) return nullptr;
    void* memory = mmap(nullptr, bytes + margin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    if (margin == 0) return memory;
    auto begin = reinterpret_cast<std::uintptr_t>(memory), aligned = (begin + margin - 1) / margin * margin;
    auto* data = reinterpret_cast<char*>(aligned);
    if (aligned > begin) munmap(memory, aligned - begin);
    if (std::size_t left = begin + margin - aligned; left > 0) munmap(data + bytes, left);
#ifdef MADV_HUGEPAGE
    madvise(data, bytes, MADV_HUGEPAGE);  // one fault for each 2 MiB; a refusal costs time only
#endif
    return data;
}

}  // namespace

std::size_t Arena::size_class(std::size_t bytes) {
    std::size_t granule = kPage;
    while (bytes / 32 > granule && granule << 1 != 0) granule <<= 1;
    std::size_t rounded = (bytes + granule - 1) / granule * granule;
    if (rounded < bytes) throw std::bad_alloc();
    return rounded;
}

Arena::Block Arena::take(std::size_t bytes) {
    bytes = size_class(bytes > 0 ? bytes : 1);
    Block block{nullptr, bytes};
    std::vector<Block> old;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        if (take_cached(bytes, block)) return block;
        std::size_t needed = counters_.in_use + bytes;
        std::size_t limit = (needed > most_in_use_ ? needed : most_in_use_) + slack_;
        while (!cache_.empty() && needed + counters_.cached > limit) old.push_back(pop_oldest());
    }
    for (Block o : old) munmap(o.data, o.bytes);
    block.data = map_pages(bytes);
    if (block.data == nullptr && trim() > 0) block.data = map_pages(bytes);
    if (block.data == nullptr) throw std::bad_alloc();
    std::lock_guard<std::mutex> lock(mutex_);
    count_in_use(bytes);
    ++counters_.made;
    return block;
}

void Arena::give(Block block) {
    std::lock_guard<std::mutex> lock(mutex_);
    cache_[block.bytes].push_back({block.data, ++clock_});
    counters_.in_use -= block.bytes;
    counters_.cached += block.bytes;
}

std::size_t Arena::trim() {
    Cache all;
    std::size_t bytes;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        all.swap(cache_);
        bytes = counters_.cached;
        counters_.cached = 0;
    }
    for (auto& [size, blocks] : all)
        for (Cached& block : blocks) munmap(block.data, size);
    return bytes;
}

Arena::Counters Arena::counters() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return counters_;
}

void Arena::reset_peaks() {
    std::lock_guard<std::mutex> lock(mutex_);
    counters_.peak_in_use = counters_.in_use;
    counters_.peak_held = counters_.in_use + counters_.cached;
}

// The smallest class that holds the bytes, wasting no more than 1/16.
bool Arena::take_cached(std::size_t bytes, Block& block) {
    auto found = cache_.lower_bound(bytes);
    if (found == cache_.end() || found->first - bytes > bytes / 16) return false;
    block = {found->second.back().data, found->first};
    found->second.pop_back();
    if (found->second.empty()) cache_.erase(found);
    counters_.cached -= block.bytes;
    count_in_use(block.bytes);
    return true;
}

Arena::Block Arena::pop_oldest() {
    auto oldest = cache_.begin();
    for (auto it = cache_.begin(); it != cache_.end(); ++it)
        if (it->second.front().freed_at < oldest->second.front().freed_at) oldest = it;
    Block block{oldest->second.front().data, oldest->first};
    oldest->second.pop_front();
    if (oldest->second.empty()) cache_.erase(oldest);
    counters_.cached -= block.bytes;
    return block;
}

void Arena::count_in_use(std::size_t bytes) {
    counters_.in_use += bytes;
    std::size_t held = counters_.in_use + counters_.cached;
    if (counters_.in_use > most_in_use_) most_in_use_ = counters_.in_use;
    if (counters_.in_use > counters_.peak_in_use) counters_.peak_in_use = counters_.in_use;
    if (held > counters_.peak_held) counters_.peak_held = held;
}

}  // namespace aegis
