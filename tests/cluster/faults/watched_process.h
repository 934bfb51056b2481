#ifndef RINGMASTER_TESTS_CLUSTER_FAULTS_WATCHED_PROCESS_H_
#define RINGMASTER_TESTS_CLUSTER_FAULTS_WATCHED_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ringmaster {

// What a process takes of its machine at one moment, as /proc has it.
struct ProcessSize {
  int64_t runs = 0;  // that it had made by then
  int64_t resident_bytes = 0;
  int64_t descriptors = 0;
  int64_t threads = 0;
};

// Of process `pid`; all 0 where it is gone.
ProcessSize SizeOf(pid_t pid, int64_t runs);

// What grew beyond bounds, a line each; empty: nothing did. The medians of the second quarter of
// `sizes` and of the last are compared: what is loaded and cached at the start is in both. Memory
// may grow by `bytes_per_run` for each run between, and by 2 MiB, which an allocator keeps or gives
// back as it likes; descriptors and threads by none. REQUIRES: at least 8 sizes. Pure.
std::vector<std::string> WhatGrew(const std::vector<ProcessSize>& sizes, int64_t bytes_per_run);

// "12.3 MiB, 14 descriptors, 5 threads after 60 runs; 12.4 MiB, ... after 240": the medians that
// WhatGrew compares. Pure.
std::string GrowthText(const std::vector<ProcessSize>& sizes);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_FAULTS_WATCHED_PROCESS_H_
