#include "common/config/resolve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/describe.h"
#include "common/config/is_program.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Sets a field that is not set. `Has` asks for presence of `optional` fields; names and enums count
// as unset when empty or 0.
#define RM_DEFAULT(message, field, value) \
  ((message)->has_##field() ? void() : (message)->set_##field(value))
#define RM_DEFAULT_NAME(message, field, value) \
  (!(message)->field().empty() ? void() : (message)->set_##field(value))
#define RM_DEFAULT_ENUM(message, field, value) \
  ((message)->field() != 0 ? void() : (message)->set_##field(value))

// Several, so that exchange starts while backward runs and little is left when it ends; and no more
// than that, since each costs every rank messages and a turn of its exchange thread
// (docs/PERFORMANCE.md has the measurement).
constexpr int64_t kLeastBuckets = 3;
constexpr int64_t kLeastBucketBytes = 512 << 10;
constexpr int64_t kMostBucketBytes = 8 << 20;

void ResolveModel(ModelSpec* model) {
  RM_DEFAULT_NAME(model, name, model->has_program() ? "program" : "lenet");
  const std::string& name = model->name();
  if (name == "mlp" && model->mlp_hidden().empty()) model->add_mlp_hidden(128);
  if (name == "transformer") {
    TransformerSpec* transformer = model->mutable_transformer();
    RM_DEFAULT(transformer, layers, 4);
    RM_DEFAULT(transformer, width, 128);
    RM_DEFAULT(transformer, heads, 4);
    RM_DEFAULT(transformer, tied_head, false);
  }
  if (name == "resnet") {
    ResnetSpec* resnet = model->mutable_resnet();
    RM_DEFAULT(resnet, blocks, 3);  // ResNet-20
    RM_DEFAULT(resnet, width, 16);
    RM_DEFAULT_NAME(resnet, norm, "batch");
    if (resnet->norm() == "group") RM_DEFAULT(resnet, groups, 8);
  }
  if (HasDropout(name)) RM_DEFAULT(model, dropout, 0.0f);
}

void ResolveSynthetic(SyntheticSpec* synthetic) {
  RM_DEFAULT(synthetic, train_samples, 8192);
  RM_DEFAULT(synthetic, test_samples, 1024);
  RM_DEFAULT(synthetic, classes, 10);
  RM_DEFAULT(synthetic, context, 0);
  if (synthetic->context() > 0) return;
  RM_DEFAULT(synthetic, channels, 1);
  RM_DEFAULT(synthetic, height, 28);
  RM_DEFAULT(synthetic, width, 28);
  RM_DEFAULT(synthetic, noise, 1.0f);
}

void ResolveText(absl::string_view default_data_dir, TextSpec* text) {
  RM_DEFAULT_NAME(text, file, absl::StrCat(default_data_dir, "/text/kjv.txt"));
  RM_DEFAULT(text, context, 64);
  RM_DEFAULT(text, test_share, 0.1);
}

void ResolveAugment(AugmentSpec* augment) {
  RM_DEFAULT(augment, crop_padding, 0);
  RM_DEFAULT(augment, flip, false);
  RM_DEFAULT(augment, noise, 0.0f);
}

void ResolveOptimizer(OptimizerSpec* optimizer) {
  RM_DEFAULT_NAME(optimizer, name, "sgd");
  const std::string& name = optimizer->name();
  const bool adam = name == "adam" || name == "adamw";
  RM_DEFAULT(optimizer, learning_rate, adam ? 0.001f : 0.1f);
  if (name == "momentum" || name == "nesterov") RM_DEFAULT(optimizer, momentum, 0.9f);
  if (adam) {
    RM_DEFAULT(optimizer, beta1, 0.9f);
    RM_DEFAULT(optimizer, beta2, 0.999f);
    RM_DEFAULT(optimizer, epsilon, 1e-8f);
  }
  RM_DEFAULT(optimizer, weight_decay, name == "adamw" ? 0.01f : 0.0f);
  RM_DEFAULT(optimizer, allow_momentum_on_arrival, false);
  RM_DEFAULT(optimizer, warmup_samples, 0);
  RM_DEFAULT(optimizer, scale_with_workers, false);
  if (optimizer->has_step_schedule()) RM_DEFAULT(optimizer->mutable_step_schedule(), factor, 0.1f);
}

// What of the training is left after the warm-up; 0 where nothing is, which Validate refuses.
void ResolveCosine(const TrainingSpec& training, int64_t global_batch, OptimizerSpec* optimizer) {
  if (!optimizer->has_cosine_schedule()) return;
  const double samples = static_cast<double>(training.steps()) * static_cast<double>(global_batch);
  const auto left = static_cast<int64_t>(std::min(samples, 0x1p60)) - optimizer->warmup_samples();
  RM_DEFAULT(optimizer->mutable_cosine_schedule(), total_samples, std::max<int64_t>(0, left));
  RM_DEFAULT(optimizer->mutable_cosine_schedule(), floor, 0.0f);
}

absl::Status ResolveSteps(int64_t global_batch, int64_t train_samples, TrainingSpec* training) {
  if (training->has_steps()) return absl::OkStatus();
  const double epochs = training->has_epochs() ? training->epochs() : 2.0;
  if (!(epochs > 0 && std::isfinite(epochs))) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.epochs = ", epochs, ": expected a number above 0"));
  }
  if (train_samples <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.epochs = ", epochs,
                     ": the number of training samples is unknown; set training.steps instead"));
  }
  const double steps = std::ceil(std::round(epochs * static_cast<double>(train_samples)) /
                                 static_cast<double>(std::max<int64_t>(1, global_batch)));
  // Far beyond what Validate takes, and safe to convert.
  training->set_steps(static_cast<int64_t>(std::min(steps, 0x1p53)));
  training->clear_epochs();
  return absl::OkStatus();
}

absl::Status ResolveTraining(const ResolveContext& context, bool is_program,
                             TrainingSpec* training) {
  RM_DEFAULT(training, workers, 2);
  RM_DEFAULT(training, batch_per_worker, 32);
  RM_DEFAULT(training, accumulate, 1);
  RM_RETURN_IF_ERROR(ResolveSteps(GlobalBatch(*training), context.train_samples, training));
  RM_DEFAULT(training, seed, 1);
  RM_DEFAULT(training, evaluate_every_samples, 10000);
  RM_DEFAULT(training, warmup_steps,
             static_cast<int32_t>(std::clamp<int64_t>(training->steps() / 2, 0, 10)));
  RM_DEFAULT(training, bucket_bytes, DefaultBucketBytes(context.model_bytes));
  RM_DEFAULT(training, deterministic, false);
  // Scaled gradients up to 2 with 8 workers stay exact.
  RM_DEFAULT(training, deterministic_bits, 20);
  RM_DEFAULT(training, report_weights, false);
  // A program computes by itself: nothing is left for kernels to do.
  RM_DEFAULT_NAME(training, kernels, is_program ? "reference" : "auto");
  // Backward computes two products for each of forward's.
  if (training->has_emulated_compute())
    RM_DEFAULT(training->mutable_emulated_compute(), backward_share, 2.0 / 3);
  return absl::OkStatus();
}

// A codec says itself what it does where the spec says nothing.
void ResolveCodec(CodecSpec* codec) {
  RM_DEFAULT_NAME(codec, name, kNoCodec);
  SetCodecDefaults(codec);
}

void ResolveNetwork(NetworkSpec* network) {
  RM_DEFAULT(network, latency_ms, 0.0);
  RM_DEFAULT(network, jitter_ms, 0.0);
  RM_DEFAULT(network, seed, 1);
  // What a node or link does not say is as everywhere.
  for (NodeNetworkSpec& node : *network->mutable_nodes()) {
    if (!network->has_megabits_per_second()) continue;
    RM_DEFAULT(&node, egress_megabits_per_second, network->megabits_per_second());
    RM_DEFAULT(&node, ingress_megabits_per_second, network->megabits_per_second());
  }
  if (network->has_racks()) {
    RacksSpec* racks = network->mutable_racks();
    RM_DEFAULT(racks, uplink_latency_ms, 0.0);
    if (racks->servers() == RacksSpec::SERVERS_UNSET) racks->set_servers(RacksSpec::SPREAD);
  }
  for (LinkSpec& link : *network->mutable_links()) {
    RM_DEFAULT(&link, latency_ms, network->latency_ms());
    RM_DEFAULT(&link, jitter_ms, network->jitter_ms());
  }
}

void ResolveTransport(LaunchMode launch, TransportSpec* transport) {
  RM_DEFAULT_NAME(transport, name, launch == THREADS ? "inproc" : "grpc");
  RM_DEFAULT(transport, segment_bytes, 1 << 20);
  RM_DEFAULT_NAME(transport, listen_address, "127.0.0.1");
  RM_DEFAULT_NAME(transport, wait, "sleep");
  RM_DEFAULT(transport, allow_remote, false);
  // Said or left out, it is one spec.
  if (transport->security() == "token") transport->clear_security();
  if (transport->has_network()) ResolveNetwork(transport->mutable_network());
}

// Three steps show how they follow one another, and a record stays small.
constexpr int32_t kTraceSteps = 3;

void ResolveOutput(bool evaluates, OutputSpec* output) {
  if (!evaluates) RM_DEFAULT(output, trace_steps, kTraceSteps);
  if (!output->dump_gradients().empty()) RM_DEFAULT(output, dump_gradient_steps, 10);
  if (!output->checkpoints().empty()) RM_DEFAULT(output, checkpoints_kept, 2);
}

void ResolveLimits(LimitsSpec* limits) {
  RM_DEFAULT(limits, wait_seconds, 30.0);
  // join_seconds and compute_seconds depend on the machine and the run, unless they are said.
  RM_DEFAULT(limits, heartbeat_seconds, 0.5);
}

}  // namespace

std::string DefaultDataDir(absl::string_view xdg_cache_home, absl::string_view home) {
  if (!xdg_cache_home.empty()) return absl::StrCat(xdg_cache_home, "/ringmaster");
  return absl::StrCat(home, "/.cache/ringmaster");
}

int64_t DefaultBucketBytes(int64_t model_bytes) {
  int64_t bytes = kLeastBucketBytes;
  while (bytes < kMostBucketBytes && 2 * bytes <= model_bytes / kLeastBuckets) bytes *= 2;
  return bytes;
}

DataSpec ResolveData(DataSpec data, absl::string_view default_data_dir) {
  RM_DEFAULT_NAME(&data, name, data.has_program() ? "program" : "mnist");
  RM_DEFAULT(&data, seed, 1);
  RM_DEFAULT(&data, prefetch, 2);
  if (data.name() == "mnist") RM_DEFAULT_NAME(&data, dir, absl::StrCat(default_data_dir, "/mnist"));
  if (data.name() == "cifar10")
    RM_DEFAULT_NAME(&data, dir, absl::StrCat(default_data_dir, "/cifar10"));
  if (data.has_augment()) ResolveAugment(data.mutable_augment());
  if (data.name() == "text") ResolveText(default_data_dir, data.mutable_text());
  if (data.name() == "synthetic") ResolveSynthetic(data.mutable_synthetic());
  return data;
}

absl::StatusOr<RunSpec> Resolve(RunSpec spec, const ResolveContext& context) {
  ResolveModel(spec.mutable_model());
  *spec.mutable_data() = ResolveData(std::move(*spec.mutable_data()), context.default_data_dir);
  ResolveOptimizer(spec.mutable_optimizer());
  RM_RETURN_IF_ERROR(ResolveTraining(context, IsProgram(spec), spec.mutable_training()));
  ResolveCosine(spec.training(), GlobalBatch(spec), spec.mutable_optimizer());
  const bool as_it_can = spec.strategy().on_failure() == StrategySpec::GO_ON;
  ResolveStrategy(spec.training().workers(), spec.mutable_strategy());
  // With these nobody goes on where he is (CheckStrategy).
  const bool is_tied =
      spec.training().has_checkpoint_every_steps() || spec.transport().has_network();
  if (as_it_can && is_tied && GoesOn(spec))
    spec.mutable_strategy()->set_on_failure(StrategySpec::RESTART);
  ResolveCodec(spec.mutable_codec());
  ResolveTransport(spec.strategy().launch(), spec.mutable_transport());
  ResolveLimits(spec.mutable_limits());
  if (!spec.has_evaluation() || spec.has_output())
    ResolveOutput(spec.has_evaluation(), spec.mutable_output());
  if (spec.name().empty()) spec.set_name(std::string(StrategyName(spec.strategy())));
  return spec;
}

}  // namespace ringmaster
