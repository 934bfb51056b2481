#include "experiments/bench/bench_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "experiments/bench/bench_sizes.h"
#include "experiments/bench/bench_statistics.h"

namespace ringmaster {
namespace {

constexpr int kTransportWidth = 9;    // "auto: tcp"
constexpr int kCollectiveWidth = 22;  // "auto: halving_doubling"

std::string NameOf(const BenchContender& contender) { return absl::StrCat(contender.transport, " ", contender.collective); }

// "ring", "auto: ring"
std::string AskedAndRan(const std::string& asked, const std::string& ran) {
  return asked == ran ? asked : absl::StrCat(asked, ": ", ran);
}

// Of the pairs of exactly two contenders: the second's time over the first's.
std::optional<MedianInterval> RatioOf(const AllReduceResult& result) {
  if (result.contenders.size() != 2) return std::nullopt;
  return PairedRatio(result.contenders[0].times_us, result.contenders[1].times_us);
}

}  // namespace

AllReduceFigures FiguresOf(const ContenderTimes& times, int64_t size_bytes, int32_t ranks) {
  AllReduceFigures figures;
  figures.time_us = Median(times.times_us);
  figures.time_us_min = *std::min_element(times.times_us.begin(), times.times_us.end());
  figures.algorithm_gbps = size_bytes / figures.time_us / 1e3;
  figures.bus_gbps = figures.algorithm_gbps * 2 * (ranks - 1) / ranks;
  return figures;
}

std::string AllReduceTableHead(const AllReduceBench& bench, const Machine& machine, const std::string& commit) {
  const bool pairs = ContendersOf(bench).size() == 2;
  std::string head = absl::StrFormat("# all-reduce, sum: %d processes on %d cores (%s), wait: %s, commit %s\n",
                                     bench.workers, machine.cores(), machine.cpu(), bench.wait, commit);
  absl::StrAppendFormat(&head, "%10s  %10s  %7s  %-*s  %-*s  %10s  %10s  %7s  %7s  %5s%s\n", "size", "count", "type",
                        kTransportWidth, "transport", kCollectiveWidth, "collective", "time", "least", "algbw", "busbw",
                        "check", pairs ? "  ratio  95 % of it" : "");
  absl::StrAppendFormat(&head, "%10s  %10s  %7s  %-*s  %-*s  %10s  %10s  %7s  %7s\n", "(bytes)", "(elements)", "",
                        kTransportWidth, "", kCollectiveWidth, "", "(us)", "(us)", "(GB/s)", "(GB/s)");
  return head;
}

std::string AllReduceTableRows(const AllReduceBench& bench, const AllReduceResult& result) {
  std::string rows;
  std::optional<MedianInterval> ratio = RatioOf(result);
  for (const ContenderTimes& times : result.contenders) {
    const AllReduceFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
    absl::StrAppendFormat(&rows, "%10d  %10d  %7s  %-*s  %-*s  %10.1f  %10.1f  %7.2f  %7.2f  %5s", result.size_bytes,
                          result.size_bytes / 4, "float32", kTransportWidth,
                          AskedAndRan(times.contender.transport, times.transport_ran), kCollectiveWidth,
                          AskedAndRan(times.contender.collective, times.collective_ran), figures.time_us,
                          figures.time_us_min, figures.algorithm_gbps, figures.bus_gbps, "ok");
    if (ratio) absl::StrAppendFormat(&rows, "  %5.2f  %.2f to %.2f", ratio->median, ratio->low, ratio->high);
    ratio.reset();
    rows += "\n";
  }
  return rows;
}

std::string AllReduceTableNote(const AllReduceBench& bench) {
  const std::vector<BenchContender> contenders = ContendersOf(bench);
  if (contenders.size() != 2) return "";
  return absl::StrCat("ratio: time of ", NameOf(contenders[1]), " over time of ", NameOf(contenders[0]),
                      ", pair by pair, median; above 1 ", NameOf(contenders[0]), " is the faster\n");
}

std::string AllReduceJson(const AllReduceBench& bench, const std::vector<AllReduceResult>& results,
                          const Machine& machine, const std::string& commit) {
  nlohmann::ordered_json object;
  object["benchmark"] = "allreduce";
  object["workers"] = bench.workers;
  object["wait"] = bench.wait;
  object["cpu"] = machine.cpu();
  object["cores"] = machine.cores();
  object["commit"] = commit;
  object["rows"] = nlohmann::ordered_json::array();
  object["ratios"] = nlohmann::ordered_json::array();
  for (const AllReduceResult& result : results) {
    for (const ContenderTimes& times : result.contenders) {
      const AllReduceFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
      object["rows"].push_back({{"size_bytes", result.size_bytes},
                                {"count", result.size_bytes / 4},
                                {"type", "float32"},
                                {"transport", times.contender.transport},
                                {"transport_ran", times.transport_ran},
                                {"collective", times.contender.collective},
                                {"collective_ran", times.collective_ran},
                                {"iterations", times.times_us.size()},
                                {"burst", result.burst},
                                {"time_us", figures.time_us},
                                {"time_us_min", figures.time_us_min},
                                {"algbw_gbps", figures.algorithm_gbps},
                                {"busbw_gbps", figures.bus_gbps},
                                {"check", "ok"}});
    }
    const std::optional<MedianInterval> ratio = RatioOf(result);
    if (!ratio) continue;
    object["ratios"].push_back({{"size_bytes", result.size_bytes},
                                {"ours", NameOf(result.contenders[0].contender)},
                                {"theirs", NameOf(result.contenders[1].contender)},
                                {"theirs_over_ours", ratio->median},
                                {"low", ratio->low},
                                {"high", ratio->high}});
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace ringmaster
