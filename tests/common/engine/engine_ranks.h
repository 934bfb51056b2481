#ifndef RINGMASTER_TESTS_COMMON_ENGINE_ENGINE_RANKS_H_
#define RINGMASTER_TESTS_COMMON_ENGINE_ENGINE_RANKS_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "common/engine/engine.h"
#include "tests/support/patience.h"

namespace ringmaster {

inline constexpr absl::Duration kEngineWaitLimit = Patience(20);

// Runs `work` on a thread for each of `ranks`, each with an engine `name` of its own, all on device
// 0; a rank whose engine cannot be made fails the test.
void RunEngineRanks(const std::string& name, int ranks,
                    const std::function<void(int rank, Engine& engine)>& work);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_COMMON_ENGINE_ENGINE_RANKS_H_
