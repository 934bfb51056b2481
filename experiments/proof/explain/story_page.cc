#include "experiments/proof/explain/story_page.h"

#include "absl/strings/str_replace.h"
#include "common/formats/json.h"

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

Json SceneJson(const Scene& scene) {
  Json json = {{"holdings", Json::Array()},
               {"messages", Json::Array()},
               {"remarks", scene.remarks},
               {"title", scene.title}};
  for (const StoryMessage& message : scene.messages) {
    json["messages"].push_back(
        {{"from", message.from}, {"to", message.to}, {"what", message.what}});
  }
  for (const auto& row : scene.holdings) {
    Json cells = Json::Array();
    for (const Holding& holding : row)
      cells.push_back({{"kind", KindName(holding.kind)}, {"text", holding.text}});
    json["holdings"].push_back(std::move(cells));
  }
  return json;
}

}  // namespace

std::string StoryPage(const Story& story) {
  Json json = {{"actors", story.actors}, {"columns", story.columns}, {"legend", story.legend},
               {"moral", story.moral},   {"scenes", Json::Array()},  {"summary", story.summary},
               {"title", story.title},   {"workers", story.workers}};
  json["facts"] = Json::Array();
  for (const Fact& fact : story.facts)
    json["facts"].push_back({{"name", fact.name}, {"text", fact.text}});
  for (const Scene& scene : story.scenes) json["scenes"].push_back(SceneJson(scene));
  // No text may end the script that it stands in.
  const std::string data = absl::StrReplaceAll(json.Dump(), {{"</", "<\\/"}});
  return absl::StrReplaceAll(kPage, {{"/*STORY*/null", data}});
}

}  // namespace ringmaster
