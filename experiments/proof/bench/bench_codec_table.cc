#include "experiments/proof/bench/bench_codec_table.h"

#include "absl/strings/str_format.h"
#include "common/formats/json.h"
#include "experiments/proof/bench/bench_times.h"
#include "experiments/study/results/schema_version.h"

namespace ringmaster {

CodecFigures FiguresOf(const CodecTimes& times, int64_t size_bytes) {
  CodecFigures figures;
  const BenchTimes taken = TimesOf(times.times_us);
  figures.time_us = taken.median;
  figures.time_us_p95 = taken.p95;
  figures.time_us_p99 = taken.p99;
  figures.dense_gbps = static_cast<double>(size_bytes) / figures.time_us / 1e3;
  figures.moved_gbps = static_cast<double>(times.moved_bytes) / figures.time_us / 1e3;
  figures.memory_gbps = 2.0 * static_cast<double>(size_bytes) / Median(times.copy_us) / 1e3;
  const double bytes =
      static_cast<double>(times.moved_bytes) / (2.0 * static_cast<double>(size_bytes));
  const MedianInterval ratio = PairedRatio(times.times_us, times.copy_us);
  figures.share = {ratio.median * bytes, ratio.low * bytes, ratio.high * bytes};
  return figures;
}

std::string CodecTableHead(const CodecBench& bench, const Machine& machine,
                           const std::string& commit) {
  std::string head = absl::StrFormat(
      "# codecs, one thread of %d cores (%s), buffers: %s, density %g, settings \"%s\", commit "
      "%s\n",
      machine.cores(), machine.cpu(), bench.buffers.text(), bench.density,
      bench.settings.ShortDebugString(), commit);
  absl::StrAppendFormat(
      &head, "%10s  %-9s  %10s  %-15s  %10s  %10s  %10s  %8s  %8s  %8s  %6s  %-12s  %5s\n", "size",
      "codec", "encoded", "operation", "time", "p95", "p99", "dense", "moved", "memcpy", "share",
      "95 % of it", "check");
  absl::StrAppendFormat(&head, "%10s  %-9s  %10s  %-15s  %10s  %10s  %10s  %8s  %8s  %8s\n",
                        "(bytes)", "", "(bytes)", "", "(us)", "(us)", "(us)", "(GB/s)", "(GB/s)",
                        "(GB/s)");
  return head;
}

std::string CodecTableRows(const CodecResult& result) {
  std::string rows;
  for (const CodecTimes& times : result.operations) {
    const CodecFigures figures = FiguresOf(times, result.size_bytes);
    absl::StrAppendFormat(
        &rows,
        "%10d  %-9s  %10d  %-15s  %10.1f  %10.1f  %10.1f  %8.2f  %8.2f  %8.2f  %6.2f  %-12s  %5s\n",
        result.size_bytes, result.codec, result.encoded_bytes, times.operation, figures.time_us,
        figures.time_us_p95, figures.time_us_p99, figures.dense_gbps, figures.moved_gbps,
        figures.memory_gbps, figures.share.median,
        absl::StrFormat("%.2f to %.2f", figures.share.low, figures.share.high), "ok");
  }
  return rows;
}

std::string CodecJson(const CodecBench& bench, const std::vector<CodecResult>& results,
                      const Machine& machine, const std::string& commit) {
  Json object;
  object["benchmark"] = "codec";
  object["density"] = bench.density;
  object["settings"] = bench.settings.ShortDebugString();
  object["buffers"] = bench.buffers.state;
  object["unaligned"] = bench.buffers.unaligned;
  object["cpu"] = machine.cpu();
  object["cores"] = machine.cores();
  object["commit"] = commit;
  object["rows"] = Json::Array();
  for (const CodecResult& result : results) {
    for (const CodecTimes& times : result.operations) {
      const CodecFigures figures = FiguresOf(times, result.size_bytes);
      object["rows"].push_back({{"codec", result.codec},
                                {"size_bytes", result.size_bytes},
                                {"encoded_bytes", result.encoded_bytes},
                                {"operation", times.operation},
                                {"iterations", times.times_us.size()},
                                {"moved_bytes", times.moved_bytes},
                                {"time_us", figures.time_us},
                                {"time_us_p95", figures.time_us_p95},
                                {"time_us_p99", figures.time_us_p99},
                                {"dense_gbps", figures.dense_gbps},
                                {"moved_gbps", figures.moved_gbps},
                                {"memcpy_gbps", figures.memory_gbps},
                                {"share_of_memcpy", figures.share.median},
                                {"low", figures.share.low},
                                {"high", figures.share.high},
                                {"check", "ok"}});
    }
  }
  object[kSchemaVersionKey] = kSchemaVersion;
  return object.Dump();
}

}  // namespace ringmaster
