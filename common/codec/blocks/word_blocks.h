#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_WORD_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_WORD_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"

namespace ringmaster {

// Of [count] floats, each rounded to a word of two bytes. Everything on the device.
struct WordEncoding {
  const float* in = nullptr;
  float* residual = nullptr;  // of error feedback, or null
  int64_t count = 0;
  uint16_t* out = nullptr;         // [count]
  uint32_t* not_finite = nullptr;  // scratch of one
};

// Word::Of(float) is the word of a value, and Word::Value(word) what it stands for.
template <class Word>
struct RoundToWords {
  struct Shared {};
  WordEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared&) const {
    team.Each([&](int thread) {
      bool all_finite = true;
      for (int64_t i = team.block() * kTeamThreads + thread; i < call.count;
           i += team.blocks() * kTeamThreads) {
        const float value = call.residual == nullptr ? call.in[i] : call.residual[i] + call.in[i];
        const uint16_t word = Word::Of(value);
        call.out[i] = word;
        if (call.residual == nullptr) continue;
        all_finite = all_finite && (BitsOf(value) & kMagnitudeBits) < kInfinityBits;
        call.residual[i] = value - Word::Value(word);
      }
      if (!all_finite) *call.not_finite = 1;
    });
  }
};

template <class Word, class Launcher>
void EncodeWords(Launcher& launcher, const WordEncoding& call) {
  const int64_t blocks = TeamBlocks(call.count, 4 * kTeamThreads);
  launcher.Zero(call.not_finite, sizeof(*call.not_finite));
  launcher.Run(blocks, RoundToWords<Word>{call});
  if (call.residual != nullptr)
    launcher.Run(blocks, ForgetIfNotFinite{call.residual, call.count, call.not_finite});
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_WORD_BLOCKS_H_
