#include "experiments/study/results/figures.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "experiments/study/results/catalogue.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr AccuracyThreshold kThresholds[] = {{"0.97", 0.97}, {"0.98", 0.98}};

void AddNode(const RunSummary& summary, const NodeOfRun& node, NodeFigures* figures) {
  figures->set_node(node.worker != nullptr ? absl::StrCat("worker/", node.worker->rank())
                                           : absl::StrCat("server/", node.server->index()));
  figures->set_shared(node.process->workers_size() + node.process->servers_size() > 1);
  for (const Figure& figure : Figures()) {
    if (figure.of_node == nullptr || !figure.value(summary).has_value()) continue;
    if (const std::optional<double> value = figure.of_node(node))
      (*figures->mutable_figures())[figure.tag] = *value;
  }
}

}  // namespace

const char* NeedText(Need need) {
  switch (need) {
    case Need::kExchange:
      return "an arm that exchanges something";
    case Need::kServers:
      return "servers";
    case Need::kMeter:
      return "a transport of ours";
    case Need::kLearning:
      return "one model that is trained: not solo, not emulated computing";
    case Need::kReached:
      return "the accuracy to be reached";
    case Need::kSingle:
      return "the single arm beside it";
    case Need::kSolo:
      return "the solo arm beside it";
    case Need::kPrediction:
      return "a prediction";
    case Need::kCosts:
      return "a program that measured it";
    case Need::kClaims:
      return "workers that claim their work";
    case Need::kHalves:
      return "gradients sent as halves (fp16), encoded on the host";
    case Need::kAroundModel:
      return "workers around a model that none of them computes with";
    case Need::kLastRank:
      return "ranks that wait for each other in every step";
    case Need::kState:
      return "a program that measured what workers keep";
    case Need::kPlan:
      return "a plan of its memory";
  }
  return "";
}

absl::Span<const Figure> Figures() {
  static const auto& figures = *new std::vector<Figure>(MakeFigures());
  return figures;
}

const Figure& FigureByTag(absl::string_view tag) {
  const auto figures = Figures();
  const auto found = std::find_if(figures.begin(), figures.end(),
                                  [&](const Figure& figure) { return figure.tag == tag; });
  RM_CHECK(found != figures.end());
  return *found;
}

void KeepFigures(const RunRecord& record, RunSummary* summary) {
  for (const Figure& figure : Figures()) {
    if (figure.measure == nullptr) continue;
    if (const std::optional<double> value = figure.measure(record))
      (*summary->mutable_figures())[figure.tag] = *value;
  }
  std::vector<std::pair<int32_t, NodeOfRun>> workers, servers;
  for (int32_t i = 0; i < record.reports_size(); ++i) {
    const ProcessReport& process = record.reports(i);
    for (const WorkerReport& worker : process.workers())
      workers.push_back({i, {&record.spec(), &process, &worker, nullptr}});
    for (const ServerReport& server : process.servers())
      servers.push_back({i, {&record.spec(), &process, nullptr, &server}});
  }
  std::sort(workers.begin(), workers.end(), [](const auto& a, const auto& b) {
    return a.second.worker->rank() < b.second.worker->rank();
  });
  std::sort(servers.begin(), servers.end(), [](const auto& a, const auto& b) {
    return a.second.server->index() < b.second.server->index();
  });
  workers.insert(workers.end(), servers.begin(), servers.end());
  for (const auto& [process, node] : workers) {
    NodeFigures* figures = summary->add_nodes();
    figures->set_process(process);
    AddNode(*summary, node, figures);
  }
}

absl::Span<const AccuracyThreshold> AccuracyThresholds() { return kThresholds; }

}  // namespace ringmaster
