#include "experiments/proof/verify/stability_check.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/exchange/parts.h"
#include "common/params/param_layout.h"
#include "common/transport/fabric.h"
#include "proto/run_spec.pb.h"
#include "server/shard_service.h"

namespace ringmaster {
namespace {

constexpr NodeId kServer{Role::kServer, 0};
constexpr double kGrown = 1e4;
constexpr double kShrunk = 1e-4;

RunSpec SpecOf(const StabilityCase& c, int32_t workers) {
  RunSpec spec;
  spec.mutable_optimizer()->set_name("sgd");
  spec.mutable_optimizer()->set_learning_rate(static_cast<float>(c.learning_rate));
  spec.mutable_training()->set_workers(workers);
  spec.mutable_training()->set_batch_per_worker(1);
  spec.mutable_training()->set_accumulate(1);
  ParameterServerSpec* server = spec.mutable_strategy()->mutable_parameter_server();
  server->set_consistency(ParameterServerSpec::ASYNCHRONOUS);
  server->set_servers(1);
  spec.mutable_codec()->set_name("none");
  spec.mutable_limits()->set_wait_seconds(30);
  return spec;
}

// What one worker says to the server, message by message.
class ScriptedWorker {
 public:
  ScriptedWorker(Fabric& fabric, int32_t rank)
      : transport_(fabric.transport({Role::kWorker, rank})) {}

  absl::Status Push(float gradient, int64_t read_version) {
    Tag tag{MessageKind::kPush, 0, 0, clock_++};
    tag.note = read_version;
    return Send(tag, {reinterpret_cast<const std::byte*>(&gradient), sizeof(gradient)});
  }

  // The weight, after exactly `version` updates: the server answers a pull when the worker's own
  // pushes are applied.
  absl::StatusOr<float> ReadAt(int64_t version) {
    float weight = 0;
    RM_ASSIGN_OR_RETURN(const int64_t got, Pull(&weight));
    if (got == version) return weight;
    return absl::FailedPreconditionError(
        absl::StrCat("a read at version ", got, ", the script says ", version));
  }

  absl::Status Farewell() { return Request({0, false, true}); }

 private:
  MonotonicTime Deadline() const { return MonotonicNow() + absl::Seconds(30); }

  absl::Status Send(const Tag& tag, absl::Span<const std::byte> payload) {
    RM_ASSIGN_OR_RETURN(const OpId op, transport_.Send({kServer, tag, payload}));
    return transport_.Wait(op, Deadline());
  }

  absl::Status Request(const PullNote& note) {
    Tag tag{MessageKind::kPull, 0, 0, pulls_++};
    tag.note = EncodePullNote(note);
    return Send(tag, {});
  }

  absl::StatusOr<int64_t> Pull(float* weight) {
    Received weights, answer;
    RM_ASSIGN_OR_RETURN(const OpId weights_op,
                        transport_.Receive({kServer,
                                            {MessageKind::kWeights, 0, 0, pulls_},
                                            {reinterpret_cast<std::byte*>(weight), sizeof(*weight)},
                                            &weights}));
    RM_ASSIGN_OR_RETURN(
        const OpId answer_op,
        transport_.Receive({kServer, {MessageKind::kPull, 0, 0, pulls_}, {}, &answer}));
    RM_RETURN_IF_ERROR(Request({clock_, false, false}));
    RM_RETURN_IF_ERROR(transport_.Wait(weights_op, Deadline()));
    RM_RETURN_IF_ERROR(transport_.Wait(answer_op, Deadline()));
    return weights.note;
  }

  Transport& transport_;
  int64_t clock_ = 0;
  int64_t pulls_ = 0;
};

// Update i is worker i mod (delay + 1)'s, which read the weights right after its last one: they are
// `delay` updates old.
absl::Status Descend(const StabilityCase& c, std::vector<ScriptedWorker>* workers,
                     std::vector<float>* path) {
  path->assign(1, 1.0f);
  for (ScriptedWorker& worker : *workers) RM_RETURN_IF_ERROR(worker.ReadAt(0).status());
  for (int64_t i = 0; i < c.updates && std::fabs(path->back()) < kGrown; ++i) {
    ScriptedWorker& worker = (*workers)[i % workers->size()];
    const int64_t read = std::max<int64_t>(0, i - c.delay);
    const float x = (*path)[std::max<int64_t>(0, read - c.extra_delay)];
    RM_RETURN_IF_ERROR(worker.Push(static_cast<float>(c.gradient_factor * x), read));
    RM_ASSIGN_OR_RETURN(const float next, worker.ReadAt(i + 1));
    path->push_back(next);
  }
  for (ScriptedWorker& worker : *workers) RM_RETURN_IF_ERROR(worker.Farewell());
  return absl::OkStatus();
}

absl::Status CheckHistogram(const ServerReport& report, int64_t delay, int64_t updates) {
  for (int64_t s = 0; s < report.staleness_histogram_size(); ++s) {
    const int64_t expected = s < delay ? 1 : s == delay ? updates - delay : 0;
    if (report.staleness_histogram(static_cast<int>(s)) == expected) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the server counts ", report.staleness_histogram(static_cast<int>(s)),
                     " updates of staleness ", s, ", scripted were ", expected));
  }
  return absl::OkStatus();
}

}  // namespace

double StabilityEdge(int64_t delay) {
  return 2 * std::sin(M_PI / (2 * (2 * static_cast<double>(delay) + 1)));
}

absl::StatusOr<double> FinalMagnitude(const StabilityCase& c) {
  const int32_t count = static_cast<int32_t>(c.delay) + 1;
  const RunSpec spec = SpecOf(c, count);
  const ParamLayout layout({{"x", {1}}}, 1);
  const std::vector<float> start = {1.0f};
  std::vector<float> path;
  FabricOptions options;
  options.name = "inproc";
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Fabric> fabric, CreateFabric(options));
  ProcessAddress process{"", {kServer}};
  for (int32_t rank = 0; rank < count; ++rank) process.nodes.push_back({Role::kWorker, rank});
  RM_RETURN_IF_ERROR(fabric->Connect({process}, 0, MonotonicNow() + absl::Seconds(30)));
  RM_ASSIGN_OR_RETURN(auto service,
                      ShardService::Create(spec, layout, start, 0, fabric->transport(kServer)));

  absl::Status served;
  std::thread server([&] {
    served = service->Run();
    if (!served.ok()) fabric->Abort(served);
  });
  std::vector<ScriptedWorker> workers;
  for (int32_t rank = 0; rank < count; ++rank) workers.emplace_back(*fabric, rank);
  const absl::Status scripted = Descend(c, &workers, &path);
  if (!scripted.ok()) fabric->Abort(scripted);
  server.join();
  RM_RETURN_IF_ERROR(scripted);
  RM_RETURN_IF_ERROR(served);
  RM_RETURN_IF_ERROR(
      CheckHistogram(service->Report(), c.delay, static_cast<int64_t>(path.size()) - 1));
  double magnitude = 0;
  for (size_t i = path.size() - std::min<size_t>(path.size(), count); i < path.size(); ++i) {
    magnitude = std::max<double>(magnitude, std::fabs(path[i]));
  }
  return magnitude;
}

absl::Status CheckStabilityEdge(const StabilityCase& broken) {
  for (int64_t delay = 0; delay <= 2; ++delay) {
    for (const double share : {0.97, 1.03}) {
      StabilityCase c = broken;
      c.delay = delay;
      c.learning_rate = share * StabilityEdge(delay);
      const std::string where = absl::StrCat("delay ", delay, ", learning rate ", c.learning_rate,
                                             " (", share, " of the edge)");
      const absl::StatusOr<double> magnitude = FinalMagnitude(c);
      RM_RETURN_IF_ERROR(Annotate(magnitude.status(), where));
      if (share < 1 ? *magnitude < kShrunk : *magnitude >= kGrown) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(where, ": |x| goes from 1 to ", *magnitude, ", expected it ",
                       share < 1 ? "to vanish" : "to grow without bound"));
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
