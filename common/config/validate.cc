#include "common/config/validate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/base/known_words.h"
#include "common/base/problems.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/config/check_codec_memory.h"
#include "common/config/check_codec_options.h"
#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/validate_emulation.h"
#include "common/config/validate_optimizer.h"
#include "common/config/validate_program.h"
#include "common/config/validate_security.h"
#include "common/params/param_layout.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

constexpr int64_t kMaxNodes = 4096;
constexpr int64_t kMaxGlobalBatch = int64_t{1} << 24;
constexpr int64_t kMaxSteps = int64_t{1} << 40;

void CheckTransformer(const TransformerSpec& transformer, Problems* problems) {
  problems->Range<int64_t>("model.transformer.layers", transformer.layers(), 1, 1024);
  problems->Range<int64_t>("model.transformer.width", transformer.width(), 1, 1 << 16);
  problems->Range<int64_t>("model.transformer.heads", transformer.heads(), 1, 1 << 16);
  if (transformer.heads() >= 1 && transformer.width() % transformer.heads() != 0) {
    problems->Add(
        "model.transformer.heads", transformer.heads(),
        absl::StrCat("expected a divisor of model.transformer.width = ", transformer.width()));
  }
}

void CheckResnet(const RunSpec& spec, Problems* problems) {
  const ResnetSpec& resnet = spec.model().resnet();
  problems->Range<int64_t>("model.resnet.blocks", resnet.blocks(), 1, 1024);
  problems->Range<int64_t>("model.resnet.width", resnet.width(), 1, 1 << 14);
  problems->Known("model.resnet.norm", "norm", resnet.norm(), {"batch", "group"});
  if (resnet.norm() == "batch") {
    if (resnet.has_groups()) {
      problems->Add("model.resnet.groups", resnet.groups(),
                    "only for norm \"group\", and the norm is \"batch\"; leave it out");
    }
    if (TraitsOf(spec).updates == Updates::kOnArrival && TraitsOf(spec).local_steps == 0) {
      problems->AddName("model.resnet.norm", "batch",
                        "with updates on arrival (SSP, ASYNCHRONOUS), the running statistics would "
                        "take each worker's share for the mean of all; use norm \"group\"");
    }
  }
  if (resnet.norm() == "group") {
    problems->Range<int64_t>("model.resnet.groups", resnet.groups(), 1, 1 << 14);
    if (resnet.groups() >= 1 && resnet.width() % resnet.groups() != 0) {
      problems->Add("model.resnet.groups", resnet.groups(),
                    absl::StrCat("expected a divisor of model.resnet.width = ", resnet.width()));
    }
  }
}

void CheckModel(const RunSpec& spec, const KnownNames& known, Problems* problems) {
  const ModelSpec& model = spec.model();
  const std::string& name = model.name();
  problems->Known("model.name", "model", name, known.models);
  const auto only_for = [&](const char* field, const std::string& value, const char* owner,
                            bool is_set) {
    if (!is_set || name == owner) return;
    problems->Add(field, value,
                  absl::StrCat("only for model \"", owner, "\", and the model is \"", name,
                               "\"; leave it out"));
  };
  only_for("model.mlp_hidden", absl::StrJoin(model.mlp_hidden(), ","), "mlp",
           model.mlp_hidden_size() > 0);
  only_for("model.transformer", "{...}", "transformer", model.has_transformer());
  only_for("model.resnet", "{...}", "resnet", model.has_resnet());
  for (int32_t size : model.mlp_hidden())
    problems->Range<int64_t>("model.mlp_hidden", size, 1, 1 << 20);
  if (name == "transformer") CheckTransformer(model.transformer(), problems);
  if (name == "resnet") CheckResnet(spec, problems);
  if (!model.has_dropout()) return;
  if (!HasDropout(name)) {
    problems->Add("model.dropout", model.dropout(),
                  absl::StrCat("model \"", name,
                               "\" has none; leave it out, or use mlp, cnn or transformer"));
  } else if (!(model.dropout() >= 0 && model.dropout() < 1)) {
    problems->Add("model.dropout", model.dropout(),
                  "expected 0 or more and below 1, the share that is set to 0");
  }
}

void CheckSynthetic(const SyntheticSpec& synthetic, Problems* problems) {
  problems->Range<int64_t>("data.synthetic.train_samples", synthetic.train_samples(), 1, INT32_MAX);
  problems->Range<int64_t>("data.synthetic.test_samples", synthetic.test_samples(), 1, INT32_MAX);
  problems->Range<int64_t>("data.synthetic.classes", synthetic.classes(), 2, 1 << 20);
  problems->Range<int64_t>("data.synthetic.context", synthetic.context(), 0, 1 << 16,
                           "0 makes images");
  if (synthetic.context() <= 0) {
    problems->Range<int64_t>("data.synthetic.channels", synthetic.channels(), 1, 4096);
    problems->Range<int64_t>("data.synthetic.height", synthetic.height(), 1, 4096);
    problems->Range<int64_t>("data.synthetic.width", synthetic.width(), 1, 4096);
    problems->Range<double>("data.synthetic.noise", synthetic.noise(), 0, 1e6);
  } else if (synthetic.has_channels() || synthetic.has_height() || synthetic.has_width() ||
             synthetic.has_noise()) {
    problems->Add("data.synthetic.context", synthetic.context(),
                  "makes texts, which have no channels, height, width and noise; leave those out, "
                  "or the context");
  }
}

void CheckAugment(const DataSpec& data, Problems* problems) {
  const AugmentSpec& augment = data.augment();
  if (data.name() == "text" || data.synthetic().context() > 0) {
    problems->Add("data.augment", "{...}", "changes images, and the data is text; leave it out");
    return;
  }
  problems->Range<int64_t>("data.augment.crop_padding", augment.crop_padding(), 0, 16);
  problems->Range<double>("data.augment.noise", augment.noise(), 0, 100);
  if (augment.crop_padding() > 0 && data.name() == "synthetic") {
    problems->Add("data.augment.crop_padding", augment.crop_padding(),
                  "a synthetic class is one random value for each place, so moved samples are of "
                  "no class; leave it out, or use data.augment.noise");
  }
  if (augment.flip() && data.name() != "cifar10") {
    problems->Add("data.augment.flip", "true",
                  absl::StrCat("mirrored samples of data \"", data.name(),
                               "\" are not of their class; leave it out"));
  }
}

// What is said of classes and pixels of the files.
void CheckPixels(const DataSpec& data, Problems* problems) {
  if (data.has_classes()) {
    if (data.name() == "mnist") {
      problems->Range<int64_t>("data.classes", data.classes(), 1, 1 << 16);
    } else {
      problems->Add("data.classes", data.classes(),
                    absl::StrCat("only for data \"mnist\", and the data is \"", data.name(),
                                 "\"; leave it out"));
    }
  }
  if (data.mean().empty() && data.deviation().empty()) return;
  const std::string given =
      absl::StrCat(absl::StrJoin(data.mean(), ","), " and ", absl::StrJoin(data.deviation(), ","));
  const int channels = data.name() == "mnist" ? 1 : data.name() == "cifar10" ? 3 : 0;
  if (channels == 0) {
    problems->Add("data.mean and data.deviation", given,
                  absl::StrCat("only for data \"mnist\" and \"cifar10\", and the data is \"",
                               data.name(), "\"; leave them out"));
    return;
  }
  const auto is_finite = [](float value) { return std::isfinite(value); };
  const auto is_positive = [](float value) { return std::isfinite(value) && value > 0; };
  if (data.mean_size() == channels && data.deviation_size() == channels &&
      std::all_of(data.mean().begin(), data.mean().end(), is_finite) &&
      std::all_of(data.deviation().begin(), data.deviation().end(), is_positive)) {
    return;
  }
  problems->Add("data.mean and data.deviation", given,
                absl::StrCat("expected ", channels, channels == 1 ? " number" : " numbers",
                             " each, deviations above 0; or leave both out"));
}

void CheckData(const RunSpec& spec, const KnownNames& known, Problems* problems) {
  const DataSpec& data = spec.data();
  problems->Known("data.name", "dataset", data.name(), known.datasets);
  if (data.name() == "mnist" && data.dir().empty()) {
    problems->AddName("data.dir", "", "expected the folder with the IDX files; set --data-dir");
  }
  const bool has_files_in_folder = data.name() == "mnist" || data.name() == "cifar10";
  if (!has_files_in_folder && !data.dir().empty()) {
    problems->AddName("data.dir", data.dir(),
                      absl::StrCat("only for data \"mnist\" and \"cifar10\", and the data is \"",
                                   data.name(), "\"; leave it out"));
  }
  if (data.name() == "cifar10" && data.dir().empty()) {
    problems->AddName("data.dir", "", "expected the folder with the binary files; set --data-dir");
  }
  CheckPixels(data, problems);
  if (data.has_augment()) CheckAugment(data, problems);
  if (data.has_train_limit())
    problems->Range<int64_t>("data.train_limit", data.train_limit(), 1, INT32_MAX);
  problems->Range<int64_t>("data.prefetch", data.prefetch(), 0, 64,
                           "0 makes each batch in the step thread");
  if (data.has_test_limit())
    problems->Range<int64_t>("data.test_limit", data.test_limit(), 1, INT32_MAX);
  if (data.name() != "synthetic" && data.has_synthetic()) {
    problems->Add("data.synthetic", "{...}",
                  absl::StrCat("only for data \"synthetic\", and the data is \"", data.name(),
                               "\"; leave it out"));
  }
  if (data.name() != "text" && data.has_text()) {
    problems->Add("data.text", "{...}",
                  absl::StrCat("only for data \"text\", and the data is \"", data.name(),
                               "\"; leave it out"));
  }
  if (data.name() == "text") {
    const TextSpec& text = data.text();
    if (text.file().empty()) {
      problems->AddName("data.text.file", "",
                        "expected the path of a text; leave it out for the default one");
    }
    problems->Range<int64_t>("data.text.context", text.context(), 1, 1 << 16);
    if (!(text.test_share() > 0 && text.test_share() < 1)) {
      problems->Add("data.text.test_share", text.test_share(),
                    "expected above 0 and below 1, the share at the end of the text that is never "
                    "trained on");
    }
  }
  if (data.name() == "synthetic") CheckSynthetic(data.synthetic(), problems);
}

void CheckTraining(const RunSpec& spec, const KnownNames& known, Problems* problems) {
  const TrainingSpec& training = spec.training();
  problems->Range<int64_t>("training.workers", training.workers(), 1, kMaxNodes, "set --workers");
  problems->Range<int64_t>("training.batch_per_worker", training.batch_per_worker(), 1, 1 << 20);
  problems->Range<int64_t>("training.accumulate", training.accumulate(), 1, 1 << 16,
                           "1 exchanges after every batch");
  if (GlobalBatch(spec) > kMaxGlobalBatch) {
    problems->Add(
        "training.workers * training.batch_per_worker * training.accumulate", GlobalBatch(spec),
        absl::StrCat("a global batch of at most ", kMaxGlobalBatch, " samples is supported"));
  }
  if (training.has_steps() && training.has_epochs()) {
    problems->Add(
        "training.epochs", training.epochs(),
        absl::StrCat("training.steps = ", training.steps(), " is set too; give one of them"));
  }
  problems->Range<int64_t>("training.steps", training.steps(), 1, kMaxSteps,
                           "set --steps or --epochs");
  problems->Range<int64_t>("training.evaluate_every_samples", training.evaluate_every_samples(), 0,
                           std::numeric_limits<int64_t>::max(), "0 evaluates at the end only");
  if (training.steps() >= 1) {
    problems->Range<int64_t>("training.warmup_steps", training.warmup_steps(), 0,
                             training.steps() - 1, "at least one step must be timed");
  }
  problems->Range<int64_t>("training.bucket_bytes", training.bucket_bytes(), 4, 1 << 30);
  if (!TrainingSpec::BucketLayout_IsValid(training.bucket_layout())) {
    std::vector<std::string> names;
    for (const BucketLayoutInfo& info : BucketLayouts()) names.push_back(info.name);
    problems->Known("training.bucket_layout", "bucket layout",
                    absl::StrCat(training.bucket_layout()), names);
  }
  problems->Range<int64_t>("training.deterministic_bits", training.deterministic_bits(), 1, 24);
  if (training.kernels() != "auto") {
    std::vector<std::string> names = known.kernels;
    names.insert(names.begin(), "auto");
    problems->Known("training.kernels", "kernel library", training.kernels(), names);
  }
}

// Of a codec that is summed in rounds, which works on matrices.
void CheckInRounds(const RunSpec& spec, Problems* problems) {
  const std::string& name = spec.codec().name();
  const SchemeTraits traits = TraitsOf(spec);
  if (traits.exchanges && !traits.sums_in_rounds) {
    problems->AddName(
        "codec.name", name,
        absl::StrCat("is summed over all workers in several rounds, which strategy \"",
                     StrategyName(spec.strategy()),
                     "\" does not do; use strategy \"all_reduce\", or another codec"));
    return;
  }
  if (spec.training().bucket_layout() != TrainingSpec::WHOLE_TENSORS) {
    problems->Add("training.bucket_layout", "CUT",
                  absl::StrCat("codec \"", name,
                               "\" works on whole tensors; use WHOLE_TENSORS, in all arms that are "
                               "compared"));
  }
}

// Of codecs whose gradients are votes.
void CheckVotes(const RunSpec& spec, Problems* problems) {
  const CodecSpec& codec = spec.codec();
  if (codec.error_feedback()) {
    problems->Add("codec.error_feedback", "true",
                  absl::StrCat("codec \"", codec.name(),
                               "\" sends no magnitude, so what it leaves out is unknown; leave it "
                               "out, or use codec ",
                               QuotedCodecs(
                                   [](const CodecInfo& codec) {
                                     return codec.traits.feedback_by_default &&
                                            !codec.traits.index_bearing;
                                   },
                                   " or ")));
  }
  if (spec.optimizer().has_clip_norm()) {
    problems->Add("optimizer.clip_norm", spec.optimizer().clip_norm(),
                  absl::StrCat("codec \"", codec.name(),
                               "\" makes every element of a gradient -1, 0 or 1, so its norm says "
                               "nothing; leave it out"));
  }
}

void CheckCodec(const RunSpec& spec, Problems* problems) {
  const CodecSpec& codec = spec.codec();
  const CodecInfo* const info = FindCodec(codec.name());
  if (info == nullptr) {
    problems->Known("codec.name", "codec", codec.name(), RegistryNames(CodecsAndReducers()));
    return;
  }
  CheckCodecOptions("codec", codec, *info, problems);
  CheckCodecMemory(spec, problems);
  if (info->traits.exact) {
    if (codec.error_feedback()) {
      problems->Add("codec.error_feedback", "true",
                    absl::StrCat("codec \"", codec.name(), "\" leaves no error; leave it out"));
    }
    return;
  }
  if (info->traits.majority_vote) CheckVotes(spec, problems);
  if (!TraitsOf(spec).exchanges) {
    problems->AddName("codec.name", codec.name(),
                      absl::StrCat("strategy \"", StrategyName(spec.strategy()),
                                   "\" exchanges nothing; use \"none\""));
  }
  if (info->traits.in_rounds) CheckInRounds(spec, problems);
  if (spec.training().deterministic()) {
    problems->AddName(
        "codec.name", codec.name(),
        "training.deterministic asks for exact sums, and this codec is lossy; use \"none\" or "
        "training.deterministic=false");
  }
  if (spec.model().resnet().norm() == "batch" && !info->traits.exact) {
    problems->AddName(
        "codec.name", codec.name(),
        absl::StrCat(
            "is lossy, and the running statistics of model.resnet.norm = \"batch\" must arrive "
            "whole; use norm \"group\", or codec ",
            QuotedCodecs([](const CodecInfo& codec) { return codec.traits.exact; }, " or ")));
  }
}

void CheckWait(const TransportSpec& transport, Problems* problems) {
  if (transport.wait() != "sleep" && transport.wait() != "spin") {
    problems->AddName("transport.wait", transport.wait(), "expected \"sleep\" or \"spin\"");
  }
}

// Whether this host alone reaches its address.
bool CheckTransport(const RunSpec& spec, const KnownNames& known, Problems* problems) {
  const TransportSpec& transport = spec.transport();
  problems->Known("transport.name", "transport", transport.name(), known.transports);
  const bool threads = spec.strategy().launch() == THREADS;
  if (threads && transport.name() != "inproc") {
    problems->AddName("transport.name", transport.name(),
                      "strategy.launch is THREADS, one process; use \"inproc\"");
  }
  if (!threads && transport.name() == "inproc") {
    problems->AddName("transport.name", "inproc",
                      "reaches no other process, and strategy.launch is PROCESSES; use \"auto\", "
                      "\"grpc\", \"shm\" or \"tcp\", or launch THREADS");
  }
  CheckWait(transport, problems);
  problems->Range<int64_t>("transport.segment_bytes", transport.segment_bytes(), 4096, 256 << 20);
  return CheckSecurity({transport.security(), transport.listen_address(), TraitsOf(spec).engine},
                       problems);
}

void CheckCheckpoints(const TrainingSpec& training, const OutputSpec& output, Problems* problems) {
  const int64_t every = training.checkpoint_every_steps(), step = output.resume_step();
  if (training.has_checkpoint_every_steps())
    problems->Range<int64_t>("training.checkpoint_every_steps", every, 1, int64_t{1} << 40);
  if (!output.checkpoints().empty() && every == 0) {
    problems->AddName("output.checkpoints", output.checkpoints(),
                      "nothing says when they are made; set training.checkpoint_every_steps");
  }
  if (!output.checkpoints().empty())
    problems->Range<int32_t>("output.checkpoints_kept", output.checkpoints_kept(), 1, 1000);
  if (!output.has_resume_step()) return;
  if (output.checkpoints().empty() || every == 0 || step % every != 0 || step <= 0 ||
      step >= training.steps()) {
    problems->Add("output.resume_step", step,
                  "expected a multiple of training.checkpoint_every_steps within the run, and "
                  "output.checkpoints, where it lies");
  }
  if (!output.dump_batches().empty()) {
    problems->AddName("output.dump_batches", output.dump_batches(),
                      "a run that goes on has not all batches; leave it out, or begin anew");
  }
}

void CheckOutput(const RunSpec& spec, Problems* problems) {
  const OutputSpec& output = spec.output();
  problems->Range<int64_t>("output.trace_steps", output.trace_steps(), 0, 1000);
  if (!output.dump_gradients().empty() && TraitsOf(spec).weights == WeightHolder::kServers) {
    problems->AddName("output.dump_gradients", output.dump_gradients(),
                      "with a parameter server the averaged gradient exists on the servers alone; "
                      "use single, solo or an all-reduce, which ends with the same gradients where "
                      "it is synchronous");
  } else if (!output.dump_gradients().empty() && TraitsOf(spec).updated != nullptr) {
    problems->AddName("output.dump_gradients", output.dump_gradients(),
                      "each worker has the averaged gradient of the share alone that it updates; "
                      "use all_reduce, which ends with the same gradients");
  }
  CheckCheckpoints(spec.training(), output, problems);
  if (!output.dump_gradients().empty()) {
    problems->Range<int64_t>("output.dump_gradient_steps", output.dump_gradient_steps(), 1,
                             1 << 20);
  } else if (output.has_dump_gradient_steps()) {
    problems->Add(
        "output.dump_gradient_steps", output.dump_gradient_steps(),
        "only with output.dump_gradients, the folder that they go to; set it or leave this out");
  }
}

void CheckEvaluation(const RunSpec& spec, Problems* problems) {
  if (!spec.has_evaluation()) return;
  if (TraitsOf(spec).replicas != Replicas::kIndependent) {
    problems->AddName("strategy", StrategyName(spec.strategy()),
                      "an evaluation exchanges nothing; use \"solo\"");
  }
  if (spec.training().init_weights().empty()) {
    problems->AddName("training.init_weights", "",
                      "an evaluation needs weights to score; give --weights FILE");
  }
  const OutputSpec& output = spec.output();
  if (!output.save_weights().empty() || !output.dump_batches().empty() ||
      !output.dump_gradients().empty() || output.trace_steps() > 0) {
    problems->Add(
        "output", "{...}",
        "an evaluation trains nothing that could be saved, dumped or traced; leave it out");
  }
}

void CheckTuning(const TuningSpec& tuning, Problems* problems) {
  for (const TunedFieldSpec& tuned : tuning.fields()) {
    if (IsTunable(tuned.field())) continue;
    problems->AddName("tuning.fields", tuned.field(),
                      "arms with different values would not learn the same thing from the same "
                      "samples; expected a field of optimizer, codec or strategy");
  }
  if (tuning.fields_size() > 0)
    problems->Range<int64_t>("tuning.budget_samples", tuning.budget_samples(), 1,
                             std::numeric_limits<int64_t>::max());
}

void CheckLimits(const LimitsSpec& limits, Problems* problems) {
  constexpr double kDay = 86400;
  problems->Range<double>("limits.wait_seconds", limits.wait_seconds(), 0.001, kDay);
  if (limits.has_join_seconds())
    problems->Range<double>("limits.join_seconds", limits.join_seconds(), 0.001, kDay);
  if (limits.has_compute_seconds()) {
    problems->Range<double>("limits.compute_seconds", limits.compute_seconds(), 0.001, kDay,
                            "leave it out for 20 times a rank's slowest step, at least 60");
  }
  if (limits.has_mark_copies_bytes()) {
    problems->Range<int64_t>("limits.mark_copies_bytes", limits.mark_copies_bytes(), 0,
                             std::numeric_limits<int64_t>::max(), "left out it is 2 GiB");
  }
  if (limits.has_restarts()) {
    problems->Range<int32_t>("limits.restarts", limits.restarts(), 1, 1000,
                             "strategy.on_failure=ABORT starts nothing again; left out it is 3");
  }
  problems->Range<double>("limits.heartbeat_seconds", limits.heartbeat_seconds(), 0.001, kDay);
  if (limits.wait_seconds() > 0 && limits.heartbeat_seconds() >= limits.wait_seconds()) {
    problems->Add("limits.heartbeat_seconds", limits.heartbeat_seconds(),
                  absl::StrCat("expected below limits.wait_seconds = ", limits.wait_seconds(),
                               ", or live ranks count as hung"));
  }
}

}  // namespace

absl::Status Validate(const RunSpec& resolved, const KnownNames& known) {
  Problems problems;
  CheckModel(resolved, known, &problems);
  CheckData(resolved, known, &problems);
  CheckProgram(resolved, &problems);
  CheckOptimizer(resolved, &problems);
  CheckTraining(resolved, known, &problems);
  CheckStrategy(resolved, &problems);
  CheckCodec(resolved, &problems);
  CheckDownCodec(resolved, &problems);
  const bool is_loopback = CheckTransport(resolved, known, &problems);
  CheckEmulation(resolved, is_loopback, &problems);
  CheckOutput(resolved, &problems);
  CheckEvaluation(resolved, &problems);
  CheckTuning(resolved.tuning(), &problems);
  CheckLimits(resolved.limits(), &problems);
  if (!MayReform(resolved)) return problems.ToStatus();
  RM_RETURN_IF_ERROR(problems.ToStatus());
  RM_ASSIGN_OR_RETURN(const RunSpec without_one, WithoutOneWorker(resolved));
  return Annotate(Validate(without_one, known), "on_failure = REFORM: without one worker");
}

}  // namespace ringmaster
