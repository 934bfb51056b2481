// JSON text, and a file of lines that a lost machine has left: the next line is one of its own.

#include <memory>

#include "absl/strings/match.h"
#include "common/base/check.h"
#include "common/formats/json.h"
#include "experiments/program/store/json_lines.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace ringmaster {

namespace {

// Of the inputs, how few are files too: each waits for the disk.
constexpr size_t kFilesOneIn = 8;

void TryLines(absl::string_view input) {
  const std::string path = Scratch().Write("lines", input);
  absl::StatusOr<std::unique_ptr<JsonLines>> lines = JsonLines::Open(path);
  RM_CHECK(lines.ok());
  RM_CHECK((*lines)->Append("{\"a\":1}").ok());
  const std::string after = Scratch().Read("lines");
  RM_CHECK(absl::StartsWith(after, input));
  const absl::string_view added = absl::string_view(after).substr(input.size());
  const bool is_torn = !input.empty() && input.back() != '\n';
  RM_CHECK(added == (is_torn ? "\n{\"a\":1}\n" : "{\"a\":1}\n"));
}

}  // namespace

std::vector<std::string> Seeds() {
  return {R"({"arm":"ring","steps":[1,2.5,-3e4],"ok":true,"why":null,"text":"a\u00e9\n"})", "[]",
          "\"x\"", "-0.5"};
}

bool TryInput(absl::string_view input) {
  if (input.size() % kFilesOneIn == 0) TryLines(input);
  const std::optional<Json> json = Json::Parse(input);
  if (!json.has_value()) return false;
  const std::optional<Json> again = Json::Parse(json->Dump());
  RM_CHECK(again.has_value() && again->Dump() == json->Dump());
  return true;
}

}  // namespace ringmaster
