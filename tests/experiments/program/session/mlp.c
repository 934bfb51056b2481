/* A program that computes its own gradients, in C99 and by ringmaster.h alone: an MLP of one hidden
   layer on points whose class a fixed rule gives. mlp [MISTAKE [RANK]] makes a mistake on purpose,
   at step 3 of that rank (1); what stands behind "--" goes to the session. */

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/program/session/ringmaster.h"

enum { kInputs = 6, kHidden = 17, kClasses = 4, kTrain = 500, kTest = 67 };
enum { kW2, kB2, kW1, kB1, kTensors };

static const char* mistake = "";
static int mistaken_rank = 1;

/* In [-1, 1), of a stream by numbers. */
static float Noise(uint32_t a, uint32_t b) {
  uint32_t x = a * 2654435761u ^ (b + 1) * 2246822519u;
  x ^= x >> 15;
  x *= 2654435761u;
  x ^= x >> 13;
  return (float)(x >> 8) / 8388608.0f - 1.0f;
}

static void Sample(int set, int32_t index, float* input, int* label) {
  int best = 0;
  float sums[kClasses] = {0};
  for (int i = 0; i < kInputs; ++i) {
    input[i] = Noise((uint32_t)(index + set * kTrain), (uint32_t)i);
    for (int c = 0; c < kClasses; ++c) sums[c] += input[i] * Noise((uint32_t)c + 7777u, (uint32_t)i);
  }
  for (int c = 1; c < kClasses; ++c)
    if (sums[c] > sums[best]) best = c;
  *label = best;
}

/* What forward leaves for backward. */
typedef struct Activations {
  float input[kInputs];
  float hidden[kHidden];
  float share[kClasses]; /* the softmax */
  int label;
} Activations;

static const float* At(const float* arena, int tensor) {
  static const int sizes[kTensors] = {kClasses * kHidden, kClasses, kHidden * kInputs, kHidden};
  for (int i = 0; i < tensor; ++i) arena += sizes[i];
  return arena;
}

static double Forward(const float* weights, int set, int32_t index, Activations* a) {
  const float *w1 = At(weights, kW1), *b1 = At(weights, kB1);
  const float *w2 = At(weights, kW2), *b2 = At(weights, kB2);
  float logits[kClasses], most = -1e30f, sum = 0;
  Sample(set, index, a->input, &a->label);
  for (int h = 0; h < kHidden; ++h) {
    float z = b1[h];
    for (int i = 0; i < kInputs; ++i) z += w1[h * kInputs + i] * a->input[i];
    a->hidden[h] = z > 0 ? z : 0;
  }
  for (int c = 0; c < kClasses; ++c) {
    logits[c] = b2[c];
    for (int h = 0; h < kHidden; ++h) logits[c] += w2[c * kHidden + h] * a->hidden[h];
    if (logits[c] > most) most = logits[c];
  }
  for (int c = 0; c < kClasses; ++c) sum += a->share[c] = expf(logits[c] - most);
  for (int c = 0; c < kClasses; ++c) a->share[c] /= sum;
  return -log(a->share[a->label] + 1e-30);
}

/* Adds scale times the sample's gradient. */
static void Backward(const float* weights, const Activations* a, float scale, float* gradients) {
  const float* w2 = At(weights, kW2);
  float *gw1 = (float*)At(gradients, kW1), *gb1 = (float*)At(gradients, kB1);
  float *gw2 = (float*)At(gradients, kW2), *gb2 = (float*)At(gradients, kB2);
  float back[kHidden] = {0};
  for (int c = 0; c < kClasses; ++c) {
    const float d = scale * (a->share[c] - (c == a->label ? 1.0f : 0.0f));
    gb2[c] += d;
    for (int h = 0; h < kHidden; ++h) {
      gw2[c * kHidden + h] += d * a->hidden[h];
      back[h] += d * w2[c * kHidden + h];
    }
  }
  for (int h = 0; h < kHidden; ++h) {
    if (a->hidden[h] <= 0) continue;
    gb1[h] += back[h];
    for (int i = 0; i < kInputs; ++i) gw1[h * kInputs + i] += back[h] * a->input[i];
  }
}

static int Is(const char* what) { return strcmp(mistake, what) == 0; }

/* Ends like a program whose error nobody catches. */
static void Check(int32_t result, char* const* error) {
  if (result >= 0) return;
  fprintf(stderr, "mlp: %s\n", *error == NULL ? "(no text)" : *error);
  exit(1);
}

static void Step(ringmaster_session* session, const ringmaster_moment* moment, int errs) {
  static Activations activations[1024];
  char* error = NULL;
  float* gradients = NULL;
  double loss = 0;
  if (errs && Is("die")) exit(3);
  if (errs && Is("kill")) raise(SIGKILL);
  if (errs && Is("fail")) ringmaster_fail(session, "ValueError: no such thing");
  if (errs && Is("next"))
    Check(ringmaster_next(session, -1, (ringmaster_moment*)moment, &error), &error);
  for (volatile int hangs = errs && Is("hang"); hangs;) continue;
  for (int64_t i = 0; i < moment->sample_count; ++i)
    loss += Forward(moment->weights, moment->set, moment->samples[i], &activations[i]);
  loss /= (double)moment->sample_count;
  Check(ringmaster_backward(session, &gradients, &error), &error);
  memset(gradients, 0, sizeof(float) * (size_t)(At(gradients, kTensors) - gradients));
  for (int64_t i = 0; i < moment->sample_count; ++i) {
    Backward(moment->weights, &activations[i],
             moment->gradient_scale / (float)moment->sample_count, gradients);
  }
  if (errs && Is("nan")) gradients[kClasses * kHidden] = NAN;
  if (errs && Is("nan")) loss = NAN;
  for (int tensor = 0; tensor < kTensors; ++tensor) {
    if (errs && Is("forget") && tensor == kW1) continue;
    Check(ringmaster_ready(session, tensor, 1, &error), &error);
    if (errs && Is("twice")) Check(ringmaster_ready(session, tensor, 1, &error), &error);
  }
  Check(ringmaster_end_step(session, loss, &error), &error);
}

static void Score(ringmaster_session* session, const ringmaster_moment* moment) {
  char* error = NULL;
  double loss = 0;
  int64_t correct = 0;
  for (int64_t i = 0; i < moment->sample_count; ++i) {
    Activations a;
    int best = 0;
    loss += Forward(moment->weights, moment->set, moment->samples[i], &a);
    for (int c = 1; c < kClasses; ++c)
      if (a.share[c] > a.share[best]) best = c;
    correct += best == a.label;
  }
  Check(ringmaster_score(session, loss, correct, moment->sample_count, &error), &error);
}

static ringmaster_program* Describe(const char* path) {
  static const int64_t w2[] = {kClasses, kHidden}, b2[] = {kClasses};
  static const int64_t w1[] = {kHidden, kInputs}, b1[] = {kHidden};
  static const int64_t odd[] = {kInputs, kHidden};
  float initial[kClasses * kHidden + kHidden * kInputs];
  char* error = NULL;
  ringmaster_program* program = ringmaster_program_new(RINGMASTER_VERSION, &error);
  /* Not what the launcher was told when it asked. */
  const char* session = getenv("RINGMASTER_SESSION");
  const int changes = Is("shape") && session != NULL && strncmp(session, "node", 4) == 0;
  for (int i = 0; i < kClasses * kHidden + kHidden * kInputs; ++i)
    initial[i] = 0.4f * Noise(99u, (uint32_t)i);
  Check(program == NULL ? -1 : 0, &error);
  Check(ringmaster_program_add_tensor(program, "fc2.weight", w2, 2, initial, &error), &error);
  Check(ringmaster_program_add_tensor(program, "fc2.bias", b2, 1, initial, &error), &error);
  Check(ringmaster_program_add_tensor(program, "fc1.weight", changes ? odd : w1, 2, initial, &error),
        &error);
  Check(ringmaster_program_add_tensor(program, "fc1.bias", b1, 1, initial, &error), &error);
  Check(ringmaster_program_set_samples(program, kTrain, Is("unscored") ? 0 : kTest, &error), &error);
  Check(ringmaster_program_add_file(program, path, &error), &error);
  return program;
}

int main(int argc, char** argv) {
  ringmaster_moment moment;
  ringmaster_facts facts;
  int32_t kind = RINGMASTER_DONE;
  char* error = NULL;
  int own = 1;
  while (own < argc && strcmp(argv[own], "--") != 0) ++own;
  if (own > 1) mistake = argv[1];
  if (own > 2) mistaken_rank = atoi(argv[2]);
  if (Is("mute")) return 0;
  ringmaster_program* program = Describe(argv[0]);
  ringmaster_session* session =
      ringmaster_open(program, own < argc ? argc - own - 1 : 0,
                      (const char* const*)argv + (own < argc ? own + 1 : argc), &error);
  ringmaster_program_free(program);
  if (session == NULL) Check(-1, &error);
  ringmaster_get_facts(session, &facts);
  printf("mlp: worker %d of %d\n", (int)facts.rank, (int)facts.workers);
  while ((kind = ringmaster_next(session, 100, &moment, &error)) > RINGMASTER_DONE) {
    if (kind == RINGMASTER_STEP)
      Step(session, &moment, moment.step >= 3 && facts.rank == mistaken_rank);
    if (kind == RINGMASTER_SCORE) Score(session, &moment);
    if (Is("leave") && kind == RINGMASTER_STEP && moment.step == 3 && facts.rank == mistaken_rank)
      break;
  }
  Check(kind, &error);
  if (kind == RINGMASTER_DONE) {
    double sum = 0;
    for (int64_t i = 0; i < facts.parameters; ++i) sum += fabs(moment.weights[i]);
    printf("mlp: final weights %.6f\n", sum);
  }
  Check(ringmaster_close(session, &error), &error);
  return 0;
}
