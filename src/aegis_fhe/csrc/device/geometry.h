// How kernels are laid over their work: blocks, threads and shared memory.
#pragma once

#include "device/jobs.h"

namespace aegis {
namespace device {

constexpr std::size_t kThreads = 256;              // of a block, at most
constexpr std::size_t kSharedBytes = 48 * 1024;    // of a block: what every GPU grants without being asked

constexpr std::size_t kMaxBlocks = (std::size_t{1} << 31) - 1, kMaxBlocksDown = 65535;

// The passes of a transform of 2^log_n points over `total` values: one where a row fits a tile of 2^largest, else the
// first `columns` stages and the rest.
struct Passes {
    int columns, log_tile;
    std::size_t blocks, threads, shared_bytes;

    Passes(int log_n, int largest, std::size_t total) {
        const int lines = log_n <= largest ? log_n : (log_n + 1) / 2;
        columns = log_n - lines;
        log_tile = lines > largest ? lines : largest;
        // few short rows: no more of a tile than there is
        while (columns == 0 && log_tile > log_n && (std::size_t{1} << (log_tile - 1)) >= total) --log_tile;
        const std::size_t size = std::size_t{1} << log_tile;
        blocks = (total + size - 1) / size;
        threads = size / 16 > 0 ? size / 16 : 1;
        threads = threads < kThreads ? threads : kThreads;
        shared_bytes = (size + size / 16) * sizeof(u64);
    }
};

// Coefficients that a block of a basis conversion takes, with `terms` words of shared memory for each.
struct Points {
    std::size_t count, threads, shared_bytes;

    Points(std::size_t n, std::size_t terms) {
        count = n < kThreads ? n : kThreads;
        threads = count;
        while (count > 1 && count * terms * sizeof(u64) > kSharedBytes) count /= 2;
        shared_bytes = count * terms * sizeof(u64);
    }
};

inline std::size_t tiles_of(std::size_t count, std::size_t size) { return (count + size - 1) / size; }

// Blocks of kEntries entries, with a thread for each of them and tile of results as far as a block has threads.
struct EntryTiles {
    std::size_t blocks, threads;

    EntryTiles(std::size_t n, std::size_t tiles)
        : blocks(tiles_of(n, kEntries)), threads(kEntries * tiles < kThreads ? kEntries * tiles : kThreads) {}
};

}  // namespace device
}  // namespace aegis
