// What the program says of a command line that it cannot follow: the wrong word itself, first, and
// what was probably meant.

#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string ErrorOf(const std::vector<std::string>& arguments) {
  const Finished finished = RunProgram(arguments);
  EXPECT_EQ(finished.exit_code, 2) << absl::StrJoin(arguments, " ") << "\n" << finished.err;
  EXPECT_EQ(finished.out, "") << absl::StrJoin(arguments, " ");
  return finished.err;
}

std::string ErrorOf(const std::string& line) {
  return ErrorOf(std::vector<std::string>(absl::StrSplit(line, ' ')));
}

TEST(Messages, AnUnknownFlagNamesItselfFirstAndTheNearestOfItsCommand) {
  const struct {
    const char* line;
    const char* begin;
    const char* meant;
  } kCases[] = {
      {"compare --arm ring",
       "error: --arm: no such flag of `ringmaster compare`; did you mean \"--arms\"?", ""},
      {"compare --step=3 --arm ring", "error: --step: no such flag", "--steps"},
      {"compare --batch-size 3", "error: --batch-size: no such flag", "--batch\""},
      {"compare -arms ring", "error: -arms: no such flag", "--arms"},
      {"compare --momentum 0.9", "error: --momentum: no such flag",
       "--set optimizer.momentum=VALUE"},
      {"run --worker 4 spec.textproto", "error: --worker: no such flag of `ringmaster run`",
       "--workers"},
      {"sweep --dryrun x", "error: --dryrun: no such flag", "--dry-run"},
      {"report --fromat md", "error: --fromat: no such flag", "--format"},
      {"plot --comparision 2", "error: --comparision: no such flag", "--comparison"},
      {"evaluate --weight w", "error: --weight: no such flag of `ringmaster evaluate`",
       "--weights"},
      {"verify --kernel cpu", "error: --kernel: no such flag", "--kernels"},
      {"explain --worker 4", "error: --worker: no such flag", "--workers"},
      {"trace --outt x", "error: --outt: no such flag", "--out"},
      {"predict --nomeasure", "error: --nomeasure: no such flag", "--no-measure"},
      {"node --world_size 2", "error: --world_size: no such flag", "--world-size"},
      {"list --jsn", "error: --jsn: no such flag", "--json"},
      {"doctor --josn", "error: --josn: no such flag", "--json"},
      {"bench allreduce --collectives ring",
       "error: --collectives: no such flag of `ringmaster bench allreduce`", "--collective"},
      {"bench pushpull --buckt 0", "error: --buckt: no such flag", "--bucket"},
      {"bench step --strategies ring", "error: --strategies: no such flag", "--strategy"},
      {"bench gemm --libary cpu", "error: --libary: no such flag", "--library"},
      {"bench kernels --repetition 3", "error: --repetition: no such flag", "--repetitions"},
      {"bench codec --codecs topk", "error: --codecs: no such flag", "--codec"},
  };
  for (const auto& one : kCases) {
    const std::string error = ErrorOf(one.line);
    EXPECT_THAT(error, StartsWith(one.begin));
    EXPECT_THAT(error, HasSubstr(one.meant)) << one.line;
    EXPECT_THAT(error, HasSubstr(" --help` lists them")) << one.line;
  }
  // A value that looks like a flag, or a flag of the program itself, is none of them.
  EXPECT_THAT(ErrorOf("compare --data synthetic --steps -5 -v"), HasSubstr("training.steps = -5"));
  EXPECT_THAT(ErrorOf("compare --data --arm ring"), Not(HasSubstr("no such flag")));
}

TEST(Messages, OtherMistakesInTheCommandLineNameTheWordAndTheCommand) {
  EXPECT_THAT(ErrorOf("compaer --steps 1"),
              StartsWith("error: \"compaer\": no such command; did you mean \"compare\"?"));
  EXPECT_THAT(ErrorOf("bench alreduce"),
              StartsWith("error: \"alreduce\": no such benchmark; did you mean \"allreduce\"?"));
  EXPECT_THAT(ErrorOf("compare ring ps"),
              StartsWith("error: \"ring\": `ringmaster compare` takes no such argument"));
  EXPECT_THAT(ErrorOf("bench"),
              StartsWith("error: a benchmark is required; `ringmaster bench --help`"));
  EXPECT_THAT(ErrorOf("sweep x --out"), HasSubstr("--out"));
  EXPECT_THAT(ErrorOf("compare --workers"), StartsWith("error: --workers: expected a value ("));
  EXPECT_THAT(ErrorOf("explain ring --workers 64"),
              StartsWith("error: --workers 64: expected 2 to 32;"));
  EXPECT_THAT(ErrorOf(std::vector<std::string>{"run", ""}),
              StartsWith("error: SPEC: \"\": expected a file;"));
  EXPECT_THAT(ErrorOf("node --arm ring --rank 1 --world-size 2 --data synthetic --coordinator "
                      "https://[::1]:29500"),
              HasSubstr("without a scheme"));
}

// Everything that is chosen by name.
TEST(Messages, AnUnknownNameIsFollowedByTheNearestKnownOne) {
  const struct {
    const char* line;
    const char* meant;
  } kCases[] = {
      {"compare --arms single,rign", "ring"},
      {"compare --data sythetic", "synthetic"},
      {"compare --data synthetic --model lennet", "lenet"},
      {"compare --data synthetic --optimizer adamm", "adam"},
      {"compare --data synthetic --transport tpc", "tcp"},
      {"compare --data synthetic --kernels cup", "cpu"},
      {"compare --set training.wokers=3", "workers"},
      {"compare --set strategy.launch=THREDS", "THREADS"},
      {"compare --set strategy.all_reduce={colective:\"ring\"}", "collective"},
      {"node --arm rng --rank 0", "ring"},
      {"predict --arms asinc --no-measure", "async"},
      {"explain having-doubling", "halving-doubling"},
      {"report --format htm", "html"},
      {"plot scalling", "scaling"},
      {"verify --kernels refrence", "reference"},
      {"bench allreduce --engine ringmastr", "ringmaster"},
      {"bench allreduce --against glo", "gloo"},
      {"bench allreduce --transport smh", "shm"},
      {"bench allreduce --collective dirct", "direct"},
      {"bench allreduce --wait spinn", "spin"},
      {"bench pushpull --placement collocated", "colocated"},
      {"bench pushpull --transport grp", "grpc"},
      {"bench step --strategy rings", "ring"},
      {"bench step --against pytroch", "pytorch"},
      {"bench gemm --library cpus", "cpu"},
      {"bench kernels --library cubla", "cublas"},
      {"bench codec --codec topc", "topk"},
  };
  for (const auto& one : kCases) {
    EXPECT_THAT(ErrorOf(one.line), HasSubstr(absl::StrCat("did you mean \"", one.meant, "\"?")))
        << one.line;
  }
}

TEST(Messages, ASpecFileWithAWrongNameIsToldTheNearest) {
  const std::string folder = NewFolder("specs");
  std::ofstream(folder + "/training.textproto") << "training { worker: 2 }\n";
  std::ofstream(folder + "/launch.textproto") << "strategy { launch: THREAD }\n";
  std::ofstream(folder + "/sweep.textproto")
      << "axes { field: \"training.wokers\" values: \"2\" }\n";
  const std::string field = ErrorOf({"run", folder + "/training.textproto"});
  EXPECT_THAT(field, HasSubstr("training.textproto:1:"));
  EXPECT_THAT(field, HasSubstr("did you mean \"workers\"?"));
  EXPECT_THAT(ErrorOf({"run", folder + "/launch.textproto"}),
              HasSubstr("did you mean \"THREADS\"?"));
  EXPECT_THAT(ErrorOf({"sweep", folder + "/sweep.textproto", "--out", folder + "/out"}),
              HasSubstr("did you mean \"workers\"?"));
  EXPECT_THAT(ErrorOf({"sweep", folder + "/swep.textproto"}),
              HasSubstr(absl::StrCat("did you mean ", folder, "/sweep.textproto?")));
  EXPECT_THAT(ErrorOf({"compare", "--base", folder + "/trainin.textproto"}),
              HasSubstr("training.textproto?"));
}

// "--set: --set foo=1: ..." and the like: no piece of a message's front comes twice.
TEST(Messages, NoPrefixIsSaidTwice) {
  for (const char* line :
       {"compare --set foo=1",
        "compare --set foo",
        "compare --set training.workers=two",
        "compare --workers two",
        "compare --seed x",
        "compare --network 5x",
        "compare --emulate soon",
        "compare --arms rign",
        "explain rign",
        "node --arm rign",
        "node --set foo=1 --rank 0",
        "predict --arms rign --no-measure",
        "predict --set foo=1",
        "evaluate --weights /nowhere/w --set foo=1",
        "evaluate --weights /nowhere/w",
        "bench step --set foo=1",
        "bench step --strategy rign",
        "bench codec --codec topc",
        "bench allreduce --against glo",
        "plot scalling",
        "compare --data synthetic --init-weights /nowhere/w --model mlp",
        "compare --data-dir /nowhere",
        "compare --data synthetic --set training.kernels=cubla",
        "run /nowhere/x.textproto",
        "sweep /nowhere/x.textproto",
        "compare --data synthetic --save-weights /nowhere/w --arms ring --steps 1"}) {
    std::string error = ErrorOf(line);
    error = error.substr(error.find("error: ") + 7);
    std::vector<std::string> parts = absl::StrSplit(error.substr(0, error.find('\n')), ": ");
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      EXPECT_FALSE(absl::StartsWith(parts[i + 1], parts[i])) << line << "\n" << error;
      EXPECT_FALSE(i + 2 < parts.size() && parts[i].size() > 3 &&
                   absl::StrContains(parts[i + 1], parts[i]))
          << line << "\n"
          << error;
    }
  }
  EXPECT_THAT(ErrorOf("compare --set foo=1"),
              StartsWith("error: --set foo=1: no field \"foo\" in a run spec"));
  EXPECT_THAT(ErrorOf("compare --workers two"),
              StartsWith("error: --workers two: \"two\" is not a whole number"));
}

// What a flag has when nobody gave it is nothing that a user should read.
TEST(Messages, NoStandInForAMissingValueIsShown) {
  const std::string world = ErrorOf("node --arm ring --data synthetic --steps 1 --rank 0");
  EXPECT_THAT(world, HasSubstr("--world-size is not given: this run has 2 processes"));
  const std::string rank = ErrorOf(
      "node --arm ring --data synthetic --steps 1 --world-size 2 --coordinator 127.0.0.1:1");
  EXPECT_THAT(rank, HasSubstr("--rank is not given: expected 0 to 1"));
  const std::string coordinator =
      ErrorOf("node --arm ring --data synthetic --steps 1 --world-size 2 --rank 0");
  EXPECT_THAT(coordinator, HasSubstr("--coordinator is not given: expected HOST:PORT"));
  for (const std::string& text : {world, rank, coordinator})
    EXPECT_THAT(text, Not(HasSubstr("-1"))) << text;
  for (const char* command :
       {"compare", "run", "sweep", "report", "plot", "evaluate", "verify", "explain", "trace",
        "predict", "node", "list", "doctor", "bench allreduce", "bench pushpull", "bench step",
        "bench gemm", "bench kernels", "bench codec"}) {
    std::vector<std::string> arguments = absl::StrSplit(command, ' ');
    arguments.push_back("--help");
    const Finished help = RunProgram(arguments);
    EXPECT_EQ(help.exit_code, 0);
    for (const char* stand_in :
         {" -1 ", "=-1", "[-1", "4294967295", "2147483647", " nan", " inf ", "1.79769"}) {
      EXPECT_THAT(help.out, Not(HasSubstr(stand_in))) << command;
    }
  }
}

}  // namespace
}  // namespace ringmaster
