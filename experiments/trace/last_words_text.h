#ifndef RINGMASTER_EXPERIMENTS_TRACE_LAST_WORDS_TEXT_H_
#define RINGMASTER_EXPERIMENTS_TRACE_LAST_WORDS_TEXT_H_

#include <string>

#include "google/protobuf/repeated_field.h"

namespace ringmaster {

class LastWords;

// What the nodes of a failed run did at its end, a line each, of the first 16 at most: "worker/0 at
// step=3 phase=exchange waits for worker/1 (collective step=3 bucket=0) for 2.0s". Of those that
// could not speak it says why, and what their last report said. Lines end with a newline; empty:
// there are no last words. Pure.
std::string LastWordsText(const google::protobuf::RepeatedPtrField<LastWords>& nodes);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_TRACE_LAST_WORDS_TEXT_H_
