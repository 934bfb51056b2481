#include "common/codec/codec_fields.h"

#include "proto/codec_spec.pb.h"

namespace ringmaster::codec_fields {

#define RM_DEFINE_CODEC_FIELD(field)                                                      \
  bool Has_##field(const CodecSpec& spec) { return spec.has_##field(); }                  \
  double Get_##field(const CodecSpec& spec) { return static_cast<double>(spec.field()); } \
  void Set_##field(double value, CodecSpec* spec) {                                       \
    spec->set_##field(static_cast<decltype(spec->field())>(value));                       \
  }
RM_CODEC_OPTION_FIELDS(RM_DEFINE_CODEC_FIELD)

}  // namespace ringmaster::codec_fields
