#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_RESULT_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_RESULT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ringmaster {

// One operation's times a call, in microseconds, each next to that of a memcpy of the dense
// gradient.
struct CodecTimes {
  // "encode", "decode", "decode_add" or "encode_feedback"; of a codec that is summed in rounds
  // those of bench_reducer.h
  std::string operation;
  int64_t moved_bytes = 0;  // that it must read and write, see MovedBytes
  std::vector<double> times_us;
  std::vector<double> copy_us;
};

// Of one codec and size.
struct CodecResult {
  std::string codec;
  int64_t size_bytes = 0;  // of the dense gradient
  int64_t encoded_bytes = 0;
  std::vector<CodecTimes> operations;
};

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_CODEC_RESULT_H_
