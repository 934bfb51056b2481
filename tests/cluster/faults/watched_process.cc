#include "tests/cluster/faults/watched_process.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"

namespace ringmaster {
namespace {

constexpr int64_t kAllocatorBytes = 2 << 20;

// The number behind "NAME:" in a file of /proc; 0: there is none.
int64_t NumberIn(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":", 0) != 0) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t number = 0;
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &number)) return number;
  }
  return 0;
}

template <typename Field>
int64_t Median(const std::vector<ProcessSize>& sizes, Field field) {
  std::vector<int64_t> values;
  for (const ProcessSize& size : sizes) values.push_back(size.*field);
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Of the quarter from `quarter` quarters on.
ProcessSize MedianOf(const std::vector<ProcessSize>& sizes, size_t quarter) {
  const std::vector<ProcessSize> part(sizes.begin() + quarter * sizes.size() / 4,
                                      sizes.begin() + (quarter + 1) * sizes.size() / 4);
  return {Median(part, &ProcessSize::runs), Median(part, &ProcessSize::resident_bytes),
          Median(part, &ProcessSize::descriptors), Median(part, &ProcessSize::threads)};
}

std::string TextOf(const ProcessSize& size) {
  return absl::StrFormat("%.2f MiB, %d descriptors, %d threads after %d runs",
                         static_cast<double>(size.resident_bytes) / (1 << 20), size.descriptors,
                         size.threads, size.runs);
}

}  // namespace

ProcessSize SizeOf(pid_t pid, int64_t runs) {
  const std::string folder = absl::StrCat("/proc/", pid);
  ProcessSize size;
  size.runs = runs;
  size.resident_bytes = NumberIn(folder + "/status", "VmRSS") << 10;
  size.threads = NumberIn(folder + "/status", "Threads");
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder + "/fd", error))
    size.descriptors += file.path().empty() ? 0 : 1;
  return size;
}

std::vector<std::string> WhatGrew(const std::vector<ProcessSize>& sizes, int64_t bytes_per_run) {
  RM_CHECK(sizes.size() >= 8);
  const ProcessSize early = MedianOf(sizes, 1), late = MedianOf(sizes, 3);
  std::vector<std::string> grown;
  const int64_t bytes_most =
      early.resident_bytes + kAllocatorBytes + (late.runs - early.runs) * bytes_per_run;
  if (late.resident_bytes > bytes_most) grown.push_back("memory: " + GrowthText(sizes));
  if (late.descriptors > early.descriptors) grown.push_back("descriptors: " + GrowthText(sizes));
  if (late.threads > early.threads) grown.push_back("threads: " + GrowthText(sizes));
  return grown;
}

std::string GrowthText(const std::vector<ProcessSize>& sizes) {
  return absl::StrCat(TextOf(MedianOf(sizes, 1)), "; ", TextOf(MedianOf(sizes, 3)));
}

}  // namespace ringmaster
