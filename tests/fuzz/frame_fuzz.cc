// The header of a segment, as a socket brings it.

#include <cstring>

#include "common/base/check.h"
#include "common/transport/frame.h"
#include "tests/fuzz/fuzz_target.h"

namespace ringmaster {
namespace {

constexpr int64_t kSegmentBytes = 1 << 20;

std::string TextOf(const FrameHeaderBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  FrameHeader header;
  header.from = {Role::kWorker, 3};
  header.to = {Role::kServer, 1};
  header.tag.kind = MessageKind::kPush;
  header.tag.bucket = 7;
  header.tag.step = 12345;
  seeds.push_back(TextOf(EncodeFrameHeader(header)));
  header.total_bytes = 3 << 20;
  header.offset = kSegmentBytes;
  header.length = kSegmentBytes;
  header.tag.kind = MessageKind::kCollective;
  header.tag.round = 9;
  header.tag.piece = 65535;
  header.tag.channel = 2;
  seeds.push_back(TextOf(EncodeFrameHeader(header)));
  return seeds;
}

bool TryInput(absl::string_view input) {
  FrameHeaderBytes bytes;
  if (input.size() != bytes.size()) return false;
  std::memcpy(bytes.data(), input.data(), bytes.size());
  const absl::StatusOr<FrameHeader> header = DecodeFrameHeader(bytes, kSegmentBytes);
  if (!header.ok()) return false;
  RM_CHECK(header->offset >= 0 && header->length >= 0 && header->length <= kSegmentBytes);
  RM_CHECK(header->offset <= header->total_bytes - header->length);
  RM_CHECK((header->length > 0) == (header->total_bytes > 0));
  RM_CHECK(EncodeFrameHeader(*header) == bytes);  // there is one form of each
  return true;
}

}  // namespace ringmaster
