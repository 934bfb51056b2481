#include "experiments/proof/bench/bench_table.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/formats/json.h"
#include "experiments/proof/bench/bench_sizes.h"
#include "experiments/proof/bench/bench_times.h"
#include "experiments/study/results/schema_version.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {
namespace {

constexpr int kEngineWidth = 10;      // "ringmaster"
constexpr int kTransportWidth = 10;   // "auto: tcp", "self,vader"
constexpr int kCollectiveWidth = 22;  // "auto: halving_doubling"

bool IsOwn(const BenchContender& contender) { return contender.engine == kOwnEngine; }

std::string NameOf(const BenchContender& contender) {
  return IsOwn(contender) ? absl::StrCat(contender.transport, " ", contender.collective)
                          : contender.engine;
}

// "ring", "auto: ring"; of another engine what ran.
std::string AskedAndRan(const BenchContender& contender, const std::string& asked,
                        const std::string& ran) {
  return asked == ran || !IsOwn(contender) ? ran : absl::StrCat(asked, ": ", ran);
}

// The time of contender `theirs` over that of `ours`, pair by pair.
struct Ratio {
  size_t ours = 0;
  size_t theirs = 0;
  MedianInterval interval;
};

// Of every other contender over each of ours; without other engines, of every contender over the
// first.
std::vector<Ratio> RatiosOf(const AllReduceResult& result) {
  const auto& contenders = result.contenders;
  const auto is_peer = [](const ContenderTimes& times) { return !IsOwn(times.contender); };
  const bool peers =
      std::any_of(contenders.begin(), contenders.end(), is_peer) && !is_peer(contenders[0]);
  std::vector<Ratio> ratios;
  for (size_t ours = 0; ours < contenders.size(); ++ours) {
    if (peers ? is_peer(contenders[ours]) : ours > 0) continue;
    for (size_t theirs = ours + 1; theirs < contenders.size(); ++theirs) {
      if (peers && !is_peer(contenders[theirs])) continue;
      ratios.push_back(
          {ours, theirs, PairedRatio(contenders[ours].times_us, contenders[theirs].times_us)});
    }
  }
  return ratios;
}

// The engine beside ours with the least median, of those that sum; the number of contenders where
// there is none.
size_t BestPeer(const AllReduceResult& result) {
  size_t best = result.contenders.size();
  for (size_t i = 0; i < result.contenders.size(); ++i) {
    const BenchContender& contender = result.contenders[i].contender;
    if (IsOwn(contender) || IsLimit(contender)) continue;
    if (best == result.contenders.size() ||
        Median(result.contenders[i].times_us) < Median(result.contenders[best].times_us)) {
      best = i;
    }
  }
  return best;
}

}  // namespace

AllReduceFigures FiguresOf(const ContenderTimes& times, int64_t size_bytes, int32_t ranks) {
  AllReduceFigures figures;
  const BenchTimes taken = TimesOf(times.times_us);
  figures.time_us = taken.median;
  figures.time_us_min = taken.least;
  figures.time_us_p95 = taken.p95;
  figures.time_us_p99 = taken.p99;
  figures.algorithm_gbps = size_bytes / figures.time_us / 1e3;
  figures.bus_gbps = figures.algorithm_gbps * 2 * (ranks - 1) / ranks;
  return figures;
}

std::string AllReduceTableHead(const AllReduceBench& bench, const Machine& machine,
                               const std::string& commit) {
  const bool pairs = ContendersOf(bench).size() > 1;
  std::string head = absl::StrFormat(
      "# all-reduce, sum: %d processes on %d cores (%s), wait: %s, buffers: %s, "
      "commit %s\n",
      bench.workers, machine.cores(), machine.cpu(), bench.wait, bench.buffers.text(), commit);
  absl::StrAppendFormat(
      &head, "%10s  %10s  %7s  %5s  %-*s  %-*s  %-*s  %10s  %10s  %10s  %10s  %7s  %7s  %5s%s\n",
      "size", "count", "type", "calls", kEngineWidth, "engine", kTransportWidth, "transport",
      kCollectiveWidth, "collective", "time", "least", "p95", "p99", "algbw", "busbw", "check",
      pairs ? "  ratio  95 % of it" : "");
  absl::StrAppendFormat(
      &head, "%10s  %10s  %7s  %5s  %-*s  %-*s  %-*s  %10s  %10s  %10s  %10s  %7s  %7s\n",
      "(bytes)", "(elements)", "", "", kEngineWidth, "", kTransportWidth, "", kCollectiveWidth, "",
      "(us)", "(us)", "(us)", "(us)", "(GB/s)", "(GB/s)");
  return head;
}

std::string AllReduceTableRows(const AllReduceBench& bench, const AllReduceResult& result) {
  std::string rows;
  const std::vector<Ratio> ratios = RatiosOf(result);
  const size_t best = BestPeer(result);
  for (size_t i = 0; i < result.contenders.size(); ++i) {
    const ContenderTimes& times = result.contenders[i];
    const AllReduceFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
    absl::StrAppendFormat(
        &rows,
        "%10d  %10d  %7s  %5d  %-*s  %-*s  %-*s  %10.1f  %10.1f  %10.1f  %10.1f  %7.2f  %7.2f  %5s",
        result.size_bytes, result.size_bytes / 4, "float32", result.burst, kEngineWidth,
        times.contender.engine, kTransportWidth,
        AskedAndRan(times.contender, times.contender.transport, times.transport_ran),
        kCollectiveWidth,
        AskedAndRan(times.contender, times.contender.collective, times.collective_ran),
        figures.time_us, figures.time_us_min, figures.time_us_p95, figures.time_us_p99,
        figures.algorithm_gbps, figures.bus_gbps, IsLimit(times.contender) ? "-" : "ok");
    for (const Ratio& ratio : ratios) {
      if (ratio.ours != 0 || ratio.theirs != i) continue;
      absl::StrAppendFormat(&rows, "  %5.2f  %.2f to %.2f%s", ratio.interval.median,
                            ratio.interval.low, ratio.interval.high,
                            i == best                  ? "  best peer"
                            : IsLimit(times.contender) ? "  limit, sums nothing"
                                                       : "");
    }
    if (!times.handicap.empty()) absl::StrAppend(&rows, "  crippled: ", times.handicap);
    rows += "\n";
  }
  return rows;
}

std::string AllReduceTableNote(const AllReduceBench& bench) {
  const std::vector<BenchContender> contenders = ContendersOf(bench);
  if (contenders.size() < 2) return "";
  return absl::StrCat("ratio: time of the row over time of ", NameOf(contenders[0]),
                      ", pair by pair, median; above 1 ", NameOf(contenders[0]),
                      " is the faster\n");
}

std::string AllReduceJson(const AllReduceBench& bench, const std::vector<AllReduceResult>& results,
                          const Machine& machine, const std::string& commit) {
  Json object;
  object["benchmark"] = "allreduce";
  object["workers"] = bench.workers;
  object["wait"] = bench.wait;
  object["buffers"] = bench.buffers.state;
  object["unaligned"] = bench.buffers.unaligned;
  object["cpu"] = machine.cpu();
  object["cores"] = machine.cores();
  object["commit"] = commit;
  object["rows"] = Json::Array();
  object["ratios"] = Json::Array();
  for (const AllReduceResult& result : results) {
    const size_t best = BestPeer(result);
    for (size_t i = 0; i < result.contenders.size(); ++i) {
      const ContenderTimes& times = result.contenders[i];
      const AllReduceFigures figures = FiguresOf(times, result.size_bytes, bench.workers);
      object["rows"].push_back({{"size_bytes", result.size_bytes},
                                {"count", result.size_bytes / 4},
                                {"type", "float32"},
                                {"engine", times.contender.engine},
                                {"transport", times.contender.transport},
                                {"transport_ran", times.transport_ran},
                                {"collective", times.contender.collective},
                                {"collective_ran", times.collective_ran},
                                {"iterations", times.times_us.size()},
                                {"burst", result.burst},
                                {"time_us", figures.time_us},
                                {"time_us_min", figures.time_us_min},
                                {"time_us_p95", figures.time_us_p95},
                                {"time_us_p99", figures.time_us_p99},
                                {"algbw_gbps", figures.algorithm_gbps},
                                {"busbw_gbps", figures.bus_gbps},
                                {"check", IsLimit(times.contender) ? "none" : "ok"}});
      if (IsOwn(times.contender)) continue;
      object["rows"].back()["library"] = times.library;
      object["rows"].back()["handicap"] = times.handicap;
      for (const auto& [algorithm, time_us] : times.calibration) {
        object["rows"].back()["calibration_us"][algorithm] = time_us;
      }
    }
    for (const Ratio& ratio : RatiosOf(result)) {
      object["ratios"].push_back({{"size_bytes", result.size_bytes},
                                  {"burst", result.burst},
                                  {"ours", NameOf(result.contenders[ratio.ours].contender)},
                                  {"theirs", NameOf(result.contenders[ratio.theirs].contender)},
                                  {"best_peer", ratio.theirs == best},
                                  {"theirs_over_ours", ratio.interval.median},
                                  {"low", ratio.interval.low},
                                  {"high", ratio.interval.high}});
    }
  }
  object[kSchemaVersionKey] = kSchemaVersion;
  return object.Dump();
}

}  // namespace ringmaster
