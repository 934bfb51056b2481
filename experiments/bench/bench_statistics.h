#ifndef RINGMASTER_EXPERIMENTS_BENCH_BENCH_STATISTICS_H_
#define RINGMASTER_EXPERIMENTS_BENCH_BENCH_STATISTICS_H_

#include <vector>

namespace ringmaster {

// The middle value, the mean of the two in the middle of an even number. `values` has at least one. Pure.
double Median(std::vector<double> values);

// A median and the interval in which it lies with 95 % confidence.
struct MedianInterval {
  double median = 0;
  double low = 0;
  double high = 0;
};

// How many times as long `theirs` took as `ours`: the median of theirs[i] / ours[i], pair by pair, so that what slows a
// machine for a while slows both of a pair. The interval is the bootstrap's: the 2.5 and 97.5 percentiles of the medians
// of 2000 samples of the pairs, drawn with replacement. Always the same for the same values. Both hold the same number of
// times, at least one, above 0. Pure, thread-safe. Source: Efron and Tibshirani 1993, section 13.3.
MedianInterval PairedRatio(const std::vector<double>& ours, const std::vector<double>& theirs);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_BENCH_BENCH_STATISTICS_H_
