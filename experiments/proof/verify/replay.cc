#include "experiments/proof/verify/replay.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/fingerprint.h"
#include "common/base/message.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/memory.h"
#include "common/codec/small_tensors.h"
#include "common/config/describe.h"
#include "common/control/dealing.h"
#include "common/exchange/parts.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"
#include "common/update/update_rule.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_record.pb.h"
#include "server/down_link.h"
#include "server/server_core.h"
#include "server/shard_core.h"
#include "worker/data/dataset.h"
#include "worker/data/loader.h"
#include "worker/kernels/registry.h"
#include "worker/loop/initial_weights.h"
#include "worker/loop/worker_setup.h"
#include "worker/model/model.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

class Player {
 public:
  explicit Player(const RunRecord& record) : spec_(record.spec()), traits_(TraitsOf(spec_)) {
    for (const ProcessReport& process : record.reports()) {
      for (const WorkerReport& worker : process.workers()) workers_.push_back({&worker});
      for (const ServerReport& server : process.servers()) servers_.push_back({&server});
    }
    const auto by_rank = [](const Worker& a, const Worker& b) {
      return a.report->rank() < b.report->rank();
    };
    const auto by_index = [](const Server& a, const Server& b) {
      return a.report->index() < b.report->index();
    };
    std::sort(workers_.begin(), workers_.end(), by_rank);
    std::sort(servers_.begin(), servers_.end(), by_index);
  }

  absl::StatusOr<std::vector<std::string>> Play() {
    RM_RETURN_IF_ERROR(Prepare());
    RM_RETURN_IF_ERROR(CheckLog());
    bool moved = true;
    while (moved) {
      moved = false;
      for (Worker& worker : workers_) {
        RM_ASSIGN_OR_RETURN(const bool stepped, Step(&worker));
        moved |= stepped;
      }
      for (size_t index = 0; index < servers_.size(); ++index) {
        RM_ASSIGN_OR_RETURN(const bool served, Serve(index));
        moved |= served;
      }
    }
    return Hashes();
  }

 private:
  struct Worker {
    const WorkerReport* report;
    int64_t step = 0;
    std::vector<Floats> gradients;  // as servers decode them; by push
    std::vector<size_t> reads;      // by push: of how many pulls it had the weights
    std::vector<int32_t> steps;     // by push: that it is made of
    // Where it makes steps alone.
    Floats base, weights;  // of the last pull, and now
    int32_t alone = 0;     // steps since
    size_t taken = 0;      // pulls until the one that they began with
    std::unique_ptr<UpdateRule> rule;
    std::unique_ptr<CodecMemory> memory;
    std::vector<std::vector<Floats>> pulls;  // by pull: the part of each server that has answered
    // beside pulls: how many updates each of its parts has
    std::vector<std::vector<std::vector<int64_t>>> pull_versions;
  };
  // A server's weights at one moment, and the updates of each part.
  struct Copies {
    Floats weights;
    std::vector<int64_t> versions;
  };
  struct Server {
    const ServerReport* report;
    std::vector<Range> parts;
    Floats weights;
    std::unique_ptr<ShardCore> core;
    int next = 0;                     // event
    std::vector<int64_t> push_steps;  // [workers][parts]
    std::vector<size_t> pulls;        // by worker, answered
    // Where pushes are answered: by worker, what has been of the exchange under way, and of how
    // many parts.
    std::vector<Copies> answers;
    std::vector<int32_t> answered;
    std::unique_ptr<DownLink> down;  // null: weights go as floats
  };

  // Whether every step and event names what there is. Logs are bounded: a long run's is not whole.
  absl::Status CheckLog() const {
    const auto is_whole = [](const Worker& worker) {
      const WorkerReport& report = *worker.report;
      const int steps = report.step_loss_size();
      return steps > 0 && report.step_pulls_size() == steps &&
             (report.lots_size() == 0 || report.lots_size() == steps);
    };
    if (workers_.empty() || servers_.empty() ||
        !std::all_of(workers_.begin(), workers_.end(), is_whole))
      return absl::FailedPreconditionError("the log does not have every step");
    for (const Server& server : servers_) {
      const int64_t pushes = int64_t{Count(workers_)} * Count(server.parts);
      for (const int32_t event : server.report->arrivals()) {
        if (event >= -Count(workers_) && event < pushes) continue;
        return absl::FailedPreconditionError(
            absl::StrCat("server/", server.report->index(), " has event ", event,
                         " in its log, which no worker can have caused"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Prepare() {
    RM_ASSIGN_OR_RETURN(dataset_, LoadDataset(spec_.data(), DatasetPartFor(spec_)));
    RM_ASSIGN_OR_RETURN(kernels_, CreateKernelLibrary(spec_.training().kernels(), 0));
    ModelOptions options;
    options.shape = dataset_.train.shape;
    options.max_batch = LargestBatch(spec_.training().batch_per_worker(), options.shape);
    options.bucket_bytes = spec_.training().bucket_bytes();
    options.bucket_layout = BucketLayoutOf(spec_.training());
    RM_ASSIGN_OR_RETURN(model_, CreateModel(spec_.model(), options, *kernels_));
    RM_ASSIGN_OR_RETURN(initial_, InitialWeights(spec_, *model_));
    RM_ASSIGN_OR_RETURN(codec_, CreateCodecOf(spec_.codec(), model_->layout(), Count(servers_)));
    loader_ = std::make_unique<Loader>(
        dataset_.train,
        DataOrder{spec_.data().seed(), dataset_.train.count(), spec_.training().batch_per_worker()},
        spec_.data().augment());
    UpdateScope own{model_->layout().count(), Count(workers_) * spec_.training().accumulate(), {}};
    own.statistics.assign(model_->layout().statistics().begin(),
                          model_->layout().statistics().end());
    for (Worker& worker : workers_) {
      RM_ASSIGN_OR_RETURN(worker.rule, CreateUpdateRule(spec_.optimizer(), own));
      worker.memory = CreateCodecMemory(
          *codec_, {model_->layout().count(), spec_.training().workers()}, spec_.codec());
    }
    for (size_t index = 0; index < servers_.size(); ++index) {
      Server& server = servers_[index];
      server.parts = ShardParts(model_->layout(), Count(servers_), static_cast<int32_t>(index));
      server.weights = GatherShard(server.parts, initial_);
      RM_ASSIGN_OR_RETURN(auto update,
                          ShardRuleOf(spec_, server.parts, model_->layout().statistics()));
      server.core = std::make_unique<ShardCore>(
          ServingPlanOf(spec_, static_cast<int32_t>(index), server.parts).shard, std::move(update),
          absl::MakeSpan(server.weights));
      server.push_steps.assign(workers_.size() * server.parts.size(), 0);
      server.pulls.assign(workers_.size(), 0);
      server.answers.assign(workers_.size(),
                            {server.weights, std::vector<int64_t>(server.parts.size())});
      server.answered.assign(workers_.size(), 0);
      RM_ASSIGN_OR_RETURN(server.down,
                          DownLink::Create(spec_, model_->layout(),
                                           {static_cast<int32_t>(index), spec_.training().seed(),
                                            /*is_shared=*/false},
                                           server.parts, server.weights));
    }
    return absl::OkStatus();
  }

  template <typename T>
  static int32_t Count(const std::vector<T>& all) {
    return static_cast<int32_t>(all.size());
  }

  // Computes the worker's next step, once the weights that it had are there.
  absl::StatusOr<bool> Step(Worker* worker) {
    const WorkerReport& report = *worker->report;
    if (worker->step == report.step_loss_size()) return false;
    const auto pulls = static_cast<size_t>(report.step_pulls(static_cast<int>(worker->step)));
    if (!HasPull(*worker, pulls)) return false;
    const Floats read = pulls == 0 ? initial_ : WeightsOf(worker->pulls[pulls - 1]);
    if (traits_.local_steps > 0) {
      RM_RETURN_IF_ERROR(StepAlone(worker, pulls, read));
    } else {
      RM_ASSIGN_OR_RETURN(const Floats gradient, GradientOf(*worker, read));
      Push(worker, pulls, 1, gradient);
    }
    ++worker->step;
    return true;
  }

  void Push(Worker* worker, size_t pulls, int32_t steps, const Floats& values) {
    worker->gradients.push_back(Sent(worker, values));
    worker->reads.push_back(pulls);
    worker->steps.push_back(steps);
  }

  // A step by the worker's own optimizer; the last of several is followed by a push of how far it
  // has come.
  absl::Status StepAlone(Worker* worker, size_t pulls, const Floats& read) {
    if (worker->alone == 0) Begin(worker, pulls, read);
    RM_ASSIGN_OR_RETURN(const Floats gradient, GradientOf(*worker, worker->weights));
    const int64_t seen = LotOf(*worker) * (GlobalBatch(spec_) / Count(workers_));
    for (const Bucket& bucket : model_->layout().buckets()) {
      worker->rule->Apply({bucket.begin, seen, worker->step},
                          absl::MakeConstSpan(gradient).subspan(bucket.begin, bucket.count),
                          absl::MakeSpan(worker->weights).subspan(bucket.begin, bucket.count));
    }
    ++worker->alone;
    const bool is_last = worker->step + 1 == worker->report->step_loss_size();
    if (worker->alone < traits_.local_steps && !is_last) return absl::OkStatus();
    if (traits_.attraction > 0) {
      Push(worker, pulls, worker->alone, worker->weights);
    } else {
      Floats distance(read.size());
      ScaledDifference(1.0f / static_cast<float>(Count(workers_)), worker->weights, worker->base,
                       absl::MakeSpan(distance));
      Push(worker, pulls, worker->alone, distance);
    }
    worker->alone = 0;
    return absl::OkStatus();
  }

  // The worker begins to make steps alone: from what it has pulled, or, where that is a center,
  // from its own weights, which go towards it.
  void Begin(Worker* worker, size_t pulls, const Floats& read) const {
    if (traits_.attraction == 0 || worker->weights.empty()) {
      worker->base = worker->weights = read;
    } else if (pulls > worker->taken) {
      const double share = traits_.attraction;
      MoveTowards(static_cast<float>(share / (1 - share)), read, absl::MakeSpan(worker->weights));
    }
    worker->taken = pulls;
  }

  bool HasPull(const Worker& worker, size_t pulls) const {
    return pulls == 0 ||
           (worker.pulls.size() >= pulls &&
            std::none_of(worker.pulls[pulls - 1].begin(), worker.pulls[pulls - 1].end(),
                         [](const Floats& part) { return part.empty(); }));
  }

  int64_t LotOf(const Worker& worker) const {
    if (worker.report->lots_size() > 0) return worker.report->lots(static_cast<int>(worker.step));
    return Dealing{Count(workers_), 1}.LotOf(worker.step, worker.report->rank());
  }

  absl::StatusOr<Floats> GradientOf(const Worker& worker, const Floats& weights) {
    const int32_t accumulate = spec_.training().accumulate();
    Floats sum;
    for (int32_t a = 0; a < accumulate; ++a) {
      Batch batch;
      loader_->Fill(Dealing{Count(workers_), accumulate}.BatchOf(LotOf(worker), a), &batch);
      BatchView view;
      view.features = batch.features.data();
      view.labels = batch.labels.data();
      view.count = batch.count();
      view.training = true;
      const int32_t sharers = traits_.divisor == Divisor::kAllBatches ? Count(workers_) : 1;
      view.gradient_scale = 1.0f / static_cast<float>(accumulate * sharers);
      Floats copy = weights, gradient(weights.size());
      RM_RETURN_IF_ERROR(model_->Forward(view, ViewOf(&copy)));
      RM_RETURN_IF_ERROR(model_->Backward(ViewOf(&copy), ViewOf(&gradient),
                                          [](const Bucket&) { return absl::OkStatus(); }));
      if (a == 0) {
        sum = gradient;
      } else {
        Add(gradient, absl::MakeSpan(sum));
      }
    }
    return sum;
  }

  static TensorView ViewOf(Floats* floats) {
    return TensorView{floats->data(), 1, static_cast<int64_t>(floats->size()), Place::kHost};
  }

  // What servers make of the parts that the worker sends.
  Floats Sent(Worker* worker, const Floats& gradient) const {
    const auto exchange = static_cast<int64_t>(worker->gradients.size());
    if (codec_->traits().exact) return gradient;
    Floats decoded(gradient.size());
    for (const Bucket& bucket : model_->layout().buckets()) {
      // Every worker begins with the server after its own rank; each slice's memory is its own.
      for (int32_t server = 0; server < Count(servers_); ++server) {
        const Range part = PartOnServer(bucket, Count(servers_), server);
        if (part.count == 0) continue;
        std::vector<std::byte> out(codec_->MaxEncodedBytes(part.count));
        const CodecStream stream = PartStream(spec_.training().seed(), {exchange, LotOf(*worker)},
                                              {bucket.id, server, Count(servers_)});
        out.resize(worker->memory->Encode(
            stream, part.begin, absl::MakeConstSpan(gradient).subspan(part.begin, part.count),
            absl::MakeSpan(out)));
        codec_->Decode(stream, out, absl::MakeSpan(decoded).subspan(part.begin, part.count))
            .IgnoreError();
      }
    }
    return decoded;
  }

  // Does what the server did next, once the worker that it did it for has come so far.
  absl::StatusOr<bool> Serve(size_t index) {
    Server& server = servers_[index];
    if (server.next == server.report->arrivals_size()) return false;
    const int32_t event = server.report->arrivals(server.next);
    if (event < 0) {
      RM_RETURN_IF_ERROR(Copy(index, -1 - event));
      ++server.next;
      return true;
    }
    const auto parts = static_cast<int32_t>(server.parts.size());
    const int32_t rank = event / parts, part = event % parts;
    int64_t& step = server.push_steps[event];
    if (static_cast<int64_t>(workers_[rank].gradients.size()) <= step) return false;
    ringmaster::Push push;
    push.worker = rank;
    push.part = part;
    push.step = step++;
    push.read_version = ReadVersion(workers_[rank], push.step, index, part);
    push.missing_steps = std::max(0, traits_.local_steps - workers_[rank].steps[push.step]);
    push.gradient = absl::MakeConstSpan(workers_[rank].gradients[push.step])
                        .subspan(server.parts[part].begin, server.parts[part].count);
    std::vector<Reply> ready;
    RM_RETURN_IF_ERROR(server.core->OnPush(push, &ready));
    if (traits_.attraction > 0) Answer(index, rank, part);
    ++server.next;
    return true;
  }

  // The version of the part that the worker's push was computed from.
  static int64_t ReadVersion(const Worker& worker, int64_t push, size_t server, int32_t part) {
    const size_t pulls = worker.reads[push];
    return pulls == 0 ? 0 : worker.pull_versions[pulls - 1][server][part];
  }

  // The worker has got a part's weights right after its own push; with those of all parts it has
  // those of an exchange.
  void Answer(size_t index, int32_t rank, int32_t part) {
    Server& server = servers_[index];
    Copies& answer = server.answers[rank];
    const absl::Span<const float> weights = server.core->part_weights(part);
    std::copy(weights.begin(), weights.end(),
              answer.weights.begin() + (weights.data() - server.weights.data()));
    answer.versions[part] = server.core->versions()[part];
    if (++server.answered[rank] < Count(server.parts)) return;
    server.answered[rank] = 0;
    Keep(index, rank, answer);
  }

  absl::Status Copy(size_t index, int32_t rank) {
    Server& server = servers_[index];
    const absl::Span<const int64_t> versions = server.core->versions();
    Copies copies = {server.weights, {versions.begin(), versions.end()}};
    // A run's only drain is its last pull, and brings floats.
    const auto pull = static_cast<int64_t>(server.pulls[rank]);
    if (server.down != nullptr && pull < Exchanges(workers_[rank])) {
      for (int32_t part = 0; part < Count(server.parts); ++part) {
        const Tag tag{MessageKind::kWeights, 0, part, pull};
        RM_RETURN_IF_ERROR(
            server.down->Encode(rank, tag, server.core->part_weights(part)).status());
      }
      const absl::Span<const float> held = server.down->held(rank);
      copies.weights.assign(held.begin(), held.end());
    }
    Keep(index, rank, copies);
    server.core->OnSent(rank);
    return absl::OkStatus();
  }

  // That the worker has made in the whole run.
  int64_t Exchanges(const Worker& worker) const {
    return CeilDiv(worker.report->step_loss_size(), std::max(1, traits_.local_steps));
  }

  // The worker has pulled these.
  void Keep(size_t index, size_t rank, const Copies& copies) {
    std::vector<std::vector<Floats>>& pulls = workers_[rank].pulls;
    auto& versions = workers_[rank].pull_versions;
    const size_t pull = servers_[index].pulls[rank]++;
    if (pulls.size() <= pull) {
      pulls.emplace_back(servers_.size());
      versions.emplace_back(servers_.size());
    }
    pulls[pull][index] = copies.weights;
    versions[pull][index] = copies.versions;
  }

  Floats WeightsOf(const std::vector<Floats>& parts_of_servers) const {
    Floats weights(initial_.size());
    for (size_t index = 0; index < servers_.size(); ++index) {
      const float* next = parts_of_servers[index].data();
      for (const Range& part : servers_[index].parts) {
        std::copy_n(next, part.count, weights.begin() + part.begin);
        next += part.count;
      }
    }
    return weights;
  }

  absl::StatusOr<std::vector<std::string>> Hashes() const {
    for (const Server& server : servers_) {
      if (server.next == server.report->arrivals_size()) continue;
      return absl::FailedPreconditionError(absl::StrCat("server/", server.report->index(),
                                                        " stands still at its event ", server.next,
                                                        ", which no worker has come to"));
    }
    std::vector<std::string> hashes;
    for (const Worker& worker : workers_) {
      if (worker.step < worker.report->step_loss_size() || !HasPull(worker, worker.pulls.size())) {
        return absl::FailedPreconditionError(absl::StrCat("worker/", worker.report->rank(),
                                                          " stands still before step ", worker.step,
                                                          ", whose weights no server gave it"));
      }
      hashes.push_back(Sha256Hex(absl::MakeConstSpan(WeightsOf(worker.pulls.back()))));
    }
    return hashes;
  }

  const RunSpec& spec_;
  const SchemeTraits traits_;
  std::vector<Worker> workers_;
  std::vector<Server> servers_;
  Dataset dataset_;
  std::unique_ptr<KernelLibrary> kernels_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Codec> codec_;
  std::unique_ptr<Loader> loader_;
  Floats initial_;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> Replay(const RunRecord& record) {
  return Player(record).Play();
}

}  // namespace ringmaster
