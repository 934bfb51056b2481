// A node's checkpoint, as a folder has it. Its length and the checksum at its end are put right
// first: no fuzzer would find them, and what stands between is what is tried.

#include <cstdint>
#include <cstring>

#include "common/base/check.h"
#include "common/base/fingerprint.h"
#include "common/checkpoint/checkpoint.h"
#include "common/state/state.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace ringmaster {
namespace {

Checkpoint WorkersCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.header.node = "worker/0";
  checkpoint.header.nodes = 2;
  checkpoint.header.step = 300;
  const std::vector<float> weights = {1, -2, 3};
  const std::vector<int64_t> clocks = {4, 5};
  checkpoint.state.AddFloats("replica/weights", weights);
  checkpoint.state.AddIntegers("clocks", clocks);
  checkpoint.state.AddInteger("step", 300);
  checkpoint.report = "so far";
  return checkpoint;
}

// docs/FORMATS.md
constexpr size_t kLengthAt = 12, kBodyAt = 20;

std::string Sealed(absl::string_view input) {
  uint64_t number = 0;
  if (input.size() < kBodyAt + sizeof(number)) return std::string(input);
  std::string bytes(input.substr(0, input.size() - sizeof(number)));
  number = input.size();
  std::memcpy(bytes.data() + kLengthAt, &number, sizeof(number));
  FingerprintStream sum;
  sum.Add(bytes);
  number = sum.Finish();
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
  return bytes;
}

std::string BytesOf(const Checkpoint& checkpoint) {
  RM_CHECK(WriteCheckpoint(Scratch().path() + "/seed", checkpoint).ok());
  return Scratch().Read("seed");
}

}  // namespace

std::vector<std::string> Seeds() { return {BytesOf(WorkersCheckpoint()), BytesOf(Checkpoint())}; }

bool TryInput(absl::string_view input) {
  const std::string path = Scratch().Write("input", Sealed(input));
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path);
  if (!checkpoint.ok()) return false;
  const std::string bytes = BytesOf(*checkpoint);
  RM_CHECK(bytes == Scratch().Read("input"));  // there is one form of each
  return true;
}

}  // namespace ringmaster
