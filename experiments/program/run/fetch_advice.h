#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FETCH_ADVICE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FETCH_ADVICE_H_

#include <string>

#include "absl/status/status.h"

namespace ringmaster {

class DataSpec;

// How to get the data that `given` (not resolved) asks for from the place where set-up keeps it: ",
// or run ./run once to fetch it". Empty where that does not help: outside a checkout, of a folder
// or file that the user named, of other data.
std::string FetchAdvice(const DataSpec& given);

// `status` with that advice behind it where a file is missing; a file that is damaged, or is no
// file, is not fetched again.
absl::Status WithFetchAdvice(const absl::Status& status, const DataSpec& given);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FETCH_ADVICE_H_
