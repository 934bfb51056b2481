#include "common/config/check_codec_options.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {

void CheckCodecOptions(absl::string_view field, const CodecSpec& codec, const CodecInfo& info,
                       Problems* problems) {
  std::vector<std::string> seen;
  for (const CodecInfo& owner : CodecsAndReducers()) {
    for (const CodecOption& option : owner.options) {
      if (std::find(seen.begin(), seen.end(), option.field) != seen.end()) continue;
      seen.push_back(option.field);
      const std::string name = absl::StrCat(field, ".", option.field);
      const double value = option.value(codec);
      const CodecOption* const own = FindOption(info, option.field);
      if (own == nullptr && option.is_set(codec)) {
        const auto takes_it = [&](const CodecInfo& other) {
          return FindOption(other, option.field) != nullptr;
        };
        problems->Add(name, value,
                      absl::StrCat("only for codec ", QuotedCodecs(takes_it, " and "),
                                   ", and the codec is \"", codec.name(), "\"; leave it out"));
      }
      // Written so that a NaN is refused.
      if (own != nullptr && !(value > own->above && value <= own->most)) {
        problems->Add(name, value,
                      absl::StrCat("expected above ", own->above, " and at most ", own->most, ", ",
                                   own->meaning));
      }
    }
  }
}

}  // namespace ringmaster
