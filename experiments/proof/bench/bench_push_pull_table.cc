#include "experiments/proof/bench/bench_push_pull_table.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/formats/json.h"
#include "experiments/proof/bench/bench_times.h"
#include "experiments/study/results/schema_version.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

constexpr int kTransportWidth = 9;  // "auto: tcp"

const char* PlacementOf(const PushPullBench& bench) {
  return bench.colocated ? "colocated" : "dedicated";
}

// Of the pairs of exactly two transports: the second's time over the first's.
std::optional<MedianInterval> RatioOf(const PushPullResult& result) {
  if (result.transports.size() != 2) return std::nullopt;
  return PairedRatio(result.transports[0].times_us, result.transports[1].times_us);
}

}  // namespace

PushPullFigures FiguresOf(const PushPullTimes& times, int64_t size_bytes, int32_t workers) {
  PushPullFigures figures;
  const BenchTimes taken = TimesOf(times.times_us);
  figures.time_us = taken.median;
  figures.time_us_min = taken.least;
  figures.time_us_p95 = taken.p95;
  figures.time_us_p99 = taken.p99;
  figures.algorithm_gbps = size_bytes / figures.time_us / 1e3;
  figures.worker_gbps = 2 * figures.algorithm_gbps;
  figures.total_gbps = workers * figures.worker_gbps;
  return figures;
}

std::string PushPullTableHead(const PushPullBench& bench, const Machine& machine,
                              const std::string& commit) {
  std::string head = absl::StrFormat(
      "# push, sum, update, pull: %d workers and %d servers (%s) on %d cores (%s), wait: %s, "
      "buffers: %s, commit %s\n",
      bench.workers, bench.servers, PlacementOf(bench), machine.cores(), machine.cpu(), bench.wait,
      bench.buffers.text(), commit);
  absl::StrAppendFormat(
      &head, "%10s  %10s  %7s  %7s  %-*s  %10s  %10s  %10s  %10s  %7s  %7s  %7s  %5s%s\n", "size",
      "count", "type", "buckets", kTransportWidth, "transport", "time", "least", "p95", "p99",
      "algbw", "worker", "all", "check", bench.transports.size() == 2 ? "  ratio  95 % of it" : "");
  absl::StrAppendFormat(&head,
                        "%10s  %10s  %7s  %7s  %-*s  %10s  %10s  %10s  %10s  %7s  %7s  %7s\n",
                        "(bytes)", "(elements)", "", "", kTransportWidth, "", "(us)", "(us)",
                        "(us)", "(us)", "(GB/s)", "(GB/s)", "(GB/s)");
  return head;
}

std::string PushPullTableRows(const PushPullBench& bench, const PushPullResult& result) {
  std::string rows;
  std::optional<MedianInterval> ratio = RatioOf(result);
  for (const PushPullTimes& times : result.transports) {
    const PushPullFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
    const std::string name = times.transport == times.transport_ran
                                 ? times.transport
                                 : absl::StrCat(times.transport, ": ", times.transport_ran);
    absl::StrAppendFormat(
        &rows,
        "%10d  %10d  %7s  %7d  %-*s  %10.1f  %10.1f  %10.1f  %10.1f  %7.2f  %7.2f  %7.2f  %5s",
        result.size_bytes, result.size_bytes / 4, "float32", result.buckets, kTransportWidth, name,
        figures.time_us, figures.time_us_min, figures.time_us_p95, figures.time_us_p99,
        figures.algorithm_gbps, figures.worker_gbps, figures.total_gbps, "ok");
    if (ratio)
      absl::StrAppendFormat(&rows, "  %5.2f  %.2f to %.2f", ratio->median, ratio->low, ratio->high);
    ratio.reset();
    rows += "\n";
  }
  return rows;
}

std::string PushPullTableNote(const PushPullBench& bench) {
  if (bench.transports.size() != 2) return "";
  return absl::StrCat("ratio: time of ", bench.transports[1], " over time of ", bench.transports[0],
                      ", pair by pair, median; above 1 ", bench.transports[0], " is the faster\n");
}

std::string PushPullJson(const PushPullBench& bench, const std::vector<PushPullResult>& results,
                         const Machine& machine, const std::string& commit) {
  Json object;
  object["benchmark"] = "pushpull";
  object["workers"] = bench.workers;
  object["servers"] = bench.servers;
  object["placement"] = PlacementOf(bench);
  object["wait"] = bench.wait;
  object["buffers"] = bench.buffers.state;
  object["unaligned"] = bench.buffers.unaligned;
  object["cpu"] = machine.cpu();
  object["cores"] = machine.cores();
  object["commit"] = commit;
  object["rows"] = Json::Array();
  object["ratios"] = Json::Array();
  for (const PushPullResult& result : results) {
    for (const PushPullTimes& times : result.transports) {
      const PushPullFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
      object["rows"].push_back({{"size_bytes", result.size_bytes},
                                {"count", result.size_bytes / 4},
                                {"type", "float32"},
                                {"buckets", result.buckets},
                                {"transport", times.transport},
                                {"transport_ran", times.transport_ran},
                                {"iterations", times.times_us.size()},
                                {"time_us", figures.time_us},
                                {"time_us_min", figures.time_us_min},
                                {"time_us_p95", figures.time_us_p95},
                                {"time_us_p99", figures.time_us_p99},
                                {"algbw_gbps", figures.algorithm_gbps},
                                {"worker_payload_gbps", figures.worker_gbps},
                                {"total_payload_gbps", figures.total_gbps},
                                {"check", "ok"}});
    }
    const std::optional<MedianInterval> ratio = RatioOf(result);
    if (!ratio) continue;
    object["ratios"].push_back({{"size_bytes", result.size_bytes},
                                {"ours", bench.transports[0]},
                                {"theirs", bench.transports[1]},
                                {"theirs_over_ours", ratio->median},
                                {"low", ratio->low},
                                {"high", ratio->high}});
  }
  object[kSchemaVersionKey] = kSchemaVersion;
  return object.Dump();
}

}  // namespace ringmaster
