// Weights of other programs and of older ones, read by the real program: which model they are of,
// and what is done to them.

#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/formats/safetensors.h"
#include "common/vecmath/vecmath.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// How a tensor is written: its name and its element type, "F32", "F16" or "BF16".
struct Form {
  std::string prefix;
  std::string dtype = "F32";
  bool counters = false;
};

// Writes the tensors as PyTorch would: each value in the element type, which must hold it exactly.
void WriteAs(const Form& form, const std::vector<LoadedTensor>& tensors, const std::string& path) {
  json header = json::object();
  std::string data;
  for (const LoadedTensor& tensor : tensors) {
    const size_t begin = data.size();
    std::vector<uint16_t> halves(tensor.values.size());
    if (form.dtype == "F16") ToFloat16(tensor.values, absl::MakeSpan(halves));
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      uint32_t bits = 0;
      std::memcpy(&bits, &tensor.values[i], sizeof(bits));
      if (form.dtype == "BF16") halves[i] = static_cast<uint16_t>(bits >> 16);
      data.append(form.dtype == "F32" ? reinterpret_cast<const char*>(&bits)
                                      : reinterpret_cast<const char*>(&halves[i]),
                  form.dtype == "F32" ? 4 : 2);
    }
    header[form.prefix + tensor.name] = {
        {"dtype", form.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  if (form.counters) {
    header[form.prefix + "bn1.num_batches_tracked"] = {
        {"dtype", "I64"},
        {"shape", json::array()},
        {"data_offsets", {data.size(), data.size() + 8}}};
    data.append(8, '\4');
  }
  const std::string text = header.dump();
  std::ofstream file(path, std::ios::binary);
  const uint64_t length = text.size();
  file.write(reinterpret_cast<const char*>(&length), sizeof(length));
  file << text << data;
}

class Weights : public testing::Test {
 protected:
  static std::vector<std::string> Data() {
    return {"--data", "synthetic",
            "--set",  "data.synthetic.train_samples=200",
            "--set",  "data.synthetic.test_samples=300",
            "--set",  "data.synthetic.height=5",
            "--set",  "data.synthetic.width=4",
            "--set",  "training.kernels=cpu"};
  }
  static std::vector<std::string> Model() {
    return {"--model", "mlp", "--set", "model.mlp_hidden=6,5"};
  }
  static Finished Run(std::vector<std::string> arguments,
                      const std::vector<std::vector<std::string>>& more) {
    for (const auto& some : more) arguments.insert(arguments.end(), some.begin(), some.end());
    return RunProgram(arguments);
  }
  Finished Compare(const std::string& arms, const std::vector<std::string>& more) {
    return Run({"compare", "--arms", arms, "--steps", "3", "--batch", "4", "--out", folder_},
               {Data(), Model(), more});
  }
  std::vector<LoadedTensor> Tensors(const std::string& path) {
    const auto file = ReadSafetensors(path);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? file->tensors : std::vector<LoadedTensor>();
  }
  void SetUp() override {
    const Finished trained = Compare("single", {"--save-weights", saved_});
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    tensors_ = Tensors(saved_);
    // Values that every type holds.
    for (LoadedTensor& tensor : tensors_) {
      for (float& value : tensor.values) {
        uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof(bits));
        bits &= 0xffff0000u;
        std::memcpy(&value, &bits, sizeof(bits));
        std::vector<uint16_t> half(1);
        ToFloat16({value}, absl::MakeSpan(half));
        FromFloat16(half, absl::MakeSpan(&value, 1));
      }
    }
  }
  const std::string folder_ = NewFolder("weights");
  const std::string saved_ = folder_ + "/saved.safetensors";
  std::vector<LoadedTensor> tensors_;
};

TEST_F(Weights, EvaluateTakesTheModelFromTheFile) {
  const Finished named = Run({"evaluate", "--json", "--weights", saved_}, {Data(), Model()});
  const Finished taken = Run({"evaluate", "--json", "--weights", saved_}, {Data()});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_EQ(taken.out, named.out);
  EXPECT_EQ(taken.err, "");
  // The name alone is enough of a model, and another model is the user's choice.
  EXPECT_EQ(Run({"evaluate", "--json", "--weights", saved_}, {Data(), {"--model", "mlp"}}).out,
            named.out);
  const Finished other = Run({"evaluate", "--weights", saved_}, {Data(), {"--model", "lenet"}});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, Not(HasSubstr("init_weights")));
  const Finished resized =
      Run({"evaluate", "--weights", saved_}, {Data(), {"--set", "model.mlp_hidden=9"}});
  EXPECT_EQ(resized.exit_code, 2);
  EXPECT_THAT(
      resized.err,
      AllOf(HasSubstr(absl::StrCat("error: --weights: ", saved_, " does not fit model \"mlp\"")),
            HasSubstr("on data \"synthetic\""), Not(HasSubstr("init_weights"))));
}

TEST_F(Weights, EvaluateOfAFileThatNamesNoModelSaysWhatFits) {
  const std::string path = folder_ + "/plain.safetensors";
  WriteAs({}, tensors_, path);
  const Finished finished = Run({"evaluate", "--weights", path}, {Data()});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr("give --model and its sizes, what fits its tensors is "
                                      "--model mlp --set model.mlp_hidden=6,5"));
  EXPECT_EQ(Run({"evaluate", "--weights", path}, {Data(), Model()}).exit_code, 0);
  for (const char* missing : {"", "/nowhere/w"}) {
    const Finished none = RunProgram({"evaluate", "--weights", missing});
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_THAT(none.err, AllOf(HasSubstr("error: --weights"), Not(HasSubstr("init_weights"))));
  }
}

TEST_F(Weights, FilesOfPyTorchAreReadAsTheyAreAndThatIsSaidOnce) {
  const std::string plain = folder_ + "/plain.safetensors", path = folder_ + "/torch.safetensors";
  WriteAs({}, tensors_, plain);
  const Finished wanted = Run({"evaluate", "--json", "--weights", plain}, {Data(), Model()});
  ASSERT_EQ(wanted.exit_code, 0) << wanted.err;
  const struct {
    Form form;
    std::string said;
  } kCases[] = {
      {{"module."}, "prefix \"module.\" taken off 6 names"},
      {{"_orig_mod."}, "prefix \"_orig_mod.\" taken off 6 names"},
      {{"module._orig_mod."}, "prefixes \"_orig_mod.\" and \"module.\" taken off 6 names"},
      {{"", "F16"}, "6 tensors converted from float16 to float32"},
      {{"", "BF16"}, "6 tensors converted from bfloat16 to float32"},
      {{"", "F32", true}, "1 batch counter (num_batches_tracked) left out"},
      {{"module.", "F16", true},
       "prefix \"module.\" taken off 6 names, 1 batch counter (num_batches_tracked) left out, 6 "
       "tensors converted from float16 to float32"},
  };
  for (const auto& one : kCases) {
    WriteAs(one.form, tensors_, path);
    const Finished found = Run({"evaluate", "--json", "--weights", path}, {Data(), Model()});
    ASSERT_EQ(found.exit_code, 0) << found.err;
    EXPECT_EQ(json::parse(found.out)["loss"], json::parse(wanted.out)["loss"]) << one.said;
    EXPECT_EQ(found.err, absl::StrCat("info: ", path, ": ", one.said, "\n"));
  }
  // Training from such a file: in every process, said by the leading one.
  const Finished from_plain =
      Compare("ring", {"--init-weights", plain, "--save-weights", folder_ + "/a"});
  const Finished from_torch =
      Compare("ring,ps", {"--init-weights", path, "--save-weights", folder_ + "/{arm}"});
  ASSERT_EQ(from_plain.exit_code, 0) << from_plain.err;
  ASSERT_EQ(from_torch.exit_code, 0) << from_torch.err;
  EXPECT_EQ(CountOf(from_torch.err, "num_batches_tracked"), 1u) << from_torch.err;
  EXPECT_EQ(CountOf(from_torch.err, "begin anew"), 1u) << from_torch.err;
  const std::vector<LoadedTensor> a = Tensors(folder_ + "/a"), b = Tensors(folder_ + "/ring");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].values, b[i].values);
}

}  // namespace
}  // namespace ringmaster
