#include "experiments/proof/explain/story_page.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_replace.h"

namespace ringmaster {
namespace {

constexpr char kPage[] =
#include "experiments/proof/explain/page.inc"
    ;

const char* KindName(Holding::Kind kind) {
  switch (kind) {
    case Holding::Kind::kNothing:
      return "nothing";
    case Holding::Kind::kOwn:
      return "own";
    case Holding::Kind::kPartial:
      return "partial";
    case Holding::Kind::kWhole:
      return "whole";
  }
  return "nothing";
}

nlohmann::json SceneJson(const Scene& scene) {
  nlohmann::json json = {{"title", scene.title},
                         {"remarks", scene.remarks},
                         {"messages", nlohmann::json::array()},
                         {"holdings", nlohmann::json::array()}};
  for (const StoryMessage& message : scene.messages) {
    json["messages"].push_back(
        {{"from", message.from}, {"to", message.to}, {"what", message.what}});
  }
  for (const auto& row : scene.holdings) {
    nlohmann::json cells = nlohmann::json::array();
    for (const Holding& holding : row)
      cells.push_back({{"kind", KindName(holding.kind)}, {"text", holding.text}});
    json["holdings"].push_back(std::move(cells));
  }
  return json;
}

}  // namespace

std::string StoryPage(const Story& story) {
  nlohmann::json json = {{"title", story.title},     {"summary", story.summary},
                         {"legend", story.legend},   {"actors", story.actors},
                         {"workers", story.workers}, {"columns", story.columns},
                         {"moral", story.moral},     {"scenes", nlohmann::json::array()}};
  for (const Scene& scene : story.scenes) json["scenes"].push_back(SceneJson(scene));
  // No text may end the script that it stands in.
  const std::string data = absl::StrReplaceAll(json.dump(), {{"</", "<\\/"}});
  return absl::StrReplaceAll(kPage, {{"/*STORY*/null", data}});
}

}  // namespace ringmaster
