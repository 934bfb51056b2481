#ifndef RINGMASTER_COMMON_CONTROL_LAST_WORDS_H_
#define RINGMASTER_COMMON_CONTROL_LAST_WORDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/control.pb.h"
#include "proto/record.pb.h"

namespace ringmaster {

// What a process may say at the end of a run that failed. Who sends keeps to it, who receives
// checks.
inline constexpr int64_t kNameBytesMax = 64;  // of a phase, a thread, a peer, a kind of message
inline constexpr int64_t kParkedBytesMax = 4096;
inline constexpr int64_t kAwaitedMax = 4096;  // messages that one node waits for

// How long the end of a run waits at most for the last words of those who are still there, and how
// long a process that has said them stays for the answer that they are kept.
inline constexpr absl::Duration kLastWordsLimit = absl::Milliseconds(500);

// Whether `words` are those of the process that joined by `join`: of its nodes, each once, at most
// 200 events a node (ThreadRecorder::kLastEvents), names and texts within the limits above.
// InvalidArgument: they are not; the text says what is wrong. Pure.
absl::Status CheckLastWords(const LastWords& words, const Join& join);

// The text, or its beginning and "..." where it is longer than kParkedBytesMax. Pure.
std::string ShortenParked(const std::string& text);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_LAST_WORDS_H_
