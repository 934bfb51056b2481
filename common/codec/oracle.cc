#include "common/codec/oracle.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {

absl::Status DecodedWrong(const char* codec, size_t index, float in, float decoded,
                          const std::string& expected) {
  return absl::DataLossError(absl::StrCat("codec \"", codec, "\": element ", index, " is ", in,
                                          " and decodes to ", decoded, ", expected ", expected));
}

double Energy(absl::Span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum;
}

double ResidualEnergy(absl::Span<const float> in, absl::Span<const float> out) {
  double sum = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const double residual = static_cast<double>(in[i]) - out[i];
    sum += residual * residual;
  }
  return sum;
}

}  // namespace ringmaster
