#include "tests/contract/schemes/scheme_oracle.h"

#include <deque>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/config/describe.h"

namespace ringmaster {
namespace {

using Doubles = std::vector<double>;

// One set of weights and the optimizer that updates it.
struct Player {
  Player(const OptimizerSpec& spec, const Doubles& initial)
      : rate(spec.learning_rate()),
        momentum(spec.name() == "momentum" ? spec.momentum() : 0),
        weights(initial),
        velocity(initial.size()) {}

  void Update(const Doubles& gradient) {
    for (size_t i = 0; i < weights.size(); ++i) {
      velocity[i] = momentum * velocity[i] + gradient[i];
      weights[i] -= rate * velocity[i];
    }
  }

  const double rate, momentum;
  Doubles weights, velocity;
};

// A run to be played.
struct Play {
  const RunSpec& spec;
  const Doubles& initial;
  const int64_t steps;
  const OwnGradient& gradient;
  const int32_t workers = spec.training().workers();

  std::vector<Player> Players() const {
    return std::vector<Player>(workers, Player(spec.optimizer(), initial));
  }
  // Of `rank` at `weights`.
  Doubles GradientOf(int32_t rank, int64_t step, const Doubles& weights) const {
    Doubles values(weights.size());
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = gradient(rank, step, static_cast<int64_t>(i), weights[i]);
    return values;
  }
};

Doubles MeanOf(const std::vector<Doubles>& all) {
  Doubles mean(all[0].size());
  for (const Doubles& values : all) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += values[i] / static_cast<double>(all.size());
  }
  return mean;
}

std::vector<Doubles> WeightsOf(const std::vector<Player>& players) {
  std::vector<Doubles> all;
  for (const Player& player : players) all.push_back(player.weights);
  return all;
}

SchemeEnd EqualEnd(const Play& play, const Doubles& weights) {
  return {std::vector<Doubles>(play.workers, weights), weights};
}

// One update a step by the mean of all workers' gradients, `delay` steps late.
SchemeEnd PlayTogether(const Play& play, size_t delay) {
  Player player(play.spec.optimizer(), play.initial);
  std::deque<Doubles> waiting;
  for (int64_t step = 0; step < play.steps; ++step) {
    std::vector<Doubles> gradients;
    for (int32_t rank = 0; rank < play.workers; ++rank)
      gradients.push_back(play.GradientOf(rank, step, player.weights));
    waiting.push_back(MeanOf(gradients));
    if (waiting.size() <= delay) continue;
    player.Update(waiting.front());
    waiting.pop_front();
  }
  for (const Doubles& gradient : waiting) player.Update(gradient);
  return EqualEnd(play, player.weights);
}

// Every gradient updates by 1/N, whenever it comes; also where a worker makes steps alone and adds
// 1/N of how far it has come.
SchemeEnd PlayOnArrival(const Play& play) {
  Player player(play.spec.optimizer(), play.initial);
  for (int64_t step = 0; step < play.steps; ++step) {
    for (int32_t rank = 0; rank < play.workers; ++rank) {
      Doubles gradient = play.GradientOf(rank, step, play.initial);
      for (double& value : gradient) value /= play.workers;
      player.Update(gradient);
    }
  }
  return EqualEnd(play, player.weights);
}

// Stich 2019, algorithm 1; Lin et al. 2020, section 3; Douillard et al. 2023, algorithm 1.
SchemeEnd PlayLocalSgd(const Play& play) {
  const LocalSgdSpec& local = play.spec.strategy().local_sgd();
  std::vector<Player> players = play.Players();
  Doubles last = play.initial, velocity(last.size());
  const auto average = [&](bool updates) {
    Doubles mean = MeanOf(WeightsOf(players));
    const bool is_nesterov = local.outer_optimizer() == "nesterov";
    if (updates && local.outer_optimizer() != "none") {
      for (size_t i = 0; i < mean.size(); ++i) {
        const double way = last[i] - mean[i];
        velocity[i] = local.outer_momentum() * velocity[i] + way;
        const double moved = is_nesterov ? way + local.outer_momentum() * velocity[i] : way;
        mean[i] = last[i] - local.outer_learning_rate() * moved;
      }
      last = mean;
    }
    for (Player& player : players) player.weights = mean;
  };
  for (int64_t step = 0; step < play.steps; ++step) {
    std::vector<Doubles> gradients;
    for (int32_t rank = 0; rank < play.workers; ++rank)
      gradients.push_back(play.GradientOf(rank, step, players[rank].weights));
    const int64_t alone = step + 1 - local.synchronous_steps();
    if (alone <= 0) gradients.assign(play.workers, MeanOf(gradients));
    for (int32_t rank = 0; rank < play.workers; ++rank) players[rank].Update(gradients[rank]);
    if (alone == 0) last = players[0].weights;
    if (alone > 0 && alone % local.local_steps() == 0) average(/*updates=*/true);
  }
  average(/*updates=*/false);  // a drain; of equal weights it changes nothing
  return EqualEnd(play, players[0].weights);
}

// Zhang et al. 2015, equations 5 and 6.
SchemeEnd PlayElastic(const Play& play) {
  const ElasticSpec& elastic = play.spec.strategy().elastic();
  std::vector<Player> players = play.Players();
  Doubles center = play.initial;
  for (int64_t step = 0; step < play.steps; ++step) {
    const bool exchanges = (step + 1) % elastic.period() == 0;
    const Doubles old = center;
    for (int32_t rank = 0; rank < play.workers; ++rank) {
      Player& player = players[rank];
      const Doubles gradient = play.GradientOf(rank, step, player.weights);
      for (size_t i = 0; exchanges && i < old.size(); ++i) {
        const double away = player.weights[i] - old[i];
        player.weights[i] -= elastic.alpha() * away;
        center[i] += elastic.alpha() * away;
      }
      player.Update(gradient);
    }
  }
  return {WeightsOf(players), center};
}

// Algorithm 1 there, of one worker: it and the center on servers attract each other after every
// period-th step, and after the last.
SchemeEnd PlayElasticAlone(const Play& play) {
  const ElasticSpec& elastic = play.spec.strategy().elastic();
  Player player(play.spec.optimizer(), play.initial);
  Doubles center = play.initial;
  for (int64_t step = 1; step <= play.steps; ++step) {
    player.Update(play.GradientOf(0, step - 1, player.weights));
    if (step % elastic.period() != 0 && step != play.steps) continue;
    for (size_t i = 0; i < center.size(); ++i) {
      const double away = player.weights[i] - center[i];
      player.weights[i] -= elastic.alpha() * away;
      center[i] += elastic.alpha() * away;
    }
  }
  return {{player.weights}, center};
}

// Whose weights `rank` averages in `round`, with its own.
std::vector<int32_t> NeighboursOf(const GossipSpec& gossip, int32_t workers, int32_t rank,
                                  int64_t exchange) {
  if (workers == 1) return {};
  if (gossip.graph() == GossipSpec::RING) {
    const int32_t next = (rank + 1) % workers, last = (rank + workers - 1) % workers;
    return next == last ? std::vector<int32_t>{next} : std::vector<int32_t>{last, next};
  }
  int32_t rounds = 0;
  while ((1 << rounds) < workers) ++rounds;
  const int32_t distance = 1 << (exchange % rounds);
  return {(rank + workers - distance) % workers};
}

// Lian et al. 2017, algorithm 1; Assran et al. 2019.
SchemeEnd PlayGossip(const Play& play) {
  const GossipSpec& gossip = play.spec.strategy().gossip();
  std::vector<Player> players = play.Players();
  for (int64_t step = 0; step < play.steps; ++step) {
    const std::vector<Doubles> before = WeightsOf(players);
    for (int32_t rank = 0; rank < play.workers; ++rank) {
      if ((step + 1) % gossip.every_steps() == 0) {
        std::vector<Doubles> averaged = {before[rank]};
        for (const int32_t other :
             NeighboursOf(gossip, play.workers, rank, step / gossip.every_steps()))
          averaged.push_back(before[other]);
        players[rank].weights = MeanOf(averaged);
      }
      players[rank].Update(play.GradientOf(rank, step, before[rank]));
    }
  }
  return {WeightsOf(players), MeanOf(WeightsOf(players))};
}

}  // namespace

absl::StatusOr<SchemeEnd> PlayScheme(const RunSpec& spec, const std::vector<double>& initial,
                                     int64_t steps, const OwnGradient& gradient) {
  const Play play{spec, initial, steps, gradient};
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  switch (spec.strategy().kind_case()) {
    case StrategySpec::kParameterServer:
      return server.consistency() == ParameterServerSpec::BSP ? PlayTogether(play, 0)
                                                              : PlayOnArrival(play);
    case StrategySpec::kAllReduce:
    case StrategySpec::kShardedOptimizer:
      return PlayTogether(play, 0);
    case StrategySpec::kDelayed:
      return PlayTogether(play, 1);
    case StrategySpec::kLocalSgd:
      return PlayLocalSgd(play);
    case StrategySpec::kElastic:
      return play.spec.strategy().elastic().mode() == ElasticSpec::ASYNCHRONOUS
                 ? PlayElasticAlone(play)
                 : PlayElastic(play);
    case StrategySpec::kGossip:
      return PlayGossip(play);
    default:
      return absl::UnimplementedError(
          absl::StrCat("scheme ", StrategyName(spec.strategy()),
                       " has no definition here; write it from its paper, in scheme_oracle.cc"));
  }
}

}  // namespace ringmaster
