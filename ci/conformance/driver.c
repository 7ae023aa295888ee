/* Runs many plans of one program through the C interface of the model library.
 *
 *   driver FOLDER SECONDS < LIST
 *
 * Each line of the list is "NUMBER SET", a plan and a set of inputs for it: reads
 * FOLDER/NUMBER/SET/in*.bin, runs once, writes FOLDER/NUMBER/SET/out*.bin and prints
 * "NUMBER SET ok" or "NUMBER SET failed REASON". Output is flushed line by line, so that after a
 * crash it is known what was running ("NUMBER SET started" stands last). What
 * takes more CPU time than that ends by SIGPROF: a busy machine must not decide what passes.
 *
 * Compiled with GUARDED, every kernel call works between guard pages (guarded_kernels.h).
 */
#define _GNU_SOURCE
#include "model.h"
#include "plan.h"
#ifdef GUARDED
#include "guarded_kernels.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

extern const bw_plan *const bw_batch[];
extern const size_t bw_batch_size;
const bw_plan *bw_chosen_plan; /* what the runtime was compiled to take for its own */

enum { MOST_TENSORS = 256 };

typedef struct job {
  size_t number;
  char set[64];
  char name[96]; /* "NUMBER SET" */
} job;

static uint64_t aligned(uint64_t size) { return (size + 64) / 64 * 64; }

static void *buffer(const bw_tensor_info *info) {
  return aligned_alloc(64, aligned(info->size_bytes));
}

static int transfer(const char *folder, const job *job, const char *kind, int32_t index,
                    void *bytes, size_t size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%zu/%s/%s%d.bin", folder, job->number, job->set, kind,
           (int)index);
  const int reading = kind[0] == 'i';
  FILE *file = fopen(path, reading ? "rb" : "wb");
  if (file == NULL)
    return 0;
  const size_t done = reading ? fread(bytes, 1, size, file) : fwrite(bytes, 1, size, file);
  return fclose(file) == 0 && done == size;
}

static const char *run(bw_model *model, const char *folder, const job *job) {
  const int32_t input_count = bw_input_count(model), output_count = bw_output_count(model);
  void *inputs[MOST_TENSORS], *outputs[MOST_TENSORS];
  bw_tensor_info info;
  if (input_count > MOST_TENSORS || output_count > MOST_TENSORS)
    return "too many tensors for this driver";
  for (int32_t i = 0; i < input_count; i++) {
    bw_input_info(model, i, &info);
    inputs[i] = buffer(&info);
    if (!transfer(folder, job, "in", i, inputs[i], info.size_bytes))
      return "input cannot be read";
  }
  for (int32_t i = 0; i < output_count; i++) {
    bw_output_info(model, i, &info);
    outputs[i] = buffer(&info);
  }
  if (bw_run(model, (const void *const *)inputs, outputs) != BW_OK)
    return bw_last_error(model);
  for (int32_t i = 0; i < output_count; i++) {
    bw_output_info(model, i, &info);
    if (!transfer(folder, job, "out", i, outputs[i], info.size_bytes))
      return "output cannot be written";
    free(outputs[i]);
  }
  for (int32_t i = 0; i < input_count; i++)
    free(inputs[i]);
  return NULL;
}

static const char *start_and_run(const char *folder, const job *job) {
  char weights[4096];
  snprintf(weights, sizeof weights, "%s/%zu/compiled/weights.bin", folder, job->number);
  const bw_options options = {
      .struct_size = sizeof options, .threads = 1, .weights_path = weights};
  bw_model *model = NULL;
  const char *problem = NULL;
  if (bw_create(&options, &model) != BW_OK) {
    problem = bw_last_error(model);
  } else {
#ifdef GUARDED
    guard_kernels(model, job->name);
#endif
    problem = run(model, folder, job);
  }
  static char said[1024];
  if (problem != NULL)
    snprintf(said, sizeof said, "%s", problem);
  bw_destroy(model);
  return problem == NULL ? NULL : said;
}

static void limit_time(const char *seconds) {
  const struct itimerval limit = {.it_value = {.tv_sec = strtol(seconds, NULL, 10)}};
  setitimer(ITIMER_PROF, &limit, NULL);
}

int main(int argc, char **argv) {
  job job;
  if (argc != 3)
    return 2;
  while (scanf("%zu %63s", &job.number, job.set) == 2) {
    if (job.number >= bw_batch_size || bw_batch[job.number] == NULL)
      return 2;
    bw_chosen_plan = bw_batch[job.number];
    snprintf(job.name, sizeof job.name, "%zu %s", job.number, job.set);
    printf("%s started\n", job.name);
    fflush(stdout);
    limit_time(argv[2]);
    const char *problem = start_and_run(argv[1], &job);
    if (problem == NULL)
      printf("%s ok\n", job.name);
    else
      printf("%s failed %s\n", job.name, problem);
    fflush(stdout);
  }
  return 0;
}
