// libringmaster_gloo.so: Gloo's all-reduces over its TCP transport.

#include <gloo/allreduce.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/allreduce_ring.h>
#include <gloo/allreduce_ring_chunked.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>

#include <chrono>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/engine/call_guard.h"
#include "common/engine/engine.h"
#include "common/engine/export.h"
#include "common/engine/interfaces.h"

namespace ringmaster {
namespace {

// A call returns when the peers have closed their ends too; one that hangs does not.
constexpr absl::Duration kAbortGrace = absl::Seconds(2);

enum Algorithm : int32_t { kRing, kBcube, kOldRing, kOldRingChunked, kOldHalvingDoubling };

// Gloo reports by exceptions; here they end.
template <typename Function>
absl::Status Guarded(absl::string_view what, const Function& function) {
  try {
    function();
    return absl::OkStatus();
  } catch (const std::exception& failure) {
    return absl::UnavailableError(absl::StrCat(what, ": ", failure.what()));
  }
}

// Where Gloo's ranks leave their addresses for each other: every rank sets its own one once, under
// its number, and asks for the others'. So setting it is an all-gather.
class GatheringStore : public gloo::rendezvous::Store {
 public:
  explicit GatheringStore(const EngineSeat& seat) : seat_(seat) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    auto gathered = seat_.all_gather(absl::string_view(data.data(), data.size()));
    status_ = gathered.status();
    if (gathered.ok()) addresses_ = *std::move(gathered);
  }
  std::vector<char> get(const std::string& key) override {
    size_t rank = 0;
    if (!absl::SimpleAtoi(key, &rank) || rank >= addresses_.size()) return {};
    return {addresses_[rank].begin(), addresses_[rank].end()};
  }
  void wait(const std::vector<std::string>& keys) override {
    if (!status_.ok()) throw ::gloo::IoException(std::string(status_.message()));
  }

 private:
  const EngineSeat& seat_;
  absl::Status status_;
  std::vector<std::string> addresses_;  // by rank
};

class GlooEngine : public Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineSeat& seat) {
    std::unique_ptr<GlooEngine> engine(new GlooEngine(seat));
    RM_RETURN_IF_ERROR(Guarded("connecting", [&] {
      gloo::transport::tcp::attr attributes(seat.listen_address.c_str());
      auto device = gloo::transport::tcp::CreateDevice(attributes);
      auto context = std::make_shared<gloo::rendezvous::Context>(seat.rank, seat.ranks);
      context->setTimeout(engine->timeout_);
      GatheringStore store(seat);
      context->connectFullMesh(store, device);
      engine->context_ = std::move(context);
    }));
    return std::unique_ptr<Engine>(std::move(engine));
  }

  std::string library() const override { return "Gloo"; }
  std::string wire() const override { return "tcp"; }
  std::map<std::string, std::string> settings() const override { return settings_; }
  std::string handicap() const override { return ""; }
  absl::Span<const std::string> algorithms() const override { return algorithms_; }

  absl::Status AllReduce(int32_t algorithm, const float* from, absl::Span<float> data) override {
    RM_CHECK(from == data.data());
    if (data.size() > static_cast<size_t>(std::numeric_limits<int>::max()) / sizeof(float)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Gloo's all-reduce of ", data.size(), " floats, at most 2 GiB; use smaller buckets"));
    }
    RM_RETURN_IF_ERROR(guard_.Begin());
    const absl::Status summed =
        Guarded(absl::StrCat("all-reduce by ", algorithms_[algorithm]), [&] {
          if (algorithm <= kBcube) {
            RunNew(algorithm, data);
          } else {
            OldFor(algorithm, data)->run();
          }
        });
    // Summed or not, the run has ended.
    RM_RETURN_IF_ERROR(guard_.End());
    return summed;
  }

  void Abort(const absl::Status& why) override {
    if (guard_.Abort(why)) (void)Guarded("closing", [this] { context_->closeConnections(); });
  }

  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  explicit GlooEngine(const EngineSeat& seat)
      : timeout_(absl::ToInt64Milliseconds(seat.wait_limit)),
        settings_{{"address", seat.listen_address},
                  {"interface", InterfaceOf(seat.listen_address)}} {}

  void RunNew(int32_t algorithm, absl::Span<float> data) {
    gloo::AllreduceOptions options(context_);
    options.setAlgorithm(algorithm == kRing ? gloo::AllreduceOptions::Algorithm::RING
                                            : gloo::AllreduceOptions::Algorithm::BCUBE);
    options.setOutput(data.data(), data.size());
    options.setReduceFunction(
        static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<float>));
    options.setTimeout(timeout_);
    gloo::allreduce(options);
  }

  // Gloo's older algorithms are objects made for one place in memory, with buffers as large as the
  // data. Those of one algorithm and size are kept: whoever goes on to another is done with the
  // last.
  gloo::Algorithm* OldFor(int32_t algorithm, absl::Span<float> data) {
    if (old_algorithm_ != algorithm || old_count_ != data.size()) old_.clear();
    old_algorithm_ = algorithm;
    old_count_ = data.size();
    std::unique_ptr<gloo::Algorithm>& old = old_[data.data()];
    if (old != nullptr) return old.get();
    const std::vector<float*> pointers = {data.data()};
    const int count = static_cast<int>(data.size());
    if (algorithm == kOldRing) {
      old = std::make_unique<gloo::AllreduceRing<float>>(context_, pointers, count);
    } else if (algorithm == kOldRingChunked) {
      old = std::make_unique<gloo::AllreduceRingChunked<float>>(context_, pointers, count);
    } else {
      old = std::make_unique<gloo::AllreduceHalvingDoubling<float>>(context_, pointers, count);
    }
    return old.get();
  }

  const std::vector<std::string> algorithms_ = {"ring", "bcube", "old_ring", "old_ring_chunked",
                                                "old_halving_doubling"};
  const std::chrono::milliseconds timeout_;
  const std::map<std::string, std::string> settings_;
  std::shared_ptr<gloo::Context> context_;
  // all of old_algorithm_ and old_count_ floats
  std::map<float*, std::unique_ptr<gloo::Algorithm>> old_;
  int32_t old_algorithm_ = 0;
  size_t old_count_ = 0;

  CallGuard guard_{kAbortGrace};
};

}  // namespace
}  // namespace ringmaster

RINGMASTER_EXPORT_ENGINE(ringmaster::GlooEngine::Create)
