#ifndef RINGMASTER_EXPERIMENTS_STUDY_RESULTS_STATISTICS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_RESULTS_STATISTICS_H_

#include <cstddef>
#include <vector>

namespace ringmaster {

// The middle value, the mean of the two in the middle of an even number. `values` has at least one.
// Pure.
double Median(std::vector<double> values);

// Some of a row of successive values, [begin, begin + size), and their median.
struct Block {
  size_t begin = 0;
  size_t size = 0;
  double median = 0;
};

// Of the blocks of `size` into which `values` are cut, in order, the one with the smallest median:
// what was measured while a machine was disturbed the least. Values that fill no block are left
// out; fewer than `size` are one block. `values` has at least one. Pure, thread-safe.
Block BestBlock(const std::vector<double>& values, size_t size);

// A median and the interval in which it lies with 95 % confidence.
struct MedianInterval {
  double median = 0;
  double low = 0;
  double high = 0;
};

// The median of `values`, at least one, with the bootstrap's interval: the 2.5 and 97.5 percentiles
// of the medians of 2000 samples of them, drawn with replacement. Always the same for the same
// values; for fewer than about six it is too narrow. Pure, thread-safe. Source: Efron and
// Tibshirani 1993, section 13.3.
MedianInterval BootstrapMedian(const std::vector<double>& values);

// Which of `values` are further from their median than 3.5 times the median distance from it,
// scaled to a standard deviation: their indices, ascending. None of fewer than four. Pure,
// thread-safe. Source: Iglewicz and Hoaglin 1993.
std::vector<size_t> Outliers(const std::vector<double>& values);

// How many times as long `theirs` took as `ours`: the median of theirs[i] / ours[i], pair by pair,
// so that what slows a machine for a while slows both of a pair; the interval as of
// BootstrapMedian. Both hold the same number of times, at least one, above 0. Pure, thread-safe.
MedianInterval PairedRatio(const std::vector<double>& ours, const std::vector<double>& theirs);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_RESULTS_STATISTICS_H_
