#include "arena.h"

#include <new>

namespace aegis {
namespace {

constexpr std::size_t kPage = 4096;

}  // namespace

std::size_t Arena::size_class(std::size_t bytes) {
    std::size_t granule = kPage;
    while (bytes / 32 > granule && granule << 1 != 0) granule <<= 1;
    std::size_t rounded = (bytes + granule - 1) / granule * granule;
    if (rounded < bytes) throw std::bad_alloc();
    return rounded;
}

Arena::Block Arena::take(std::size_t bytes) {
    Block block{nullptr, size_class(bytes > 0 ? bytes : 1)};
    std::lock_guard<std::mutex> lock(mutex_);
    if (take_cached(block)) return block;
    while ((block.data = ranges_.take_used(block.bytes)) == nullptr && !cache_.empty()) join_oldest();
    if (block.data != nullptr) {
        counters_.cached -= block.bytes;
    } else {
        block.data = take_new(block.bytes);
        ++counters_.made;
    }
    count_in_use(block.bytes);
    return block;
}

// All that is cached lies in ranges by now, too short ones.
void* Arena::take_new(std::size_t bytes) {
    std::size_t needed = counters_.in_use + bytes;
    std::size_t limit = (needed > most_in_use_ ? needed : most_in_use_) + slack_;
    ranges_.release(limit - needed);
    counters_.cached = ranges_.used_bytes();
    void* data = ranges_.take_fresh(bytes);
    if (data != nullptr) return data;
    ranges_.release(0);
    counters_.cached = 0;
    data = ranges_.take_fresh(bytes);
    if (data == nullptr) throw std::bad_alloc();
    return data;
}

void Arena::reserve(std::size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (counters_.in_use + bytes > most_in_use_) most_in_use_ = counters_.in_use + bytes;
    if (counters_.cached >= bytes) return;
    std::size_t missing = size_class(bytes - counters_.cached);
    void* data = ranges_.take_fresh(missing);
    if (data == nullptr) throw std::bad_alloc();
    for (std::size_t at = 0; at < missing; at += kPage) static_cast<volatile char*>(data)[at] = 0;
    ranges_.give(data, missing);
    ++counters_.made;
    counters_.cached += missing;
    count_in_use(0);
}

void Arena::give(Block block) {
    std::lock_guard<std::mutex> lock(mutex_);
    cache_[block.bytes].push_back({block.data, ++clock_});
    counters_.in_use -= block.bytes;
    counters_.cached += block.bytes;
}

std::size_t Arena::trim() {
    std::lock_guard<std::mutex> lock(mutex_);
    while (!cache_.empty()) join_oldest();
    ranges_.release(0);
    std::size_t bytes = counters_.cached;
    counters_.cached = 0;
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
bool Arena::take_cached(Block& block) {
    auto found = cache_.lower_bound(block.bytes);
    if (found == cache_.end() || found->first - block.bytes > block.bytes / 16) return false;
    block = {found->second.back().data, found->first};
    found->second.pop_back();
    if (found->second.empty()) cache_.erase(found);
    counters_.cached -= block.bytes;
    count_in_use(block.bytes);
    return true;
}

// The block unused for longest; it stays cached, as a part of a range.
void Arena::join_oldest() {
    auto oldest = cache_.begin();
    for (auto it = cache_.begin(); it != cache_.end(); ++it)
        if (it->second.front().freed_at < oldest->second.front().freed_at) oldest = it;
    ranges_.give(oldest->second.front().data, oldest->first);
    oldest->second.pop_front();
    if (oldest->second.empty()) cache_.erase(oldest);
}

void Arena::count_in_use(std::size_t bytes) {
    counters_.in_use += bytes;
    std::size_t held = counters_.in_use + counters_.cached;
    if (counters_.in_use > most_in_use_) most_in_use_ = counters_.in_use;
    if (counters_.in_use > counters_.peak_in_use) counters_.peak_in_use = counters_.in_use;
    if (held > counters_.peak_held) counters_.peak_held = held;
}

}  // namespace aegis
