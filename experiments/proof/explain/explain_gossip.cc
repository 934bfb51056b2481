#include "experiments/proof/explain/explain_gossip.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/collective/schedule.h"

namespace ringmaster {
namespace {

constexpr double kEqual = 1e-12;  // of two shares that differ by roundings alone

// Row i: what worker i's weights are made of, each worker's share.
using Shares = std::vector<std::vector<double>>;

Shares Mixed(const Shares& shares, GossipGraph graph, int32_t round) {
  const auto workers = static_cast<int32_t>(shares.size());
  const std::vector<double> matrix = MixingMatrix(graph, workers, round);
  Shares mixed(workers, std::vector<double>(workers));
  for (int32_t i = 0; i < workers; ++i) {
    for (int32_t via = 0; via < workers; ++via) {
      for (int32_t j = 0; j < workers; ++j)
        mixed[i][j] += matrix[i * workers + via] * shares[via][j];
    }
  }
  return mixed;
}

Shares OwnAlone(int32_t workers) {
  Shares shares(workers, std::vector<double>(workers));
  for (int32_t rank = 0; rank < workers; ++rank) shares[rank][rank] = 1;
  return shares;
}

std::vector<std::vector<Holding>> HoldingsOf(const Shares& shares) {
  const double alike = 1.0 / static_cast<double>(shares.size());
  std::vector<std::vector<Holding>> holdings;
  for (const std::vector<double>& row : shares) {
    const bool is_whole = std::all_of(
        row.begin(), row.end(), [&](double share) { return std::abs(share - alike) < kEqual; });
    std::vector<Holding>& cells = holdings.emplace_back();
    for (const double share : row) {
      const Holding::Kind kind = share == 0           ? Holding::Kind::kNothing
                                 : is_whole           ? Holding::Kind::kWhole
                                 : share > 1 - kEqual ? Holding::Kind::kOwn
                                                      : Holding::Kind::kPartial;
      cells.push_back({kind, share == 0 ? "" : absl::StrFormat("%.3g", share)});
    }
  }
  return holdings;
}

// Messages of an exchange into `scene`. What arrives must be what the matrix takes.
absl::Status AddMessages(GossipGraph graph, int32_t workers, int32_t round, Scene* scene) {
  const std::unique_ptr<Schedule> schedule = CreateGossipSchedule(graph, round);
  const std::vector<double> matrix = MixingMatrix(graph, workers, round);
  for (int32_t rank = 0; rank < workers; ++rank) {
    int64_t sources = 1;
    for (const Step& step : schedule->StepsOf(rank, workers)) {
      if (step.op == Step::Op::kSend) continue;
      const std::vector<Step> theirs = schedule->StepsOf(step.peer, workers);
      const bool is_sent = std::any_of(theirs.begin(), theirs.end(), [&](const Step& other) {
        return other.op == Step::Op::kSend && other.peer == rank;
      });
      if (!is_sent || matrix[rank * workers + step.peer] == 0) {
        return absl::InternalError(absl::StrCat(
            "worker/", rank, " awaits the weights of worker/", step.peer,
            is_sent ? ", which the mixing matrix leaves out" : ", which does not send them"));
      }
      ++sources;
      scene->messages.push_back({step.peer, rank, "its weights"});
    }
    const auto* const row = &matrix[rank * workers];
    if (std::count_if(row, row + workers, [](double share) { return share > 0; }) != sources) {
      return absl::InternalError(
          absl::StrCat("worker/", rank, " averages weights that nobody sends it"));
    }
  }
  return absl::OkStatus();
}

// "1/3 each of workers 0, 1, 5".
std::string RowText(GossipGraph graph, int32_t workers, int32_t round) {
  const std::vector<int32_t> sources = GossipSources(graph, workers, round, 0);
  std::string text = absl::StrCat("worker/0: 1/", sources.size(), " of each of workers");
  for (size_t i = 0; i < sources.size(); ++i)
    absl::StrAppend(&text, i == 0 ? " " : i + 1 == sources.size() ? " and " : ", ", sources[i]);
  return text;
}

}  // namespace

double DisagreementLeft(GossipGraph graph, int32_t workers) {
  Shares period = OwnAlone(workers);
  for (int32_t round = 0; round < GossipRounds(graph, workers); ++round)
    period = Mixed(period, graph, round);
  // Power iteration with M' M, from a vector that sums to 0, as all that follow do: rows and
  // columns of M sum to 1.
  std::vector<double> vector(workers), image(workers);
  for (int32_t i = 0; i < workers; ++i) vector[i] = std::sin(1 + i * i);
  double norm = 0;
  for (int iteration = 0; iteration < 2000; ++iteration) {
    double mean = 0, squares = 0;
    for (const double value : vector) mean += value / workers;
    for (double& value : vector) value -= mean;
    for (const double value : vector) squares += value * value;
    if (squares < kEqual * kEqual) return 0;
    for (double& value : vector) value /= std::sqrt(squares);
    norm = 0;
    for (int32_t i = 0; i < workers; ++i) {
      image[i] = 0;
      for (int32_t j = 0; j < workers; ++j) image[i] += period[i][j] * vector[j];
      norm += image[i] * image[i];
    }
    for (int32_t j = 0; j < workers; ++j) {
      vector[j] = 0;
      for (int32_t i = 0; i < workers; ++i) vector[j] += period[i][j] * image[i];
    }
  }
  return std::sqrt(norm) < std::sqrt(kEqual) ? 0 : std::sqrt(norm);
}

absl::StatusOr<Story> ExplainGossip(GossipGraph graph, int32_t workers) {
  RM_CHECK(workers >= 2);
  Story story;
  story.title = absl::StrCat("gossip ", graph == GossipGraph::kRing ? "on a ring" : "with one peer",
                             ", ", workers, " workers");
  story.summary =
      "Every worker averages its weights with those that come, all counting the same: the mixing "
      "matrix has equal entries, and its rows and columns sum to 1. What the workers' own "
      "gradients "
      "add between exchanges is left out here.";
  story.legend =
      "A row is what a worker's weights are made of: 0.333 under w2 is a third of worker/2's.";
  story.workers = workers;
  for (int32_t rank = 0; rank < workers; ++rank) {
    story.actors.push_back(absl::StrCat("worker/", rank));
    story.columns.push_back(absl::StrCat("w", rank));
  }
  Shares shares = OwnAlone(workers);
  story.scenes.push_back({"At first everybody has its own weights", {}, {}, HoldingsOf(shares)});
  const int32_t rounds = GossipRounds(graph, workers);
  const auto lacks_some = [](const std::vector<double>& row) {
    return std::any_of(row.begin(), row.end(), [](double share) { return share == 0; });
  };
  int32_t exchange = 0;
  for (; std::any_of(shares.begin(), shares.end(), lacks_some); ++exchange) {
    const int32_t round = exchange % rounds;
    Scene scene;
    scene.title = absl::StrCat("Exchange ", exchange + 1, ": the average of what is here");
    scene.remarks.push_back(absl::StrCat(RowText(graph, workers, round), "; and so around."));
    RM_RETURN_IF_ERROR(AddMessages(graph, workers, round, &scene));
    shares = Mixed(shares, graph, round);
    scene.holdings = HoldingsOf(shares);
    story.scenes.push_back(std::move(scene));
  }
  const auto [least, most] = std::minmax_element(shares[0].begin(), shares[0].end());
  const int64_t neighbours = static_cast<int64_t>(GossipSources(graph, workers, 0, 0).size()) - 1;
  const double left = DisagreementLeft(graph, workers);
  story.moral = {
      absl::StrFormat("Every worker sends %d times the weights in an exchange; a ring all-reduce "
                      "of them sends %.4g times.",
                      neighbours, 2.0 * (workers - 1) / workers),
      absl::StrFormat("Of the workers' disagreement %s %s.",
                      rounds == 1 ? "an exchange leaves" : absl::StrCat(rounds, " exchanges leave"),
                      left == 0 ? "nothing" : absl::StrFormat("at most %.3g", left)),
      *most - *least < kEqual
          ? absl::StrFormat("After %d %s all have the average of all.", exchange,
                            exchange == 1 ? "exchange" : "exchanges")
          : absl::StrFormat("After %d exchanges everybody's weights are in everybody's, but not "
                            "alike: in worker 0's they count from %.3g to %.3g; alike is %.3g.",
                            exchange, *least, *most, 1.0 / workers)};
  return story;
}

}  // namespace ringmaster
