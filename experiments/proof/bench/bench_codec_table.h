#ifndef RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_TABLE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_TABLE_H_

#include <string>
#include <vector>

#include "experiments/proof/bench/bench_codec.h"
#include "experiments/study/results/statistics.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What a table says of one operation. GB are 10^9 bytes.
struct CodecFigures {
  double time_us = 0;      // median
  double time_us_p95 = 0;  // as BenchTimes (experiments/proof/bench/bench_times.h)
  double time_us_p99 = 0;
  double dense_gbps = 0;   // the gradient's bytes / time
  double moved_gbps = 0;   // bytes read and written / time
  double memory_gbps = 0;  // the same of memcpy: twice the gradient's bytes / its time
  MedianInterval share;    // moved over memory, pair by pair
};
CodecFigures FiguresOf(const CodecTimes& times, int64_t size_bytes);

// Lines above the rows, and the rows of one codec and size: one an operation. All end with a
// newline. Pure, thread-safe.
std::string CodecTableHead(const CodecBench& bench, const Machine& machine,
                           const std::string& commit);
std::string CodecTableRows(const CodecResult& result);

// All of it as one JSON object on one line, without a newline: "rows", one an operation. Pure,
// thread-safe.
std::string CodecJson(const CodecBench& bench, const std::vector<CodecResult>& results,
                      const Machine& machine, const std::string& commit);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_BENCH_BENCH_CODEC_TABLE_H_
