#include "experiments/proof/explain/story_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
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

}  // namespace

std::string StoryText(const Story& story, int width) {
  const int columns = std::max(width, 40);
  std::string out = absl::StrCat(story.title, "\n", story.summary, "\n", story.legend, "\n");
  for (const Scene& scene : story.scenes) {
    absl::StrAppend(&out, "\n", scene.title, "\n", Messages(story, scene, columns));
    for (const std::string& remark : scene.remarks) absl::StrAppend(&out, kIndent, remark, "\n");
    absl::StrAppend(&out, Table(story, scene));
  }
  out += "\n";
  for (const std::string& sentence : story.moral) absl::StrAppend(&out, sentence, "\n");
  return out;
}

}  // namespace ringmaster
