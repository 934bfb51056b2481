#include "experiments/program/run/fetch_advice.h"

#include "absl/strings/str_cat.h"
#include "common/machine/checkout.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

std::string FetchAdvice(const DataSpec& given) {
  if (!IsInCheckout()) return "";
  const bool is_mnist = given.name().empty() || given.name() == "mnist";
  if (is_mnist && given.dir().empty()) return ", or run ./run once to fetch it";
  if (given.name() == "text" && given.text().file().empty())
    return ", or run ./run compare --data text once to fetch it";
  return "";
}

absl::Status WithFetchAdvice(const absl::Status& status, const DataSpec& given) {
  if (!absl::IsNotFound(status)) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), FetchAdvice(given)));
}

}  // namespace ringmaster
