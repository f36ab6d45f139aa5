#include "host_link.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace aegis {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;  // the other side begins while the rest is copied
constexpr auto kShortest = std::chrono::microseconds(20), kLongest = std::chrono::microseconds(500);

}  // namespace

HostLink::HostLink(std::vector<void*> incoming, std::vector<void*> outgoing, std::size_t capacity)
    : capacity_(capacity), peers_(incoming.size()) {
    for (bool out : {false, true})
        for (void* memory : out ? outgoing : incoming)
            lanes_.push_back({static_cast<RingHead*>(memory),
                              memory == nullptr ? nullptr : static_cast<char*>(memory) + sizeof(RingHead), out, {}});
    thread_ = std::thread([this] { work(); });
}

HostLink::~HostLink() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    work_.notify_all();
    thread_.join();
}

std::uint64_t HostLink::send(std::size_t peer, const void* data, std::size_t bytes) {
    return post(peers_ + peer, const_cast<void*>(data), bytes);
}

std::uint64_t HostLink::receive(std::size_t peer, void* data, std::size_t bytes) { return post(peer, data, bytes); }

std::uint64_t HostLink::post(std::size_t lane, void* data, std::size_t bytes) {
    if (lane >= lanes_.size() || lanes_[lane].head == nullptr) throw std::out_of_range("no such peer on this host");
    std::lock_guard<std::mutex> lock(mutex_);
    std::uint64_t ticket = next_++;
    lanes_[lane].jobs.push_back({static_cast<char*>(data), bytes, 0, ticket});
    under_way_.insert(ticket);
    ++posted_;
    work_.notify_one();
    return ticket;
}

bool HostLink::wait(std::uint64_t ticket, double seconds) {
    std::unique_lock<std::mutex> lock(mutex_);
    return done_.wait_for(lock, std::chrono::duration<double>(seconds),
                          [&] { return under_way_.count(ticket) == 0; });
}

// Copies happen without the lock: only this thread touches a job at the front, and posting only adds behind it.
void HostLink::work() {
    auto pause = kShortest;
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
        if (under_way_.empty()) {
            work_.wait(lock, [this] { return stop_ || !under_way_.empty(); });
            pause = kShortest;
            continue;
        }
        bool moved = false;
        for (Lane& lane : lanes_) {
            if (lane.jobs.empty()) continue;
            Job& job = lane.jobs.front();
            lock.unlock();
            moved |= move(lane, job);
            lock.lock();
            if (job.moved == job.bytes) {
                under_way_.erase(job.ticket);
                lane.jobs.pop_front();
                moved = true;
                done_.notify_all();
            }
        }
        pause = moved ? kShortest : std::min(2 * pause, std::chrono::microseconds(kLongest));
        if (!moved) {
            std::size_t before = posted_;
            work_.wait_for(lock, pause, [&] { return stop_ || posted_ != before; });
        }
    }
}

// As much as the ring has or has room for, a chunk at most. Whether that was anything.
bool HostLink::move(Lane& lane, Job& job) {
    std::uint64_t written = lane.head->written.load(std::memory_order_acquire);
    std::uint64_t read = lane.head->read.load(std::memory_order_acquire);
    std::size_t there = static_cast<std::size_t>(written - read), open = lane.out ? capacity_ - there : there;
    std::size_t place = (lane.out ? written : read) % capacity_;
    std::size_t count = std::min({open, job.bytes - job.moved, kChunk, capacity_ - place});
    if (count == 0) return false;
    if (lane.out) {
        std::memcpy(lane.bytes + place, job.data + job.moved, count);
        lane.head->written.store(written + count, std::memory_order_release);
    } else {
        std::memcpy(job.data + job.moved, lane.bytes + place, count);
        lane.head->read.store(read + count, std::memory_order_release);
    }
    job.moved += count;
    return true;
}

}  // namespace aegis
