#ifndef RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ENCODING_SIZES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ENCODING_SIZES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/params/param_layout.h"

namespace ringmaster {

class CodecSpec;
class KeptSizes;
class ModelSpec;

// What a run encodes, and by what. Borrowed, and resolved.
struct EncodedRun {
  const ModelSpec* model = nullptr;
  const CodecSpec* codec = nullptr;
  const CodecSpec* down_codec = nullptr;  // of the weights' way from servers; null: they are floats
  const ParamLayout* layout = nullptr;
  int32_t servers = 0;      // 0: workers gather each other's encodings
  int32_t local_steps = 0;  // SchemeTraits::local_steps

  // Of each list of sizes: one for each server's part of each bucket.
  int64_t slices() const;
};

// Whether the size of its encodings follows from their values too. Pure, thread-safe.
bool VariesInSize(const CodecSpec& codec);
bool VariesUp(const EncodedRun& run);
bool VariesDown(const EncodedRun& run);

// Names one encoding of a run.
struct EncodingName {
  int64_t number = 0;  // of its message between the worker and the server; without servers the step
  int32_t rank = 0;    // the worker that sends it, or is sent it
  int32_t server = 0;
  int32_t bucket = 0;
};

// What is encoded at once.
struct EncodedSlice {
  int64_t floats = 0;  // elements that go as they are (common/codec/small_tensors.h)
  int64_t others = 0;
};

// How many bytes encodings take where messages carry none of them. Immutable, thread-safe.
class EncodingSizes {
 public:
  // `kept`: what sizes that vary are; null: the most that they may be. Both arguments are read by
  // the call alone. `first`: number 0 counts as this one where the codec says the size. Returns
  // null where every size is MaxEncodedBytes, in all steps. InvalidArgument: as CheckKeptSizes,
  // where sizes vary; as CreateCodec.
  static absl::StatusOr<std::unique_ptr<EncodingSizes>> Create(const EncodedRun& run,
                                                               const KeptSizes* kept,
                                                               int64_t first = 0);

  // Of what a worker sends.
  int64_t Up(const EncodingName& name) const { return Of(up_, name); }
  // Of the weights that a server sends it.
  int64_t Down(const EncodingName& name) const { return Of(down_, name); }

 private:
  struct Way {
    std::unique_ptr<Codec> codec;
    std::vector<EncodedSlice> slices;        // [server][bucket]
    std::vector<std::vector<int64_t>> kept;  // by rank: [number][server][bucket]; empty: codec's
  };

  EncodingSizes(int64_t buckets, int64_t first) : buckets_(buckets), first_(first) {}
  static absl::StatusOr<Way> WayOf(const EncodedRun& run, const CodecSpec& codec);
  int64_t Of(const Way& way, const EncodingName& name) const;

  const int64_t buckets_;
  const int64_t first_;
  Way up_, down_;
};

// Whether the sizes are those of such a run, of however many workers. InvalidArgument says what
// differs, or which size no encoding has. Thread-safe.
absl::Status CheckKeptSizes(const KeptSizes& kept, const EncodedRun& run);

// Which of `count` (at least 1) kept numbers stands for `number`: itself, or, beyond them, one of
// the last ones, again and again in their order.
int64_t KeptNumberFor(int64_t number, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_PREDICT_ENCODING_SIZES_H_
