#ifndef RINGMASTER_TESTS_DOCS_FORMULA_H_
#define RINGMASTER_TESTS_DOCS_FORMULA_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// The value of a formula of the documentation, in double precision:
//   sums, products and powers: + - * / ^ (binds closest, to the right) and a sign in front
//   numbers, names of `variables`, brackets
//   log2(x), floor(x), ceil(x), min(x, y), max(x, y)
//   sum(j, a, b, f): f added up for j from a to b, nothing where b < a; j is any name
// InvalidArgument names what is wrong and where. Pure, thread-safe.
absl::StatusOr<double> Evaluate(absl::string_view formula,
                                const std::map<std::string, double>& variables);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_DOCS_FORMULA_H_
