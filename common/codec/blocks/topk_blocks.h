#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_TOPK_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_TOPK_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"

namespace ringmaster {

// of the first digit of a magnitude's 31 bits; the two others have ten
inline constexpr int kTopkDigitBits = 11;
inline constexpr int kTopkBins = 1 << kTopkDigitBits;
inline constexpr int kTopkRun = 16;  // neighbouring elements that one thread takes
inline constexpr int64_t kTopkTile = kTopkRun * kTeamThreads;

// How many elements are above the least kept magnitude, and how many equal it.
struct TopkCounts {
  uint32_t above, equal;
};

// The search for the least kept magnitude, digit by digit, the highest first.
struct TopkSearch {
  uint32_t bins[kTopkBins];  // of elements with the digits found so far, by the next
  uint32_t magnitude;        // the digits found so far, the rest 0
  // how many of the elements with these digits are kept: in the end those that equal it
  uint32_t rest;
  uint32_t not_finite;
};

// topk of [count] floats, 1 <= kept <= count < 2^31; see common/codec/topk.h. Everything on the
// device.
struct TopkEncoding {
  const float* in = nullptr;
  float* residual = nullptr;  // of error feedback, or null
  int64_t count = 0;
  int64_t kept = 0;
  uint32_t* out = nullptr;       // [kept, 2]: index and bits of the value, index ascending
  TopkSearch* search = nullptr;  // scratch
  TopkCounts* tiles = nullptr;   // scratch, [TopkTiles(count)]

  // What is selected from, once the residual has been corrected.
  RM_DEVICE const float* values() const { return residual == nullptr ? in : residual; }
};

inline int64_t TopkTiles(int64_t count) { return (count + kTopkTile - 1) / kTopkTile; }

// Counts by the digit at `shift` the elements whose higher digits are those found; the first time
// corrects them.
struct CountDigits {
  struct Shared {
    uint32_t bins[kTopkBins];
  };
  TopkEncoding call;
  int shift;
  int bits;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const bool is_first = bits == kTopkDigitBits;
    const uint32_t found = is_first ? 0 : call.search->magnitude >> (shift + bits);
    team.Each([&](int thread) {
      for (int bin = thread; bin < kTopkBins; bin += kTeamThreads) shared.bins[bin] = 0;
    });
    team.Each([&](int thread) {
      bool all_finite = true;
      for (int64_t i = team.block() * kTeamThreads + thread; i < call.count;
           i += team.blocks() * kTeamThreads) {
        const float value = is_first ? CorrectedAt(call.in, call.residual, i) : call.values()[i];
        const uint32_t magnitude = BitsOf(value) & kMagnitudeBits;
        all_finite = all_finite && magnitude < kInfinityBits;
        if (magnitude >> (shift + bits) == found)
          team.Add(&shared.bins[magnitude >> shift & ((1 << bits) - 1)], 1);
      }
      if (!all_finite) call.search->not_finite = 1;
    });
    team.Each([&](int thread) {
      for (int bin = thread; bin < kTopkBins; bin += kTeamThreads) {
        if (shared.bins[bin] != 0) team.Add(&call.search->bins[bin], shared.bins[bin]);
      }
    });
  }
};

// Takes the digit of the least kept element, and clears the bins for the next one. One block of
// threads.
struct ChooseDigit {
  static constexpr int kBinsEach = kTopkBins / kTeamThreads;
  struct Shared {
    uint32_t of_thread[kTeamThreads];
  };
  TopkEncoding call;
  int shift;
  int bits;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    team.Each([&](int thread) {
      uint32_t sum = 0;
      for (int i = 0; i < kBinsEach; ++i) sum += call.search->bins[thread * kBinsEach + i];
      shared.of_thread[thread] = sum;
    });
    team.Each([&](int thread) {
      if (thread > 0) return;
      TopkSearch& search = *call.search;
      uint32_t rest = bits == kTopkDigitBits ? static_cast<uint32_t>(call.kept) : search.rest;
      int of_thread = kTeamThreads - 1;
      while (shared.of_thread[of_thread] < rest) rest -= shared.of_thread[of_thread--];
      int bin = of_thread * kBinsEach + kBinsEach - 1;
      while (search.bins[bin] < rest) rest -= search.bins[bin--];
      search.magnitude |= static_cast<uint32_t>(bin) << shift;
      search.rest = rest;
    });
    team.Each([&](int thread) {
      for (int bin = thread; bin < kTopkBins; bin += kTeamThreads) call.search->bins[bin] = 0;
    });
  }
};

// Of the elements that `thread` takes of `tile`.
RM_DEVICE inline TopkCounts CountRun(const TopkEncoding& call, int64_t tile, int thread) {
  const uint32_t least = call.search->magnitude;
  const int64_t begin = tile * kTopkTile + int64_t{thread} * kTopkRun;
  TopkCounts counts = {0, 0};
  for (int64_t i = begin; i < begin + kTopkRun && i < call.count; ++i) {
    const uint32_t magnitude = BitsOf(call.values()[i]) & kMagnitudeBits;
    counts.above += magnitude > least ? 1 : 0;
    counts.equal += magnitude == least ? 1 : 0;
  }
  return counts;
}

// Sums of what the threads before each one have: `before` a thread, and in total. Doubles the
// distance each time.
struct ThreadSums {
  TopkCounts sums[2][kTeamThreads];

  // Threads have put their own into sums[0]. Returns which half has each thread's sum up to and
  // with itself.
  template <class Team>
  RM_DEVICE int Scan(Team& team) {
    int from = 0;
    for (int distance = 1; distance < kTeamThreads; distance *= 2, from = 1 - from) {
      team.Each([&](int thread) {
        TopkCounts sum = sums[from][thread];
        if (thread >= distance) {
          sum.above += sums[from][thread - distance].above;
          sum.equal += sums[from][thread - distance].equal;
        }
        sums[1 - from][thread] = sum;
      });
    }
    return from;
  }
};

struct CountTiles {
  using Shared = ThreadSums;
  TopkEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const int64_t tiles = (call.count + kTopkTile - 1) / kTopkTile;
    for (int64_t tile = team.block(); tile < tiles; tile += team.blocks()) {
      team.Each([&](int thread) { shared.sums[0][thread] = CountRun(call, tile, thread); });
      const int at = shared.Scan(team);
      team.Each([&](int thread) {
        if (thread == kTeamThreads - 1) call.tiles[tile] = shared.sums[at][thread];
      });
    }
  }
};

// Makes of each tile's counts those of all tiles before it. One block of threads.
struct SumTiles {
  using Shared = ThreadSums;
  TopkEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const int64_t tiles = (call.count + kTopkTile - 1) / kTopkTile;
    const int64_t each = (tiles + kTeamThreads - 1) / kTeamThreads;
    team.Each([&](int thread) {
      TopkCounts sum = {0, 0};
      for (int64_t tile = thread * each; tile < (thread + 1) * each && tile < tiles; ++tile) {
        sum.above += call.tiles[tile].above;
        sum.equal += call.tiles[tile].equal;
      }
      shared.sums[0][thread] = sum;
    });
    const int at = shared.Scan(team);
    team.Each([&](int thread) {
      TopkCounts before = {0, 0};
      if (thread > 0) before = shared.sums[at][thread - 1];
      for (int64_t tile = thread * each; tile < (thread + 1) * each && tile < tiles; ++tile) {
        const TopkCounts own = call.tiles[tile];
        call.tiles[tile] = before;
        before.above += own.above;
        before.equal += own.equal;
      }
    });
  }
};

// Writes the kept elements to their places, which are the numbers of those kept before them: all
// above the least kept magnitude, and the first of those that equal it.
struct WriteKept {
  using Shared = ThreadSums;
  TopkEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const int64_t tiles = (call.count + kTopkTile - 1) / kTopkTile;
    for (int64_t tile = team.block(); tile < tiles; tile += team.blocks()) {
      team.Each([&](int thread) { shared.sums[0][thread] = CountRun(call, tile, thread); });
      const int at = shared.Scan(team);
      team.Each([&](int thread) {
        TopkCounts before = call.tiles[tile];
        if (thread > 0) {
          before.above += shared.sums[at][thread - 1].above;
          before.equal += shared.sums[at][thread - 1].equal;
        }
        WriteRun(tile, thread, before);
      });
    }
  }

 private:
  RM_DEVICE void WriteRun(int64_t tile, int thread, TopkCounts before) const {
    const uint32_t least = call.search->magnitude, ties = call.search->rest;
    const int64_t begin = tile * kTopkTile + int64_t{thread} * kTopkRun;
    for (int64_t i = begin; i < begin + kTopkRun && i < call.count; ++i) {
      const float value = call.values()[i];
      const uint32_t magnitude = BitsOf(value) & kMagnitudeBits;
      const bool is_tie = magnitude == least && before.equal < ties;
      if (magnitude > least || is_tie) {
        const int64_t place = int64_t{before.above} + (before.equal < ties ? before.equal : ties);
        call.out[2 * place] = static_cast<uint32_t>(i);
        call.out[2 * place + 1] = BitsOf(value);
        if (call.residual != nullptr) call.residual[i] = value - (0.0f + value);
      }
      before.above += magnitude > least ? 1 : 0;
      before.equal += magnitude == least ? 1 : 0;
    }
  }
};

template <class Launcher>
void EncodeTopk(Launcher& launcher, const TopkEncoding& call) {
  launcher.Zero(call.search, sizeof(*call.search));
  const int64_t blocks = TeamBlocks(call.count, 16 * kTeamThreads);
  constexpr int kDigits[][2] = {{20, kTopkDigitBits}, {10, 10}, {0, 10}};
  for (const auto& [shift, bits] : kDigits) {
    launcher.Run(blocks, CountDigits{call, shift, bits});
    launcher.Run(1, ChooseDigit{call, shift, bits});
  }
  const int64_t tile_blocks = TeamBlocks(TopkTiles(call.count), 1);
  launcher.Run(tile_blocks, CountTiles{call});
  launcher.Run(1, SumTiles{call});
  launcher.Run(tile_blocks, WriteKept{call});
  if (call.residual == nullptr) return;
  launcher.Run(blocks, ForgetIfNotFinite{call.residual, call.count, &call.search->not_finite});
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_TOPK_BLOCKS_H_
