#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/codec/codec.h"
#include "common/collective/choice.h"
#include "common/config/arms.h"
#include "common/engine/engine_names.h"
#include "common/formats/json.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "common/transport/fabric.h"
#include "common/update/update_rule.h"
#include "experiments/program/cli/commands.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/schema_version.h"
#include "worker/data/dataset.h"
#include "worker/kernels/registry.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

struct Section {
  std::string title;
  std::vector<std::pair<std::string, std::string>> entries;  // name, summary
};

template <typename Infos>
Section SectionOf(const char* title, const Infos& infos) {
  Section section{title, {}};
  for (const auto& info : infos) section.entries.emplace_back(info.name, info.summary);
  return section;
}

Section StrategySection() {
  Section section{"strategies", {}};
  for (const Scheme* scheme : Schemes())
    section.entries.emplace_back(scheme->name, scheme->summary);
  return section;
}

// Figures by their tags, with what each is made of and what it needs.
Section FiguresSection() {
  Section section{"figures", {}};
  for (const Figure& figure : Figures()) {
    const std::string unit = *figure.unit == 0 ? "" : absl::StrCat(", ", figure.unit);
    std::string text = absl::StrCat(figure.definition, unit, "; ", figure.over);
    for (const Need need : figure.needs) absl::StrAppend(&text, "; needs ", NeedText(need));
    section.entries.emplace_back(figure.tag, std::move(text));
  }
  return section;
}

// Everything that can be named, straight from the registries.
std::vector<Section> AllSections() {
  return {SectionOf("arms", Arms()),
          StrategySection(),
          SectionOf("codecs", CodecsAndReducers()),
          SectionOf("layouts", BucketLayouts()),
          SectionOf("collectives", CollectiveChoices()),
          SectionOf("engines", Engines()),
          SectionOf("transports", Transports()),
          SectionOf("optimizers", Optimizers()),
          SectionOf("models", Models()),
          SectionOf("datasets", Datasets()),
          SectionOf("kernels", KernelLibraries()),
          FiguresSection()};
}

int List(bool json) {
  const std::vector<Section> sections = AllSections();
  if (json) {
    Json object;
    for (const Section& section : sections) {
      object[section.title] = Json::Object();
      for (const auto& [name, summary] : section.entries) object[section.title][name] = summary;
    }
    object[kSchemaVersionKey] = kSchemaVersion;
    std::printf("%s\n", object.Dump().c_str());
    return kExitOk;
  }
  for (const Section& section : sections) {
    std::printf("%s\n", section.title.c_str());
    for (const auto& [name, summary] : section.entries)
      std::printf("  %-18s %s\n", name.c_str(), summary.c_str());
  }
  return kExitOk;
}

}  // namespace

void DeclareList(Command program, Action* action) {
  Command command =
      program.AddCommand("list", "names that flags and specs take, with a sentence each");
  auto json = std::make_shared<bool>(false);
  command.AddFlag("--json", json.get(), "one JSON object on standard output");
  command.OnChosen([action, json] { *action = [json] { return List(*json); }; });
}

}  // namespace ringmaster
