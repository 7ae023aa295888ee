/* Runs many plans of one program through the C interface of the model library.
 *
 *   driver FOLDER FIRST LAST
 *
 * For each number N from FIRST to LAST that has a plan: reads FOLDER/N/in*.bin, runs once, writes
 * FOLDER/N/out*.bin and prints "N ok" or "N failed REASON". Output is flushed line by line, so that
 * after a crash it is known which plan was running ("N started" stands last).
 */
#include "model.h"
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>

extern const bw_plan *const bw_batch[];
extern const size_t bw_batch_size;
const bw_plan *bw_chosen_plan; /* what the runtime was compiled to take for its own */

static uint64_t aligned(uint64_t size) { return (size + 64) / 64 * 64; }

static void *buffer(const bw_tensor_info *info) {
  return aligned_alloc(64, aligned(info->size_bytes));
}

static int transfer(const char *folder, size_t number, const char *kind, int32_t index, void *bytes,
                    size_t size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%zu/%s%d.bin", folder, number, kind, (int)index);
  const int reading = kind[0] == 'i';
  FILE *file = fopen(path, reading ? "rb" : "wb");
  if (file == NULL)
    return 0;
  const size_t done = reading ? fread(bytes, 1, size, file) : fwrite(bytes, 1, size, file);
  return fclose(file) == 0 && done == size;
}

static const char *run(bw_model *model, const char *folder, size_t number) {
  const int32_t input_count = bw_input_count(model), output_count = bw_output_count(model);
  void *inputs[256], *outputs[256];
  bw_tensor_info info;
  if (input_count > 256 || output_count > 256)
    return "too many tensors for this driver";
  for (int32_t i = 0; i < input_count; i++) {
    bw_input_info(model, i, &info);
    inputs[i] = buffer(&info);
    if (!transfer(folder, number, "in", i, inputs[i], info.size_bytes))
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
    if (!transfer(folder, number, "out", i, outputs[i], info.size_bytes))
      return "output cannot be written";
    free(outputs[i]);
  }
  for (int32_t i = 0; i < input_count; i++)
    free(inputs[i]);
  return NULL;
}

static const char *start_and_run(const char *folder, size_t number) {
  char weights[4096];
  snprintf(weights, sizeof weights, "%s/%zu/compiled/weights.bin", folder, number);
  const bw_options options = {
      .struct_size = sizeof options, .threads = 1, .weights_path = weights};
  bw_model *model = NULL;
  const char *problem = NULL;
  if (bw_create(&options, &model) != BW_OK)
    problem = bw_last_error(model);
  else
    problem = run(model, folder, number);
  static char said[1024];
  if (problem != NULL)
    snprintf(said, sizeof said, "%s", problem);
  bw_destroy(model);
  return problem == NULL ? NULL : said;
}

int main(int argc, char **argv) {
  if (argc != 4)
    return 2;
  const size_t first = strtoul(argv[2], NULL, 10), last = strtoul(argv[3], NULL, 10);
  for (size_t number = first; number <= last && number < bw_batch_size; number++) {
    if (bw_batch[number] == NULL)
      continue;
    bw_chosen_plan = bw_batch[number];
    printf("%zu started\n", number);
    fflush(stdout);
    const char *problem = start_and_run(argv[1], number);
    if (problem == NULL)
      printf("%zu ok\n", number);
    else
      printf("%zu failed %s\n", number, problem);
    fflush(stdout);
  }
  return 0;
}
