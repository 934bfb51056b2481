#include "experiments/trace/last_words_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/control/activity_text.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kLinesMax = 16;

std::string NodeLine(const LastWords& words, const NodeLastWords& node) {
  std::string line = absl::StrCat(DescribeActivity(node.activity()), " for ",
                                  absl::StrFormat("%.1fs", node.since_seconds()));
  if (!node.parked().empty()) absl::StrAppend(&line, "; parked: ", node.parked());
  if (words.silent_because().empty()) return line;
  return absl::StrCat(line, ", said ", absl::StrFormat("%.1fs", words.heard_seconds()),
                      " before the end: ", words.silent_because());
}

}  // namespace

std::string LastWordsText(const google::protobuf::RepeatedPtrField<LastWords>& nodes) {
  std::vector<std::string> lines;
  for (const LastWords& words : nodes) {
    for (const NodeLastWords& node : words.nodes()) lines.push_back(NodeLine(words, node));
    if (words.nodes().empty() && !words.silent_because().empty()) {
      lines.push_back(absl::StrCat("process ", words.process(), " (pid ", words.pid(),
                                   ") reported nothing: ", words.silent_because()));
    }
  }
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kLinesMax; ++i) absl::StrAppend(&text, lines[i], "\n");
  if (lines.size() > kLinesMax) absl::StrAppend(&text, "and ", lines.size() - kLinesMax, " more\n");
  return text;
}

}  // namespace ringmaster
