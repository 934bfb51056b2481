#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_RINGMASTER_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_RINGMASTER_H_

/* The C interface of Ringmaster, for a program that computes gradients itself: it is one worker of
   a run, and everything but the gradients is Ringmaster's, under whatever scheme the run has. The
   header is C99 and C++; no other header is needed.

   A program says what it trains (ringmaster_program_*), opens its session, and then makes whatever
   moment comes next:

     ringmaster_moment moment;
     while ((kind = ringmaster_next(session, -1, &moment, &error)) > RINGMASTER_DONE) {
       if (kind == RINGMASTER_STEP) {
         ... forward of moment.samples with moment.weights ...
         ringmaster_backward(session, &gradients, &error);
         ... backward; write each tensor's gradient, times moment.gradient_scale ...
         ringmaster_ready(session, tensor, 1, &error);                 as soon as each is there
         ringmaster_end_step(session, mean_loss, &error);
       } else {                                                        RINGMASTER_SCORE
         ... loss and hits of moment.samples with moment.weights ...
         ringmaster_score(session, loss_sum, correct, count, &error);
       }
     }
     ringmaster_close(session, &error);

   ERRORS. A function that can fail has `char** error` last and returns what its comment says. On
   failure it sets *error to a text for a person, which the caller frees by ringmaster_free; else it
   leaves *error alone. `error` may be NULL. Texts are UTF-8. Once a moment's function has failed
   the run has failed: all further ones fail with the same text, and only ringmaster_close is left
   to be called. Mistakes of the program (a gradient given twice, one that is missing, a call out of
   its moment) fail the run by name, as other ranks' losses do. No function throws or ends the
   process, but for ringmaster_open where the launcher only asks what the program trains.

   THREADS. A session is used by one thread at a time, which need not be the same; exceptions are
   named. The library has threads of its own, which take no signals: handlers are the program's.
   A process has one session at a time. A child process made by fork must not use it.

   MEMORY. Names and texts that are passed in are copied. What moments point to is the library's. */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header. It grows with each change that a program could notice. */
#define RINGMASTER_VERSION 1

#if defined(__GNUC__)
#define RINGMASTER_EXPORT __attribute__((visibility("default")))
#else
#define RINGMASTER_EXPORT
#endif

/* The RINGMASTER_VERSION of the library. Any thread. */
RINGMASTER_EXPORT int32_t ringmaster_version(void);

/* Frees a text that a function of this library has given. NULL: nothing. Any thread. */
RINGMASTER_EXPORT void ringmaster_free(char* text);

/* ---- What the program trains ---- */

typedef struct ringmaster_program ringmaster_program;

/* An empty description. `version`: RINGMASTER_VERSION, as the program was compiled with.
   Returns NULL and sets *error if the library is of another version. */
RINGMASTER_EXPORT ringmaster_program* ringmaster_program_new(int32_t version, char** error);

/* Not while a session is being opened with it. NULL: nothing. */
RINGMASTER_EXPORT void ringmaster_program_free(ringmaster_program* program);

/* Adds the next tensor: number 0, 1, ... in the order in which backward finishes gradients, the
   last layer's first. In weights and gradients the tensors lie one behind the other in that order,
   each row by row, without gaps: tensor i begins at the sum of the element counts of those before
   it.
     name: unique, not empty, "encoder.0.weight".
     shape: [dimensions], each at least 1, outermost first; 0 dimensions: one number.
     initial: as many floats as the shape has, finite, which the tensor starts from; copied. NULL:
     none, where the run's spec names a file of weights, as under `ringmaster compare`.
   A tensor whose name is "running_mean" or "running_var", or ends in ".running_mean" or
   ".running_var", is a running statistic of batch norm and not trained: what is written as its
   "gradient" is the batch's own value (not times gradient_scale), and its update is
   0.9 * running + 0.1 * the average over all workers' batches.
   Returns the tensor's number; -1 and *error: the description is then as before. */
RINGMASTER_EXPORT int32_t ringmaster_program_add_tensor(ringmaster_program* program,
                                                        const char* name, const int64_t* shape,
                                                        int32_t dimensions, const float* initial,
                                                        char** error);

/* How many samples there are to train on (at least 1), and to score the model on (0: the run is not
   scored at all). Together below 2^31. Samples are known by their indices. Returns 0; -1 and
   *error. */
RINGMASTER_EXPORT int32_t ringmaster_program_set_samples(ringmaster_program* program,
                                                         int64_t train_samples,
                                                         int64_t test_samples, char** error);

/* Adds a file that the results depend on: the script, modules of its own. The record keeps one
   SHA-256 of all of them; ranks whose files differ do not join. Without any it is that of the
   executable. Returns 0; -1 and *error: there is no such file. */
RINGMASTER_EXPORT int32_t ringmaster_program_add_file(ringmaster_program* program, const char* path,
                                                      char** error);

/* ---- The session: this process as one worker of a run ---- */

typedef struct ringmaster_session ringmaster_session;

/* Begins to take part in a run; the first ringmaster_next waits until all ranks have joined.
   Under `ringmaster compare --program` and its siblings the launcher has said which run, and
   `arguments` are not looked at. Otherwise they are what stands behind `ringmaster node` on a
   command line (a file with the run's spec, --arm, --rank, --world-size, --coordinator, --set,
   ...), and what they leave open the environment of torchrun, mpirun, srun or a pod says; without
   any it is a run of a single worker. Without a spec or --arm several workers are a ring. Rank 0
   then leads the run, and prints its outcome and keeps its record when it closes its session.
   Where the launcher asks what the program trains, the process ends here with exit code 0.
     arguments: [argument_count], without "ringmaster node". May be NULL with 0.
     program: may be freed afterwards.
   Returns NULL and sets *error: a mistake in the spec or arguments; tensors or numbers of samples
   that differ from the spec's, by name; a session that is open already. */
RINGMASTER_EXPORT ringmaster_session* ringmaster_open(const ringmaster_program* program,
                                                      int32_t argument_count,
                                                      const char* const* arguments, char** error);

/* What does not change while a session lasts. */
typedef struct ringmaster_facts {
  int32_t rank;
  int32_t workers;
  int32_t batch;         /* samples of a step's batch */
  int32_t micro_batches; /* batches that this worker computes in one step */
  int64_t steps;         /* of the run, for each worker; where work is claimed, on average */
  uint64_t seed;         /* training.seed */
  int64_t parameters;    /* elements of weights and of gradients */
  int32_t device;        /* the GPU that the launcher has given this rank */
} ringmaster_facts;

/* Any thread. REQUIRES: an open session. */
RINGMASTER_EXPORT void ringmaster_get_facts(const ringmaster_session* session,
                                            ringmaster_facts* facts);

/* The run's resolved spec as JSON, field names as in run_spec.proto; the caller frees it. Any
   thread. */
RINGMASTER_EXPORT char* ringmaster_get_spec(const ringmaster_session* session);

/* ---- Moments ---- */

#define RINGMASTER_FAILED (-1)
#define RINGMASTER_DONE 0    /* the run is over and well; close the session */
#define RINGMASTER_STEP 1    /* compute the gradient of a batch */
#define RINGMASTER_SCORE 2   /* score samples with the weights of this moment */
#define RINGMASTER_WAITING 3 /* none yet: ask again */

#define RINGMASTER_TRAIN_SET 0
#define RINGMASTER_TEST_SET 1

typedef struct ringmaster_moment {
  int32_t kind;
  int32_t set;            /* which set `samples` are of; that of a step is the training set */
  const int32_t* samples; /* [sample_count] their indices in that set */
  int64_t sample_count;   /* a step: always ringmaster_facts.batch; a score: 1 to 256 */
  const float* weights;   /* all tensors; to be read only. Another address in another moment. With
                             RINGMASTER_DONE the final ones, until ringmaster_close. */
  /* Of a step: */
  float gradient_scale; /* factor of the mean loss of this batch whose gradient is written */
  int32_t micro_batch;  /* 0 to micro_batches - 1; the weights change before 0 alone */
  int64_t step;         /* of this worker, from 0; steps that it was late for are left out */
  int64_t batch;        /* the batch's number in the stream of all workers' batches */
  uint64_t seed;        /* for what is random in this batch: the same in every scheme */
} ringmaster_moment;

/* Waits for the next moment: for the exchange, the other workers, a turn. Pointers in *moment are
   valid until the next call of this function; of a step, until ringmaster_end_step.
     timeout_ms: RINGMASTER_WAITING comes after so many milliseconds, so that the caller can see to
     signals; negative: never.
   REQUIRES: the moment before is answered (ringmaster_end_step, ringmaster_score).
   Returns the moment's kind, which is in moment->kind too; RINGMASTER_FAILED and *error. */
RINGMASTER_EXPORT int32_t ringmaster_next(ringmaster_session* session, int32_t timeout_ms,
                                          ringmaster_moment* moment, char** error);

/* Forward of the step is over and backward begins. Sets *gradients to where they are written: all
   tensors, like weights. What lies there is of no meaning and is overwritten, not added to, and
   stays the program's, tensor by tensor, until ringmaster_ready. There are two or more such places,
   which steps and micro-batches take in turns; each is 64-byte aligned and stays where it is.
   Returns 0; RINGMASTER_FAILED and *error. REQUIRES: a step; once in it. */
RINGMASTER_EXPORT int32_t ringmaster_backward(ringmaster_session* session, float** gradients,
                                              char** error);

/* The gradients of tensors first to first + count - 1 are written. A bucket whose last tensor this
   was is sent from here, while backward goes on. Any order of tensors will do; that of the
   description lets buckets leave soonest.
   Returns 0; RINGMASTER_FAILED and *error: a tensor that does not exist or was ready before in this
   micro-batch. Any thread that the program has ordered behind ringmaster_backward; calls of several
   threads do not get in each other's way. REQUIRES: between ringmaster_backward and
   ringmaster_end_step. */
RINGMASTER_EXPORT int32_t ringmaster_ready(ringmaster_session* session, int32_t first,
                                           int32_t count, char** error);

/* Ends the step (or its micro-batch). `loss`: the mean loss of the batch, without gradient_scale;
   after one that is not finite the same batch comes as a step once more, to find out which gradient
   is not finite, and the run fails with its name. Returns 0 without waiting for anybody;
   RINGMASTER_FAILED and *error: tensors whose gradients are missing, by name. */
RINGMASTER_EXPORT int32_t ringmaster_end_step(ringmaster_session* session, double loss,
                                              char** error);

/* Answers a score: sums over the labels of the samples, of which there are `count` (a sample may
   have several; at least 1), `correct` of them predicted right (0 where that has no meaning).
   Returns 0 without waiting; RINGMASTER_FAILED and *error. */
RINGMASTER_EXPORT int32_t ringmaster_score(ringmaster_session* session, double loss_sum,
                                           int64_t correct, int64_t count, char** error);

/* The program cannot go on, for this reason ("ValueError: ..."): the run fails with it, by rank and
   step. Does not wait. Any thread, at any time before ringmaster_close; the first failure counts.
   */
RINGMASTER_EXPORT void ringmaster_fail(ringmaster_session* session, const char* reason);

/* Ends the session and frees it, whatever is returned. Before RINGMASTER_DONE the run fails: its
   program has ended. NULL: nothing. A process that ends without it does so too, with a status that
   says how it ended.
   Returns 0 if the run is over and well; else RINGMASTER_FAILED and *error: why it failed. */
RINGMASTER_EXPORT int32_t ringmaster_close(ringmaster_session* session, char** error);

#ifdef __cplusplus
}
#endif

#endif /* RINGMASTER_EXPERIMENTS_PROGRAM_SESSION_RINGMASTER_H_ */
