#include "worker/data/dataset.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "proto/run_spec.pb.h"
#include "worker/data/cifar.h"
#include "worker/data/data_facts.h"
#include "worker/data/idx.h"
#include "worker/data/pixel_values.h"
#include "worker/data/program_data.h"
#include "worker/data/synthetic.h"
#include "worker/data/text.h"

namespace ringmaster {
namespace {

constexpr DatasetInfo kDatasets[] = {
    {"mnist",
     "handwritten digits, 60000 + 10000 grey images of 28x28 in ten classes, or another set in the "
     "same IDX files: Fashion-MNIST, KMNIST, EMNIST, QMNIST (data.dir)"},
    {"cifar10",
     "small colour pictures, 50000 + 10000 of 3x32x32 in ten classes (binary files in data.dir)"},
    {"text", "the bytes of a file (data.text.file), to be predicted each from those before it"},
    {"synthetic",
     "a random prototype per class plus noise, or texts of a random Markov chain: any size, no "
     "files"},
    {"program",
     "samples that the program reads itself (--program); others know their numbers alone"},
};

struct Counts {
  SampleShape shape;
  int64_t train = 0;
  int64_t test = 0;
};

absl::Status UnknownDataset(absl::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat("data.name = \"", name, "\": no such dataset; ",
                                                 KnownWordsText(name, RegistryNames(kDatasets))));
}

absl::StatusOr<int64_t> Limited(absl::string_view field, bool limited, int64_t limit,
                                int64_t available) {
  if (!limited) return available;
  if (limit >= 1 && limit <= available) return limit;
  return absl::InvalidArgumentError(
      absl::StrCat(field, " = ", limit, ": expected 1 to ", available,
                   ", the samples there are; leave it out to use all"));
}

absl::Status CheckPositive(absl::string_view field, int64_t value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("data.synthetic.", field, " = ", value, ": expected at least 1"));
}

absl::StatusOr<Counts> CountSynthetic(const SyntheticSpec& spec) {
  RM_RETURN_IF_ERROR(CheckPositive("train_samples", spec.train_samples()));
  RM_RETURN_IF_ERROR(CheckPositive("test_samples", spec.test_samples()));
  RM_RETURN_IF_ERROR(CheckPositive("classes", spec.classes()));
  if (spec.context() > 0) {
    return Counts{
        {0, 0, 0, spec.classes(), spec.context()}, spec.train_samples(), spec.test_samples()};
  }
  RM_RETURN_IF_ERROR(CheckPositive("channels", spec.channels()));
  RM_RETURN_IF_ERROR(CheckPositive("height", spec.height()));
  RM_RETURN_IF_ERROR(CheckPositive("width", spec.width()));
  const SampleShape shape{spec.channels(), spec.height(), spec.width(), spec.classes()};
  return Counts{shape, spec.train_samples(), spec.test_samples()};
}

IdxClasses TrainClasses(const DataSpec& spec) {
  if (!spec.has_classes()) return {};
  return {spec.classes(), " (data.classes)"};
}

// The test set's, once the training set has some.
IdxClasses TestClasses(const DataSpec& spec, int32_t classes) {
  return {classes, spec.has_classes() ? " (data.classes)"
                                      : " as in the training set, or more with data.classes"};
}

absl::StatusOr<Counts> CountMnist(const DataSpec& spec) {
  RM_ASSIGN_OR_RETURN(const IdxExtent train,
                      InspectIdx(MnistTrainFiles(spec.dir()), TrainClasses(spec)));
  const IdxPair test_files = MnistTestFiles(spec.dir());
  RM_ASSIGN_OR_RETURN(const IdxExtent test,
                      InspectIdx(test_files, TestClasses(spec, train.shape.classes)));
  if (train.shape.height != test.shape.height || train.shape.width != test.shape.width) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data file ", test_files.images_path, ": found images of ", test.shape.height, "x",
        test.shape.width, ", expected ", train.shape.height, "x", train.shape.width,
        " as in the training set; point --data-dir at a folder whose files are of one set"));
  }
  return Counts{train.shape, train.count, test.count};
}

absl::StatusOr<Dataset> LoadMnist(const DataSpec& spec, const Counts& counts, DatasetPart part,
                                  std::vector<PixelStatistics>* statistics) {
  Dataset dataset;
  RM_ASSIGN_OR_RETURN(dataset.train, LoadIdx(MnistTrainFiles(spec.dir()),
                                             {counts.train, part, TrainClasses(spec), statistics}));
  RM_ASSIGN_OR_RETURN(
      dataset.test,
      LoadIdx(MnistTestFiles(spec.dir()),
              {counts.test, part, TestClasses(spec, dataset.train.shape.classes), statistics}));
  return dataset;
}

absl::StatusOr<Counts> CountText(const TextSpec& spec) {
  if (spec.context() < 1 || !(spec.test_share() > 0 && spec.test_share() < 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data.text.context = ", spec.context(), ", data.text.test_share = ", spec.test_share(),
        ": expected at least 1, and a share above 0 and below 1"));
  }
  RM_ASSIGN_OR_RETURN(const TextExtent extent, InspectText(spec));
  return Counts{extent.shape, extent.train_count, extent.test_count};
}

absl::StatusOr<Counts> CountCifar10(const DataSpec& spec) {
  RM_ASSIGN_OR_RETURN(const CifarExtent extent, InspectCifar10(spec.dir()));
  return Counts{extent.shape, extent.train_count, extent.test_count};
}

absl::StatusOr<Counts> CountProgram(const ProgramDataSpec& spec) {
  const int64_t train = spec.train_samples(), test = spec.test_samples();
  if (train >= 1 && train <= INT32_MAX && test >= 0 && test <= INT32_MAX - train)
    return Counts{ProgramShape(spec), train, test};
  return absl::InvalidArgumentError(
      absl::StrCat("data.program.train_samples = ", train, ", data.program.test_samples = ", test,
                   ": expected at least 1, and at least 0, together below 2^31"));
}

absl::StatusOr<Counts> CountAll(const DataSpec& spec) {
  if (spec.name() == "cifar10") return CountCifar10(spec);
  if (spec.name() == "mnist") return CountMnist(spec);
  if (spec.name() == "text") return CountText(spec.text());
  if (spec.name() == "synthetic") return CountSynthetic(spec.synthetic());
  if (spec.name() == "program") return CountProgram(spec.program());
  return UnknownDataset(spec.name());
}

// What there is and is to be used, after the limits.
absl::StatusOr<Counts> Count(const DataSpec& spec) {
  RM_ASSIGN_OR_RETURN(Counts counts, CountAll(spec));
  RM_ASSIGN_OR_RETURN(counts.train, Limited("data.train_limit", spec.has_train_limit(),
                                            spec.train_limit(), counts.train));
  RM_ASSIGN_OR_RETURN(counts.test, Limited("data.test_limit", spec.has_test_limit(),
                                           spec.test_limit(), counts.test));
  return counts;
}

}  // namespace

DatasetPart DatasetPartFor(const RunSpec& spec) {
  return spec.training().has_emulated_compute() ? DatasetPart::kLabels : DatasetPart::kAll;
}

absl::StatusOr<Dataset> LoadDataset(const DataSpec& spec, DatasetPart part) {
  RM_ASSIGN_OR_RETURN(const Counts counts, Count(spec));
  std::vector<PixelStatistics> statistics = GivenStatistics(spec);
  Dataset dataset;
  if (spec.name() == "synthetic") {
    dataset = MakeSynthetic(spec.synthetic(), spec.seed(), counts.train, counts.test, part);
  } else if (spec.name() == "program") {
    dataset = MakeProgramData(spec.program(), counts.train, counts.test);
  } else if (spec.name() == "cifar10") {
    RM_ASSIGN_OR_RETURN(dataset,
                        LoadCifar10(spec.dir(), {counts.train, counts.test, part}, &statistics));
  } else if (spec.name() == "text") {
    RM_ASSIGN_OR_RETURN(dataset, LoadText(spec.text(), counts.train, counts.test));
  } else {
    RM_ASSIGN_OR_RETURN(dataset, LoadMnist(spec, counts, part, &statistics));
  }
  if (part == DatasetPart::kLabels) statistics.clear();  // they change nothing
  dataset.facts = FactsOf(dataset, statistics);
  return dataset;
}

absl::StatusOr<SampleShape> InspectDataset(const DataSpec& spec, int64_t* train_count,
                                           int64_t* test_count) {
  RM_ASSIGN_OR_RETURN(const Counts counts, Count(spec));
  *train_count = counts.train;
  *test_count = counts.test;
  return counts.shape;
}

absl::Span<const DatasetInfo> Datasets() { return kDatasets; }

}  // namespace ringmaster
