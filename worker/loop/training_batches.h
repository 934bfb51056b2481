#ifndef RINGMASTER_WORKER_LOOP_TRAINING_BATCHES_H_
#define RINGMASTER_WORKER_LOOP_TRAINING_BATCHES_H_

#include <cstdint>

#include "common/base/random.h"
#include "worker/data/batch.h"
#include "worker/model/model.h"

namespace ringmaster {

// Names the stream of dropout masks among those of the training seed.
inline constexpr uint64_t kDropoutStream = 0x64726f706f7574;

// A loaded batch on the host as a model trains on it: with the dropout of its number, so every arm
// drops the same activations, whoever computes it. `seed`: training.seed. `gradient_scale`: the
// factor of its loss. Borrows the batch's memory. Pure.
inline BatchView TrainingViewOf(uint64_t seed, const Batch& batch, float gradient_scale) {
  BatchView view;
  view.features = batch.features.data();
  view.tokens = batch.tokens.data();
  view.labels = batch.labels.data();
  view.count = batch.count();
  view.training = true;
  view.number = batch.number;
  view.dropout_seed = MixSeed(MixSeed(seed, kDropoutStream), static_cast<uint64_t>(batch.number));
  view.gradient_scale = gradient_scale;
  return view;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_TRAINING_BATCHES_H_
