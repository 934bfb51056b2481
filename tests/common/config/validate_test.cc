#include "common/config/validate.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/config/override.h"
#include "common/config/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"
#include "tests/support/arms.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A resolved spec after assignments, made before resolving.
RunSpec Spec(std::vector<const char*> assignments) {
  RunSpec spec;
  for (const char* assignment : assignments) {
    const absl::Status status = SetField(assignment, &spec);
    EXPECT_TRUE(status.ok()) << status;
  }
  const auto resolved = Resolve(spec, {"/data", 60000});
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return *resolved;
}

std::string ErrorOf(std::vector<const char*> assignments) {
  const absl::Status status = Validate(Spec(assignments), TestNames());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(Validate, ABucketLayoutThatThereIsNotIsRefused) {
  RunSpec spec = Spec({});
  // a file of specs may say so
  spec.mutable_training()->set_bucket_layout(static_cast<TrainingSpec::BucketLayout>(7));
  EXPECT_THAT(
      std::string(Validate(spec, TestNames()).message()),
      HasSubstr(
          "training.bucket_layout = \"7\": no such bucket layout; known are CUT, WHOLE_TENSORS"));
}

TEST(Resolve, EpochsBecomeFullSteps) {
  EXPECT_EQ(Spec({"training.epochs=1"}).training().steps(), 938);  // 60000 / 64, rounded up
  EXPECT_EQ(Spec({"training.epochs=0.5", "training.workers=3"}).training().steps(), 313);
  EXPECT_FALSE(Spec({"training.epochs=1"}).training().has_epochs());
}

TEST(Resolve, ModelsGetTheirOwnSizesAndNoOtherModels) {
  const ModelSpec transformer = Spec({"model.name=transformer"}).model();
  EXPECT_EQ(transformer.transformer().layers(), 4);
  EXPECT_EQ(transformer.transformer().width(), 128);
  EXPECT_EQ(transformer.transformer().heads(), 4);
  EXPECT_TRUE(transformer.transformer().has_tied_head());
  EXPECT_FALSE(transformer.transformer().tied_head());
  EXPECT_TRUE(transformer.has_dropout());
  EXPECT_FALSE(transformer.has_resnet());
  const ModelSpec resnet = Spec({"model.name=resnet"}).model();
  EXPECT_EQ(resnet.resnet().blocks(), 3);
  EXPECT_EQ(resnet.resnet().width(), 16);
  EXPECT_EQ(resnet.resnet().norm(), "batch");
  EXPECT_FALSE(resnet.resnet().has_groups());
  EXPECT_FALSE(resnet.has_dropout());
  EXPECT_EQ(Spec({"model.name=resnet", "model.resnet.norm=group"}).model().resnet().groups(), 8);
  EXPECT_FALSE(Spec({}).model().has_dropout());
  for (const char* name :
       {"model.name=mlp", "model.name=cnn", "model.name=resnet", "model.name=transformer"}) {
    EXPECT_EQ(Validate(Spec({name}), TestNames()), absl::OkStatus());
  }
}

TEST(Resolve, EpochsWithoutAKnownNumberOfSamplesAreRefused) {
  RunSpec spec;
  spec.mutable_training()->set_epochs(1);
  const auto resolved = Resolve(spec, {"/data", 0});
  EXPECT_THAT(std::string(resolved.status().message()), HasSubstr("set training.steps instead"));
  spec.mutable_training()->set_epochs(-1);
  EXPECT_THAT(std::string(Resolve(spec, {"/data", 60000}).status().message()),
              HasSubstr("training.epochs = -1"));
  spec.mutable_training()->clear_epochs();
  spec.mutable_training()->set_steps(5);
  EXPECT_TRUE(Resolve(spec, {"/data", 0}).ok());
}

TEST(Resolve, BucketsFollowTheSizeOfTheModelAndNothingThatArmsDifferIn) {
  // lenet, mlp 784-1024-1024-10, cnn, and models at and beyond the bounds.
  EXPECT_EQ(DefaultBucketBytes(431080 * 4), 512 << 10);
  EXPECT_EQ(DefaultBucketBytes(1863690 * 4), 2 << 20);
  EXPECT_EQ(DefaultBucketBytes(3274634 * 4), 4 << 20);
  EXPECT_EQ(DefaultBucketBytes(0), 512 << 10);
  EXPECT_EQ(DefaultBucketBytes((3 << 20) - 1), 512 << 10);
  EXPECT_EQ(DefaultBucketBytes(3 << 20), 1 << 20);
  EXPECT_EQ(DefaultBucketBytes(int64_t{1} << 40), 8 << 20);
  for (const char* assignment :
       {"strategy.single={}", "strategy.all_reduce={}", "strategy.launch=THREADS",
        "codec.name=topk", "transport.name=shm", "training.workers=8"}) {
    RunSpec spec;
    ASSERT_TRUE(SetField(assignment, &spec).ok());
    const auto resolved = Resolve(spec, {"/data", 60000, 12 << 20});
    ASSERT_TRUE(resolved.ok());
    EXPECT_EQ(resolved->training().bucket_bytes(), 4 << 20) << assignment;
  }
  EXPECT_EQ(Spec({"training.bucket_bytes=3000"}).training().bucket_bytes(), 3000);
}

TEST(Resolve, ACodecGetsItsOwnOptionsAndFeedbackWhereItLeavesOutMost) {
  EXPECT_EQ(Spec({}).codec().name(), "none");
  EXPECT_EQ(Spec({"codec.name=topk"}).codec().density(), 0.01);
  EXPECT_EQ(Spec({"codec.name=topk", "codec.density=0.5"}).codec().density(), 0.5);
  const auto is_dense = [](const CodecInfo& info) { return !FindOption(info, "density"); };
  for (const std::string& name : CodecsThat(is_dense)) {
    EXPECT_FALSE(Spec({absl::StrCat("codec.name=", name).c_str()}).codec().has_density()) << name;
  }
  EXPECT_TRUE(Spec({"codec.name=topk"}).codec().error_feedback());
  EXPECT_TRUE(Spec({"codec.name=onebit"}).codec().error_feedback());
  std::vector<std::string> without =
      CodecsThat([](const CodecInfo& info) { return !info.traits.feedback_by_default; });
  without.push_back("zip");  // not a codec
  for (const std::string& name : without) {
    const CodecSpec codec = Spec({absl::StrCat("codec.name=", name).c_str()}).codec();
    EXPECT_TRUE(codec.has_error_feedback() && !codec.error_feedback()) << name;
  }
}

TEST(Resolve, ResolvingTwiceChangesNothing) {
  for (const char* assignment :
       {"strategy.single={}", "strategy.solo={}", "strategy.all_reduce={}",
        "strategy.parameter_server.consistency=SSP", "codec.name=topk", "model.name=mlp",
        "model.name=resnet", "model.name=transformer", "data.name=synthetic", "data.name=text",
        "data.augment={}", "optimizer.name=momentum", "strategy.launch=THREADS"}) {
    const RunSpec once = Spec({assignment});
    const auto twice = Resolve(once, {"/elsewhere", 1, 64 << 20});
    ASSERT_TRUE(twice.ok());
    EXPECT_EQ(SerializeRunSpec(*twice), SerializeRunSpec(once)) << assignment;
  }
}

TEST(Resolve, EverythingThatIsSetIsKept) {
  const RunSpec spec =
      Spec({"training.workers=0", "training.seed=0", "training.evaluate_every_samples=0",
            "codec.name=topk", "codec.error_feedback=false", "transport.name=tcp"});
  EXPECT_EQ(spec.training().workers(), 0);
  EXPECT_EQ(spec.training().seed(), 0u);
  EXPECT_EQ(spec.training().evaluate_every_samples(), 0);
  EXPECT_FALSE(spec.codec().error_feedback());
  EXPECT_EQ(spec.transport().name(), "tcp");
}

TEST(Resolve, TheDataFolderFollowsTheCacheVariables) {
  EXPECT_EQ(DefaultDataDir("/cache", "/home/a"), "/cache/ringmaster");
  EXPECT_EQ(DefaultDataDir("", "/home/a"), "/home/a/.cache/ringmaster");
  EXPECT_EQ(Spec({}).data().dir(), "/data/mnist");
  EXPECT_EQ(Spec({"data.name=text"}).data().text().file(), "/data/text/kjv.txt");
  EXPECT_EQ(Spec({"data.name=cifar10"}).data().dir(), "/data/cifar10");
  EXPECT_EQ(Spec({"data.dir=/mine"}).data().dir(), "/mine");
}

TEST(Validate, DefaultsAreLegal) {
  EXPECT_TRUE(Validate(Spec({}), TestNames()).ok()) << Validate(Spec({}), TestNames());
  EXPECT_TRUE(Validate(Spec({"strategy.launch=THREADS"}), TestNames()).ok());
  EXPECT_TRUE(Validate(Spec({"optimizer.name=momentum"}), TestNames()).ok());
}

struct Refusal {
  std::vector<const char*> assignments;
  const char* text;
};

class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, WithFieldValueExpectationAndRemedyInOneLine) {
  const std::string error = ErrorOf(GetParam().assignments);
  EXPECT_THAT(error, StartsWith(GetParam().text));
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(
    Validate, Refused,
    ::testing::Values(
        Refusal{{"training.workers=0"}, "training.workers = 0: expected 1 to 4096; set --workers"},
        Refusal{{"training.batch_per_worker=-1"}, "training.batch_per_worker = -1: expected 1 to"},
        Refusal{
            {"model.name=lenett"},
            "model.name = \"lenett\": no such model; did you mean \"lenet\"? known are lenet, mlp"},
        Refusal{{"model.mlp_hidden=5"},
                "model.mlp_hidden = 5: only for model \"mlp\", and the model is \"lenet\""},
        Refusal{{"model.transformer.heads=2"},
                "model.transformer = {...}: only for model \"transformer\", and the"},
        Refusal{{"model.name=transformer", "model.transformer.layers=0"},
                "model.transformer.layers = 0: expected 1"},
        Refusal{{"model.name=transformer", "model.transformer.width=0"},
                "model.transformer.width = 0: expected 1"},
        Refusal{{"model.name=transformer", "model.transformer.heads=0"},
                "model.transformer.heads = 0: expected 1"},
        Refusal{{"model.name=transformer", "model.transformer.heads=3"},
                "model.transformer.heads = 3: expected a divisor of model.transformer.width = 128"},
        Refusal{{"model.resnet.blocks=2"},
                "model.resnet = {...}: only for model \"resnet\", and the model is"},
        Refusal{{"model.name=resnet", "model.resnet.blocks=0"},
                "model.resnet.blocks = 0: expected 1 to"},
        Refusal{{"model.name=resnet", "model.resnet.width=0"},
                "model.resnet.width = 0: expected 1 to"},
        Refusal{{"model.name=resnet", "model.resnet.norm=layer"},
                "model.resnet.norm = \"layer\": no such norm; known are batch, group"},
        Refusal{{"model.name=resnet", "model.resnet.groups=4"},
                "model.resnet.groups = 4: only for norm \"group\""},
        Refusal{{"model.name=resnet", "model.resnet.norm=group", "model.resnet.groups=5"},
                "model.resnet.groups = 5: expected a divisor of model.resnet.width = 16"},
        Refusal{{"model.name=resnet", "strategy.parameter_server.consistency=SSP"},
                "model.resnet.norm = \"batch\": with updates on arrival"},
        Refusal{{"model.name=resnet", "codec.name=topk"},
                "codec.name = \"topk\": is lossy, and the running statistics of model.resnet.norm "
                "= \"batch\" must arrive whole; use norm \"group\", or codec \"none\""},
        Refusal{{"model.name=resnet", "codec.name=fp16"},
                "codec.name = \"fp16\": is lossy, and the running statistics"},
        Refusal{{"model.dropout=0.5"}, "model.dropout = 0.5: model \"lenet\" has none"},
        Refusal{{"model.name=cnn", "model.dropout=1"},
                "model.dropout = 1: expected 0 or more and below 1"},
        Refusal{{"data.name=cifar"},
                "data.name = \"cifar\": no such dataset; did you mean \"cifar10\"? known are "
                "mnist, cifar10, text, synthetic"},
        Refusal{{"data.name=synthetic", "data.dir=/x"},
                "data.dir = \"/x\": only for data \"mnist\" and \"cifar10\", and"},
        Refusal{{"data.name=synthetic", "data.synthetic.context=-1"},
                "data.synthetic.context = -1: expected 0 to"},
        Refusal{{"data.name=synthetic", "data.synthetic.context=8", "data.synthetic.noise=1"},
                "data.synthetic.context = 8: makes texts, which have no channels"},
        Refusal{{"data.prefetch=-1"},
                "data.prefetch = -1: expected 0 to 64; 0 makes each batch in the step thread"},
        Refusal{{"data.name=text", "data.augment.noise=0.1"},
                "data.augment = {...}: changes images, and the data is"},
        Refusal{{"data.name=synthetic", "data.synthetic.context=8", "data.augment.noise=0.1"},
                "data.augment = {...}: "},
        Refusal{{"data.augment.crop_padding=17"},
                "data.augment.crop_padding = 17: expected 0 to 16"},
        Refusal{{"data.augment.noise=-1"}, "data.augment.noise = -1: expected 0 to 100"},
        Refusal{{"data.augment.flip=true"},
                "data.augment.flip = true: mirrored samples of data \"mnist\" are not"},
        Refusal{{"data.name=synthetic", "data.augment.crop_padding=2"},
                "data.augment.crop_padding = 2: a synthetic"},
        Refusal{{"data.text.context=3"}, "data.text = {...}: only for data \"text\""},
        Refusal{{"data.name=text", "data.text.context=0"},
                "data.text.context = 0: expected 1 to 65536"},
        Refusal{{"data.name=text", "data.text.test_share=1"},
                "data.text.test_share = 1: expected above 0"},
        Refusal{{"data.train_limit=0"}, "data.train_limit = 0: expected 1 to"},
        Refusal{{"data.synthetic.classes=3"},
                "data.synthetic = {...}: only for data \"synthetic\""},
        Refusal{{"data.name=synthetic", "data.synthetic.classes=1"},
                "data.synthetic.classes = 1: expected 2 to"},
        Refusal{{"optimizer.name=adma"},
                "optimizer.name = \"adma\": no such optimizer; did you mean \"adam\"? known are "
                "sgd, momentum, nesterov, adam, adamw"},
        Refusal{{"optimizer.learning_rate=0"},
                "optimizer.learning_rate = 0: expected a number above 0"},
        Refusal{{"optimizer.momentum=0.9"}, "optimizer.momentum = 0.9: \"sgd\" has none"},
        Refusal{{"optimizer.name=momentum", "optimizer.momentum=1"},
                "optimizer.momentum = 1: expected 0 or more"},
        Refusal{{"optimizer.step_schedule.factor=0.1"},
                "optimizer.step_schedule.every_samples = 0: expected 1"},
        Refusal{{"optimizer.name=momentum", "strategy.parameter_server.consistency=ASYNCHRONOUS"},
                "optimizer.name = \"momentum\": with updates on arrival"},
        Refusal{{"optimizer.name=momentum", "strategy.parameter_server.consistency=SSP"},
                "optimizer.name = \"momentum\": with updates on arrival"},
        Refusal{{"training.steps=5", "training.epochs=1"},
                "training.epochs = 1: training.steps = 5 is set too"},
        Refusal{{"training.steps=0"}, "training.steps = 0: expected 1 to"},
        Refusal{{"training.steps=5", "training.warmup_steps=5"},
                "training.warmup_steps = 5: expected 0 to 4"},
        Refusal{{"training.bucket_bytes=0"}, "training.bucket_bytes = 0: expected 4 to"},
        Refusal{{"training.kernels=mkl"},
                "training.kernels = \"mkl\": no such kernel library; known are auto, ref"},
        Refusal{{"strategy.parameter_server.servers=0"},
                "strategy.parameter_server.servers = 0: expected 1"},
        Refusal{{"strategy.parameter_server.placement=COLOCATED",
                 "strategy.parameter_server.servers=3"},
                "strategy.parameter_server.servers = 3: co-located servers live beside workers, "
                "and there are 2"},
        Refusal{{"strategy.parameter_server.staleness_bound=1"},
                "strategy.parameter_server.staleness_bound = 1: only for consistency SSP, and it "
                "is BSP"},
        Refusal{{"strategy.parameter_server.consistency=SSP",
                 "strategy.parameter_server.staleness_bound=-1"},
                "strategy.parameter_server.staleness_bound = -1: expected 0 to"},
        Refusal{{"strategy.all_reduce.collective=tree"},
                "strategy.all_reduce.collective = \"tree\": no such collective; did you mean "
                "\"binomial_tree\"? known are ring, direct"},
        Refusal{{"codec.name=zip"},
                "codec.name = \"zip\": no such codec; known are none, fp16, bf16"},
        Refusal{{"codec.density=0.1"},
                "codec.density = 0.1: only for codec \"topk\" and \"randomk\" and \"dgc\", and the "
                "codec is \"none\"; leave it "
                "out"},
        Refusal{{"codec.name=topk", "codec.density=0"},
                "codec.density = 0: expected above 0 and at most 1, the share of elements that is "
                "sent"},
        Refusal{{"codec.name=topk", "codec.dgc.momentum=0.5"},
                "codec.dgc.momentum = 0.5: only for codec \"dgc\", and the codec is \"topk\""},
        Refusal{{"codec.name=topk", "codec.feedback_decay=0"},
                "codec.feedback_decay = 0: expected above 0 and at most 1"},
        Refusal{{"codec.name=fp16", "codec.feedback_decay=0.5"},
                "codec.feedback_decay = 0.5: only with codec.error_feedback"},
        Refusal{{"codec.name=dgc", "codec.feedback_decay=0.5"},
                "codec.feedback_decay = 0.5: only with codec.error_feedback, of a codec without a "
                "memory of its own"},
        Refusal{{"codec.name=topk", "codec.warmup_steps=-1"},
                "codec.warmup_steps = -1: expected 0 or more"},
        Refusal{{"codec.name=randomk", "codec.warmup_steps=2"},
                "codec.warmup_steps = 2: codec \"randomk\" is summed on the wire in every step"},
        Refusal{{"codec.name=dgc", "codec.warmup_steps=2"},
                "codec.warmup_steps = 2: codec \"dgc\" has a memory of its own"},
        Refusal{{"codec.name=dgc", "optimizer.name=momentum"},
                "optimizer.name = \"momentum\": codec \"dgc\" sums gradients up with a momentum"},
        Refusal{{"codec.name=dgc", "codec.error_feedback=false"},
                "codec.error_feedback = false: codec \"dgc\" keeps what it does not send"},
        Refusal{{"codec.name=topk", "codec.min_tensor_elements=100"},
                "codec.min_tensor_elements = 100: buckets cut tensors; set "
                "training.bucket_layout=WHOLE_TENSORS"},
        Refusal{{"codec.error_feedback=true"},
                "codec.error_feedback = true: codec \"none\" leaves no error"},
        Refusal{{"codec.name=fp16", "strategy.solo={}"},
                "codec.name = \"fp16\": strategy \"solo\" exchanges nothing"},
        Refusal{{"codec.name=topk", "strategy.single={}"},
                "codec.name = \"topk\": strategy \"single\" exchanges"},
        Refusal{{"codec.name=topk", "strategy.all_reduce.collective=direct"},
                "codec.name = \"topk\": its payloads cannot be summed on the wire, as collective "
                "\"direct\" does; use collective \"ring\", which gathers them, or codec \"fp16\""},
        Refusal{{"codec.name=powersgd", "strategy.all_reduce={}"},
                "training.bucket_layout = CUT: codec \"powersgd\" works on whole tensors; use "
                "WHOLE_TENSORS"},
        Refusal{{"codec.name=powersgd", "training.bucket_layout=WHOLE_TENSORS"},
                "codec.name = \"powersgd\": is summed over all workers in several rounds, which "
                "strategy \"parameter_server\" does not do; use strategy \"all_reduce\""},
        Refusal{{"codec.name=powersgd", "training.bucket_layout=WHOLE_TENSORS",
                 "strategy.all_reduce={}", "codec.rank=0"},
                "codec.rank = 0: expected above 0"},
        Refusal{{"codec.name=powersgd", "training.bucket_layout=WHOLE_TENSORS",
                 "strategy.all_reduce={}", "training.deterministic=true"},
                "codec.name = \"powersgd\": training.deterministic asks for exact sums"},
        Refusal{{"codec.name=powersgd", "strategy.solo={}", "training.bucket_layout=WHOLE_TENSORS"},
                "codec.name = \"powersgd\": strategy \"solo\" exchanges nothing"},
        Refusal{{"codec.name=fp16", "training.deterministic=true"},
                "codec.name = \"fp16\": training.deterministic asks for exact sums"},
        Refusal{
            {"transport.name=rdma"},
            "transport.name = \"rdma\": no such transport; known are auto, grpc, inproc, shm, tcp"},
        Refusal{{"transport.name=inproc"}, "transport.name = \"inproc\": reaches no other process"},
        Refusal{{"transport.name=grpc", "strategy.launch=THREADS"},
                "transport.name = \"grpc\": strategy.launch is"},
        Refusal{{"transport.wait=nap"}, "transport.wait = \"nap\": expected \"sleep\" or \"spin\""},
        Refusal{{"transport.segment_bytes=1"}, "transport.segment_bytes = 1: expected 4096 to"},
        Refusal{{"transport.listen_address=localhost"},
                "transport.listen_address = \"localhost\": expected a numeric"},
        Refusal{{"transport.listen_address=10.0.0.1", "transport.allow_remote=true"},
                "transport.listen_address = \"10.0.0.1\": other machines can reach it; use "
                "127.0.0.1, or --tls DIR"},
        Refusal{{"transport.security=ssl"},
                "transport.security = \"ssl\": expected \"token\", \"tls\" or \"insecure\""},
        Refusal{{"transport.security=tls", "strategy.all_reduce.collective=gloo"},
                "transport.security = \"tls\": collective \"gloo\" has connections of its own"},
        Refusal{{"transport.listen_address=0.0.0.0"},
                "transport.listen_address = \"0.0.0.0\": other machines can"},
        Refusal{{"transport.listen_address=::"},
                "transport.listen_address = \"::\": other machines can reach it"},
        Refusal{{"output.dump_gradients=g"},
                "output.dump_gradients = \"g\": with a parameter server the averaged gradient "
                "exists on the servers"},
        Refusal{{"output.dump_gradients=g", "output.dump_gradient_steps=0", "strategy.single={}"},
                "output.dump_gradient_steps = 0: expected 1 to"},
        Refusal{{"output.trace_steps=1001"}, "output.trace_steps = 1001: expected 0 to"},
        Refusal{{"evaluation={}", "strategy.solo={}", "training.init_weights=w",
                 "output.trace_steps=3"},
                "output = {...}: an evaluation trains nothing"},
        Refusal{{"training.checkpoint_every_steps=0"},
                "training.checkpoint_every_steps = 0: expected 1 to"},
        Refusal{{"output.checkpoints=c"},
                "output.checkpoints = \"c\": nothing says when they are made"},
        Refusal{{"training.checkpoint_every_steps=5", "output.checkpoints=c",
                 "output.checkpoints_kept=0"},
                "output.checkpoints_kept = 0: expected 1 to 1000"},
        Refusal{
            {"training.checkpoint_every_steps=5", "output.checkpoints=c", "output.resume_step=7"},
            "output.resume_step = 7: expected a multiple of training.checkpoint_every_steps"},
        Refusal{{"training.checkpoint_every_steps=5", "output.resume_step=5"},
                "output.resume_step = 5: expected a multiple"},
        Refusal{{"training.checkpoint_every_steps=5", "output.checkpoints=c",
                 "output.resume_step=5", "output.dump_batches=d"},
                "output.dump_batches = \"d\": a run that goes on has not all batches"},
        Refusal{{"output.dump_gradient_steps=5"},
                "output.dump_gradient_steps = 5: only with output.dump_gradients"},
        Refusal{{"evaluation={}", "training.init_weights=w", "strategy.single={}"},
                "strategy = \"single\": an evaluation exchanges nothing; use \"solo\""},
        Refusal{{"evaluation={}", "strategy.solo={}"},
                "training.init_weights = \"\": an evaluation needs weights"},
        Refusal{{"evaluation={}", "strategy.solo={}", "training.init_weights=w",
                 "output.save_weights=v"},
                "output = {...}: an evaluation trains nothing"},
        Refusal{{"limits.wait_seconds=0"}, "limits.wait_seconds = 0: expected 0.001 to 86400"},
        Refusal{{"limits.compute_seconds=-1"},
                "limits.compute_seconds = -1: expected 0.001 to 86400; leave it out"},
        Refusal{{"limits.join_seconds=0"}, "limits.join_seconds = 0: expected 0.001 to 86400"},
        Refusal{{"limits.heartbeat_seconds=30"},
                "limits.heartbeat_seconds = 30: expected below limits.wait_seconds"}));

TEST(Resolve, DumpedGradientsAreThoseOfTenStepsUnlessSaid) {
  EXPECT_EQ(Spec({"output.dump_gradients=g"}).output().dump_gradient_steps(), 10);
  EXPECT_EQ(Spec({}).output().trace_steps(), 3);
  EXPECT_FALSE(Spec({}).training().has_checkpoint_every_steps());
  EXPECT_EQ(Spec({"output.checkpoints=c"}).output().checkpoints_kept(), 2);
  EXPECT_EQ(Spec({"output.trace_steps=0"}).output().trace_steps(), 0);
  EXPECT_FALSE(Spec({"evaluation={}"}).has_output());
}

TEST(Resolve, ASpecThatSaysTokenIsTheOneThatSaysNothing) {
  EXPECT_EQ(Spec({"transport.security=token"}).SerializeAsString(), Spec({}).SerializeAsString());
  EXPECT_EQ(Spec({"transport.security=tls"}).transport().security(), "tls");
}

TEST(Validate, WhatIsAskedForExplicitlyIsAllowed) {
  for (const RunSpec& spec :
       {Spec({"output.dump_gradients=g", "strategy.all_reduce={}"}),
        Spec({"output.save_weights=w"}),
        Spec({"evaluation={}", "strategy.solo={}", "training.init_weights=w"}),
        Spec({"transport.listen_address=0.0.0.0", "transport.security=tls"}),
        Spec({"transport.listen_address=10.0.0.1", "transport.security=insecure",
              "strategy.all_reduce.collective=gloo"}),
        Spec({"transport.name=shm", "transport.wait=spin"}),
        Spec({"transport.name=tcp", "transport.wait=spin"}), Spec({"transport.listen_address=::1"}),
        Spec({"transport.listen_address=127.1.2.3"}),
        Spec({"codec.name=topk", "strategy.all_reduce.collective=ring"}),
        Spec({"codec.name=fp16", "strategy.all_reduce.collective=direct"}),
        Spec({"codec.name=powersgd", "strategy.all_reduce.collective=auto",
              "training.bucket_layout=WHOLE_TENSORS"}),
        Spec({"strategy.parameter_server.consistency=SSP",
              "strategy.parameter_server.staleness_bound=0"}),
        Spec({"optimizer.name=momentum", "strategy.parameter_server.consistency=ASYNCHRONOUS",
              "optimizer.allow_momentum_on_arrival=true"})}) {
    EXPECT_TRUE(Validate(spec, TestNames()).ok()) << Validate(spec, TestNames());
  }
}

TEST(Validate, EverythingWrongIsListedALineEach) {
  const std::string error =
      ErrorOf({"training.workers=0", "codec.name=zip", "transport.name=rdma"});
  EXPECT_THAT(error, HasSubstr("training.workers = 0"));
  EXPECT_THAT(error, HasSubstr("\ncodec.name = \"zip\""));
  EXPECT_THAT(error, HasSubstr("\ntransport.name = \"rdma\""));
}

TEST(Validate, NotANumberIsNoNumberInAnyRange) {
  RunSpec spec = Spec({});
  spec.mutable_limits()->set_wait_seconds(std::numeric_limits<double>::quiet_NaN());
  spec.mutable_optimizer()->set_learning_rate(std::numeric_limits<float>::infinity());
  const std::string error(Validate(spec, TestNames()).message());
  EXPECT_THAT(error, HasSubstr("limits.wait_seconds = nan"));
  EXPECT_THAT(error, HasSubstr("optimizer.learning_rate = inf"));
}

TEST(Validate, AnotherLibrarysAllReduceTakesNoCodecNoThreadsAndThoseOfAGpuOne) {
  const auto status = [](std::vector<const char*> more) {
    more.insert(more.begin(), "strategy.all_reduce.collective=mpi");
    return Validate(Spec(more), TestNames());
  };
  EXPECT_TRUE(status({}).ok()) << status({});
  EXPECT_THAT(std::string(status({"codec.name=fp16"}).message()),
              HasSubstr("which knows no codec"));
  EXPECT_THAT(std::string(status({"strategy.launch=THREADS", "transport.name=inproc"}).message()),
              HasSubstr("a process is one rank of \"mpi\""));
  for (const char* collective :
       {"strategy.all_reduce.collective=nccl", "strategy.all_reduce.collective=cuda_ipc"}) {
    const auto with = [&](const char* kernels) {
      return Validate(Spec({collective, kernels}), TestNames());
    };
    EXPECT_TRUE(with("training.kernels=cublas").ok());
    EXPECT_TRUE(with("training.kernels=cublas_tf32").ok());
    EXPECT_THAT(std::string(with("training.kernels=cpu").message()),
                HasSubstr("use kernels \"cublas\""))
        << collective;
  }
}

}  // namespace
}  // namespace ringmaster
