#include "experiments/proof/bench/socket_loops.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/transport/socket.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
constexpr int64_t kTurns[] = {64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20};
// Of the two-threaded loop, whose turns do not matter much.
constexpr int64_t kThreadTurns[] = {256 << 10, 1 << 20};

bool MayComeLater(int error) { return error == EAGAIN || error == EINTR; }

absl::Status Ended() { return absl::UnavailableError("sockets: a neighbour has ended"); }

// "tcp, reno": what the kernel says of the socket.
std::string WireOf(int fd) {
  char congestion[32] = "";
  socklen_t size = sizeof(congestion) - 1;
  getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &size);
  return absl::StrCat("tcp, ", congestion);
}

void SetOptions(int fd) {
  SendAtOnce(fd);
  SendUnpacedWithinHost(fd);
}

}  // namespace

struct SocketLoops::Stream {
  absl::Span<std::byte> data;
  int64_t bytes = 0;  // each way
  int64_t turn_bytes = 0;
  bool in_two_rounds = false;
  int64_t sent = 0;
  int64_t received = 0;
  int64_t carried = 0;  // bytes of a float that lie in the scratch until its others come

  // Up to where it may be sent now.
  int64_t sendable() const { return in_two_rounds && received < bytes / 2 ? bytes / 2 : bytes; }
  bool done() const { return sent == bytes && received == bytes; }
  // The turn's bytes from stream position `at` on, as far as the data goes.
  absl::Span<std::byte> Turn(int64_t at, int64_t end) const {
    const int64_t begin = at % static_cast<int64_t>(data.size());
    return data.subspan(begin, std::min(turn_bytes, end - at));
  }
};

SocketLoops::SocketLoops(const EngineSeat& seat, bool in_two_rounds)
    : in_two_rounds_(in_two_rounds),
      ranks_(seat.ranks),
      wait_ms_(static_cast<int>(absl::ToInt64Milliseconds(seat.wait_limit))),
      scratch_(*std::max_element(std::begin(kTurns), std::end(kTurns)) / kFloatBytes + 1) {
  const auto add = [this](Way way, const char* name, int64_t turn_bytes) {
    loops_.push_back({way, turn_bytes});
    algorithms_.push_back(absl::StrCat(name, " ", turn_bytes >> 10, "KiB"));
  };
  for (const int64_t turn_bytes : kTurns) add(Way::kPoll, "poll", turn_bytes);
  for (const int64_t turn_bytes : kTurns) add(Way::kSpin, "spin", turn_bytes);
  // Its threads would have to tell each other when the first round is over.
  if (in_two_rounds) return;
  for (const int64_t turn_bytes : kThreadTurns) add(Way::kThreads, "threads", turn_bytes);
}

absl::StatusOr<std::unique_ptr<SocketLoops>> SocketLoops::Create(const EngineSeat& seat,
                                                                 bool in_two_rounds) {
  std::unique_ptr<SocketLoops> loops(new SocketLoops(seat, in_two_rounds));
  RM_RETURN_IF_ERROR(loops->Connect(seat));
  return loops;
}

absl::Status SocketLoops::Connect(const EngineSeat& seat) {
  RM_ASSIGN_OR_RETURN(const Listener listener, ListenAt(seat.listen_address));
  RM_ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, seat.all_gather(listener.endpoint));
  // Each connects to the next; of two ranks the second alone.
  const bool shares = seat.ranks == 2;
  if (!shares || seat.rank == 1) {
    RM_ASSIGN_OR_RETURN(out_, StartConnecting(endpoints[(seat.rank + 1) % seat.ranks]));
  }
  if (!shares || seat.rank == 0) {
    pollfd arrival = {listener.fd.get(), POLLIN, 0};
    if (poll(&arrival, 1, wait_ms_) <= 0)
      return absl::DeadlineExceededError("sockets: no neighbour has connected");
    (shares ? out_ : in_) =
        Fd(accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (in() < 0) return SystemError(errno, "sockets: accepting a connection");
  }
  RM_RETURN_IF_ERROR(Await(/*to_write=*/true, /*to_read=*/false));
  SetOptions(out());
  SetOptions(in());
  wire_ = WireOf(out());
  return absl::OkStatus();
}

absl::Status SocketLoops::Await(bool to_write, bool to_read) const {
  pollfd sockets[] = {{to_write ? out() : -1, POLLOUT, 0}, {to_read ? in() : -1, POLLIN, 0}};
  const int ready = poll(sockets, 2, wait_ms_);
  if (ready == 0) return absl::DeadlineExceededError("sockets: nothing moves");
  return ready > 0 || errno == EINTR ? absl::OkStatus() : SystemError(errno, "sockets: polling");
}

absl::StatusOr<int64_t> SocketLoops::Write(Stream* stream) {
  const int64_t end = stream->sendable();
  if (stream->sent == end) return 0;
  const absl::Span<std::byte> turn = stream->Turn(stream->sent, end);
  const ssize_t count = send(out(), turn.data(), turn.size(), MSG_NOSIGNAL);
  if (count < 0) return MayComeLater(errno) ? absl::StatusOr<int64_t>(0) : Ended();
  stream->sent += count;
  return count;
}

absl::StatusOr<int64_t> SocketLoops::Read(Stream* stream) {
  if (stream->received == stream->bytes) return 0;
  const absl::Span<std::byte> place = stream->Turn(stream->received, stream->bytes);
  // What is reduced is added; what is gathered lands where it belongs.
  const int64_t to_add = stream->bytes / 2 - stream->received;
  std::byte* const scratch = reinterpret_cast<std::byte*>(scratch_.data());
  const ssize_t count =
      to_add > 0 ? recv(in(), scratch + stream->carried, std::min<int64_t>(place.size(), to_add), 0)
                 : recv(in(), place.data(), place.size(), 0);
  if (count < 0) return MayComeLater(errno) ? absl::StatusOr<int64_t>(0) : Ended();
  if (count == 0) return Ended();
  if (to_add > 0) {
    const int64_t floats = (stream->carried + count) / kFloatBytes;
    float* const into = reinterpret_cast<float*>(place.data() - stream->carried);
    Add(absl::MakeConstSpan(scratch_.data(), floats), absl::MakeSpan(into, floats));
    stream->carried = (stream->carried + count) % kFloatBytes;
    std::memmove(scratch, scratch + floats * kFloatBytes, stream->carried);
  }
  stream->received += count;
  return count;
}

absl::Status SocketLoops::TakeTurns(Stream* stream, bool spins) {
  while (!stream->done()) {
    RM_ASSIGN_OR_RETURN(const int64_t written, Write(stream));
    RM_ASSIGN_OR_RETURN(const int64_t read, Read(stream));
    if (written > 0 || read > 0 || spins) continue;
    RM_RETURN_IF_ERROR(Await(stream->sent < stream->sendable(), stream->received < stream->bytes));
  }
  return absl::OkStatus();
}

absl::Status SocketLoops::OnTwoThreads(Stream* stream) {
  const auto move = [&](bool writes) -> absl::Status {
    const int64_t& moved = writes ? stream->sent : stream->received;
    while (moved < stream->bytes) {
      RM_ASSIGN_OR_RETURN(const int64_t count, writes ? Write(stream) : Read(stream));
      if (count == 0) RM_RETURN_IF_ERROR(Await(/*to_write=*/writes, /*to_read=*/!writes));
    }
    return absl::OkStatus();
  };
  absl::Status written;
  std::thread writer([&] { written = move(/*writes=*/true); });
  const absl::Status read = move(/*writes=*/false);
  writer.join();
  return read.ok() ? written : read;
}

absl::Status SocketLoops::AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) {
  RM_CHECK(from == data.data());
  Stream stream;
  stream.data = {reinterpret_cast<std::byte*>(data.data()), data.size() * sizeof(float)};
  // Even in floats, so that adding ends between two of them.
  const int64_t half = static_cast<int64_t>(data.size()) * (ranks_ - 1) / ranks_ * kFloatBytes;
  stream.bytes = 2 * half;
  stream.in_two_rounds = in_two_rounds_;
  const Loop& loop = loops_[algorithm];
  stream.turn_bytes = loop.turn_bytes;
  if (loop.way == Way::kThreads) return OnTwoThreads(&stream);
  return TakeTurns(&stream, loop.way == Way::kSpin);
}

void SocketLoops::Abort(const absl::Status& why) {
  shutdown(out(), SHUT_RDWR);
  shutdown(in(), SHUT_RDWR);
}

}  // namespace ringmaster
