#include "experiments/proof/explain/story_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "experiments/study/results/columns.h"

namespace ringmaster {
namespace {

constexpr char kIndent[] = "  ";

void Trim(std::string* line) { line->erase(line->find_last_not_of(' ') + 1); }

std::string Messages(const Story& story, const Scene& scene, int width) {
  std::vector<std::string> texts;
  int widest = 0;
  for (const StoryMessage& message : scene.messages) {
    texts.push_back(absl::StrCat(story.actors[message.from], " → ", story.actors[message.to], ": ",
                                 message.what));
    widest = std::max(widest, DisplayWidth(texts.back()));
  }
  const size_t across = std::max(1, (width - 2) / (widest + 3));
  std::string out;
  for (size_t i = 0; i < texts.size(); i += across) {
    std::string line = kIndent;
    for (size_t j = i; j < std::min(i + across, texts.size()); ++j)
      line += PadRight(texts[j], widest + 3);
    Trim(&line);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string Table(const Story& story, const Scene& scene) {
  std::vector<int> widths;
  int names = 0;
  for (const std::string& actor : story.actors) names = std::max(names, DisplayWidth(actor));
  for (size_t column = 0; column < story.columns.size(); ++column) {
    widths.push_back(DisplayWidth(story.columns[column]));
    for (const auto& row : scene.holdings)
      widths.back() = std::max(widths.back(), DisplayWidth(row[column].text));
  }
  std::string line = absl::StrCat(kIndent, kIndent, std::string(names, ' '));
  for (size_t column = 0; column < widths.size(); ++column)
    line += "  " + PadRight(story.columns[column], widths[column]);
  Trim(&line);
  std::string out = line + "\n";
  for (size_t actor = 0; actor < story.actors.size(); ++actor) {
    line = absl::StrCat(kIndent, kIndent, PadRight(story.actors[actor], names));
    for (size_t column = 0; column < widths.size(); ++column) {
      const std::string& text = scene.holdings[actor][column].text;
      line += "  " + PadRight(text.empty() ? "·" : text, widths[column]);
    }
    Trim(&line);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

// `text` in lines of at most `width` columns where its words allow it; all but the first begin with
// `indent` spaces, and the first stands behind as many.
std::string Wrapped(absl::string_view text, int indent, int width) {
  std::string out;
  int column = indent;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const int needed = DisplayWidth(word);
    if (column > indent && column + 1 + needed > width) {
      absl::StrAppend(&out, "\n", std::string(indent, ' '));
      column = indent;
    }
    absl::StrAppend(&out, column > indent ? " " : "", word);
    column += needed + (column > indent ? 1 : 0);
  }
  return out;
}

std::string Facts(const Story& story, int width) {
  int names = 0;
  for (const Fact& fact : story.facts) names = std::max(names, DisplayWidth(fact.name));
  const int indent = names + 4;
  std::string out;
  for (const Fact& fact : story.facts) {
    absl::StrAppend(&out, kIndent, PadRight(fact.name, names), kIndent,
                    Wrapped(fact.text, indent, width), "\n");
  }
  return out;
}

}  // namespace

std::string StoryText(const Story& story, int width) {
  const int columns = std::max(width, 40);
  std::string out = absl::StrCat(story.title, "\n", Wrapped(story.summary, 0, columns), "\n",
                                 Wrapped(story.legend, 0, columns), "\n");
  for (const Scene& scene : story.scenes) {
    absl::StrAppend(&out, "\n", scene.title, "\n", Messages(story, scene, columns));
    for (const std::string& remark : scene.remarks)
      absl::StrAppend(&out, kIndent, Wrapped(remark, 2, columns), "\n");
    absl::StrAppend(&out, Table(story, scene));
  }
  out += "\n";
  for (const std::string& sentence : story.moral)
    absl::StrAppend(&out, Wrapped(sentence, 0, columns), "\n");
  if (!story.facts.empty()) absl::StrAppend(&out, "\nWhat else to know\n", Facts(story, columns));
  return out;
}

}  // namespace ringmaster
