#include "host_link.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>

namespace aegis {
namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;  // the other side begins while the rest is copied

}  // namespace

HostLink::HostLink(void* bell, const std::vector<HostPeer>& peers, std::size_t capacity)
    : bell_(*static_cast<SharedBell*>(bell)), capacity_(capacity), peers_(peers.size()) {
    for (bool out : {false, true})
        for (const HostPeer& peer : peers) {
            void* ring = out ? peer.outgoing : peer.incoming;
            lanes_.push_back({static_cast<SharedBell*>(peer.bell), static_cast<RingHead*>(ring),
                              ring == nullptr ? nullptr : static_cast<char*>(ring) + sizeof(RingHead), out, {}});
        }
    thread_ = std::thread([this] { work(); });
}

HostLink::~HostLink() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
    }
    bell_.ring();
    thread_.join();
}

std::uint64_t HostLink::send(std::size_t peer, const void* data, std::size_t bytes) {
    return post(peers_ + peer, const_cast<void*>(data), bytes);
}

std::uint64_t HostLink::receive(std::size_t peer, void* data, std::size_t bytes) { return post(peer, data, bytes); }

// The thread is woken only if there is something to move. Where that begins later, the peer rings: it sees the ring
// that this one saw.
std::uint64_t HostLink::post(std::size_t number, void* data, std::size_t bytes) {
    if (number >= lanes_.size() || lanes_[number].head == nullptr) throw std::out_of_range("no such peer on this host");
    Lane& lane = lanes_[number];
    std::unique_lock<std::mutex> lock(mutex_);
    std::uint64_t ticket = next_++;
    lane.jobs.push_back({static_cast<char*>(data), bytes, 0, ticket});
    under_way_.insert(ticket);
    lock.unlock();
    if (bytes == 0 || can_move(lane)) bell_.ring();
    return ticket;
}

bool HostLink::wait(std::uint64_t ticket, double seconds) {
    std::unique_lock<std::mutex> lock(mutex_);
    return done_.wait_for(lock, std::chrono::duration<double>(seconds),
                          [&] { return under_way_.count(ticket) == 0; });
}

// Copies happen without the lock: only this thread touches a job at the front, and posting only adds behind it.
void HostLink::work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
        std::uint32_t heard = bell_.rung.load();
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
        if (!moved && !stop_) {
            lock.unlock();
            bell_.sleep(heard);
            lock.lock();
        }
    }
}

// Whether a ring has something, or room for something.
bool HostLink::can_move(const Lane& lane) const {
    std::uint64_t there = lane.head->written.load() - lane.head->read.load();
    return lane.out ? there < capacity_ : there > 0;
}

// As much as the ring has or has room for, a chunk at most. Whether that was anything. The peer's bell is rung if the
// ring was as one that it can do nothing with: empty, or full. Each side changes its own counter first and looks at
// the other's then, so that one of both sees what the other did.
bool HostLink::move(Lane& lane, Job& job) {
    std::uint64_t written = lane.head->written.load(), read = lane.head->read.load();
    std::size_t there = static_cast<std::size_t>(written - read), open = lane.out ? capacity_ - there : there;
    std::size_t place = (lane.out ? written : read) % capacity_;
    std::size_t count = std::min({open, job.bytes - job.moved, kChunk, capacity_ - place});
    if (count == 0) return false;
    if (lane.out) {
        std::memcpy(lane.bytes + place, job.data + job.moved, count);
        lane.head->written.store(written + count);
        if (lane.head->read.load() == written) lane.bell->ring();
    } else {
        std::memcpy(job.data + job.moved, lane.bytes + place, count);
        lane.head->read.store(read + count);
        if (lane.head->written.load() - read == capacity_) lane.bell->ring();
    }
    job.moved += count;
    return true;
}

}  // namespace aegis
