#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "experiments/proof/bench/bench_buffers.h"
#include "experiments/proof/bench/codec_result.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

// The codecs of the registry that leave something out.
std::vector<std::string> LossyCodecs();

// What is measured: what each codec does with gradients of each size, on one thread.
struct CodecBench {
  std::vector<std::string> codecs = LossyCodecs();
  double density = 0.01;  // of codecs that take one
  CodecSpec settings;     // of which each codec takes the options that it has
  std::vector<int64_t> sizes;
  // timed ones of each size; 0: about a fifth of a second of them an operation, 10 to 1000
  int64_t iterations = 0;
  BenchBuffers buffers;  // of gradients, residuals and encodings; encodings are always aligned
};

// InvalidArgument when the bench makes no sense: an unknown codec or one named twice, an option out
// of range or one that no codec takes, no codec or size, buffers that need more than half of
// `memory_bytes` (0: unknown).
absl::Status CheckCodecBench(const CodecBench& bench, int64_t memory_bytes);

// Bytes that `operation` must read and write for a gradient of `size_bytes` whose encoding has
// `encoded_bytes`: each input and each output once, as memcpy's are counted. `index_bytes` of the
// encoding: where they are there, decoding adds to single elements, each of which costs its cache
// line, at most the whole gradient. Pure.
int64_t MovedBytes(const std::string& operation, int64_t size_bytes, int64_t encoded_bytes,
                   int64_t index_bytes);

// Measures all of it; `sink` is called after each codec and size. In every iteration each operation
// runs right after a memcpy, so that what slows the machine for a while slows both. Afterwards the
// results of every operation are compared with the codec's definition; DataLoss names the first
// element that is wrong.
absl::Status RunCodecBench(const CodecBench& bench,
                           const std::function<void(const CodecResult&)>& sink);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_H_
