#ifndef RINGMASTER_TESTS_COMMON_CODEC_HOST_LAUNCHER_H_
#define RINGMASTER_TESTS_COMMON_CODEC_HOST_LAUNCHER_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/codec/blocks/team.h"

namespace ringmaster {

// A block of threads on the host: thread after thread, in an order drawn anew each time.
class HostTeam {
 public:
  HostTeam(int64_t block, int64_t blocks, Random* random)
      : block_(block), blocks_(blocks), random_(*random) {}

  int64_t block() const { return block_; }
  int64_t blocks() const { return blocks_; }
  template <class Function>
  void Each(const Function& function) {
    // One of 256 rotations of one of 128 strides: neighbours are apart, and no thread is always
    // first.
    const int first = static_cast<int>(random_.Below(kTeamThreads));
    const int stride = 2 * static_cast<int>(random_.Below(kTeamThreads / 2)) + 1;
    for (int i = 0; i < kTeamThreads; ++i) function((first + i * stride) % kTeamThreads);
  }
  void Add(uint32_t* counter, uint32_t value) { *counter += value; }

 private:
  const int64_t block_;
  const int64_t blocks_;
  Random& random_;
};

// Runs encoders on the host as a device would, block after block in an order drawn from `seed`.
// Shared memory begins with what nobody has put there.
class HostLauncher {
 public:
  explicit HostLauncher(uint64_t seed) : random_(seed) {}

  void Zero(void* memory, size_t bytes) { std::memset(memory, 0, bytes); }
  template <class Work>
  void Run(int64_t blocks, const Work& work) {
    std::vector<int64_t> order(blocks);
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.Below(i)]);
    auto shared = std::make_unique<typename Work::Shared>();
    for (const int64_t block : order) {
      std::memset(static_cast<void*>(shared.get()), 0xCD, sizeof(*shared));
      HostTeam team(block, blocks, &random_);
      work(team, *shared);
    }
  }

 private:
  Random random_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_CODEC_HOST_LAUNCHER_H_
