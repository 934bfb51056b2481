#ifndef RINGMASTER_COMMON_CODEC_CODEC_FIELDS_H_
#define RINGMASTER_COMMON_CODEC_CODEC_FIELDS_H_

namespace ringmaster {

class CodecSpec;

// The fields of CodecSpec that are options of codecs (codec.h), a number or true and false each, as
// functions: codecs and oracles read them without the generated header, which costs every file
// seconds. Pure, thread-safe.
#define RM_CODEC_OPTION_FIELDS(X) \
  X(density)                      \
  X(block)                        \
  X(levels)                       \
  X(threshold)                    \
  X(chunk)                        \
  X(rice_indices)                 \
  X(two_bit_values)               \
  X(auto_scale)                   \
  X(max_norm)                     \
  X(rank)

// Has_F: whether F is set; Get_F: its value, 0 where it is not; Set_F sets it.
namespace codec_fields {
#define RM_DECLARE_CODEC_FIELD(field)        \
  bool Has_##field(const CodecSpec& spec);   \
  double Get_##field(const CodecSpec& spec); \
  void Set_##field(double value, CodecSpec* spec);
RM_CODEC_OPTION_FIELDS(RM_DECLARE_CODEC_FIELD)
#undef RM_DECLARE_CODEC_FIELD
}  // namespace codec_fields

// The first four members of a CodecOption for a field of the list above.
#define RM_CODEC_FIELD(field) \
  (#field), codec_fields::Has_##field, codec_fields::Get_##field, codec_fields::Set_##field

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_CODEC_FIELDS_H_
