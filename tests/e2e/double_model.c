/* A model library written by hand, for tests of what lies around one: y = 2 x + 1, and two echoes.
 *
 * The tensors "x" and "y" are float32[2,3]; "n/0" and "m" are int64 scalars; "b" and "c" are
 * bfloat16[2]. A run fails where x starts with a NaN, and where two runs of one instance overlap. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

enum { TENSORS = 3, ELEMENTS = 6 };

struct bw_model {
  char error[200];
  int32_t threads;
  int32_t profiling;
  uint64_t calls;
  atomic_int busy;
};

static const int64_t matrix[] = {2, 3}, pair[] = {2};
static const bw_tensor_info inputs_info[TENSORS] = {
    {"x", "x", BW_FLOAT32, 2, matrix, 24},
    {"n/0", "n%2F0", BW_INT64, 0, NULL, 8},
    {"b", "b", BW_BFLOAT16, 1, pair, 4},
};
static const bw_tensor_info outputs_info[TENSORS] = {
    {"y", "y", BW_FLOAT32, 2, matrix, 24},
    {"m", "m", BW_INT64, 0, NULL, 8},
    {"c", "c", BW_BFLOAT16, 1, pair, 4},
};

static bw_status refuse(bw_model *model, bw_status status, const char *why) {
  snprintf(model->error, sizeof model->error, "%s", why);
  return status;
}

static int weights_are_right(const char *path) {
  FILE *file = path != NULL ? fopen(path, "rb") : NULL;
  int first = file != NULL ? fgetc(file) : EOF;
  if (file != NULL) fclose(file);
  return first == 'W';
}

bw_status bw_create(const bw_options *options, bw_model **model) {
  *model = calloc(1, sizeof **model);
  if (*model == NULL) return BW_ERROR_MEMORY;
  if (options->struct_size != sizeof *options)
    return refuse(*model, BW_ERROR_ARGUMENT, "another size of options");
  if (options->threads < 0)
    return refuse(*model, BW_ERROR_ARGUMENT, "a negative number of threads");
  if (!options->skip_checksum && !weights_are_right(options->weights_path))
    return refuse(*model, BW_ERROR_WEIGHTS, "not the weights of this library");
  (*model)->threads = options->threads > 0 ? options->threads : 1;
  for (int32_t i = 0; options->cores != NULL && i < options->threads; i++)
    if (options->cores[i] != i) return refuse(*model, BW_ERROR_THREAD, "no such core");
  return BW_OK;
}

void bw_destroy(bw_model *model) { free(model); }

int32_t bw_abi_version(void) { return DOUBLE_ABI; }
int32_t bw_input_count(const bw_model *model) { return (void)model, TENSORS; }
int32_t bw_output_count(const bw_model *model) { return (void)model, TENSORS; }

bw_status bw_input_info(const bw_model *model, int32_t index, bw_tensor_info *info) {
  (void)model;
  *info = inputs_info[index];
  return BW_OK;
}

bw_status bw_output_info(const bw_model *model, int32_t index, bw_tensor_info *info) {
  (void)model;
  *info = outputs_info[index];
  return BW_OK;
}

bw_status bw_run(bw_model *model, const void *const *inputs, void *const *outputs) {
  const float *x = inputs[0];
  float y[ELEMENTS];
  if (atomic_fetch_add(&model->busy, 1) > 0) return refuse(model, BW_ERROR_KERNEL, "overlap");
  nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
  for (int i = 0; i < ELEMENTS; i++) y[i] = 2 * x[i] + 1;
  memset(outputs[0], 0, sizeof y); /* as a kernel would that accumulates: x must not lie here */
  for (int i = 0; i < ELEMENTS; i++) y[i] += 0 * x[i];
  memcpy(outputs[0], y, sizeof y);
  memcpy(outputs[1], inputs[1], 8);
  memcpy(outputs[2], inputs[2], 4);
  model->calls += model->profiling != 0;
  int is_nan = y[0] != y[0];
  atomic_fetch_sub(&model->busy, 1);
  return is_nan ? refuse(model, BW_ERROR_KERNEL, "x starts with a NaN") : BW_OK;
}

const char *bw_last_error(const bw_model *model) { return model->error; }

bw_status bw_set_profiling(bw_model *model, int32_t enabled) {
  model->profiling = enabled;
  model->calls = 0;
  return BW_OK;
}

bw_status bw_set_observer(bw_model *model, bw_observer observer, void *context) {
  (void)model, (void)observer, (void)context; /* its one kernel does not show what it writes */
  return BW_OK;
}

int32_t bw_kernel_count(const bw_model *model) { return (void)model, 1; }

bw_status bw_kernel_get(const bw_model *model, int32_t index, bw_kernel_info *info) {
  (void)index;
  *info = (bw_kernel_info){"fused_multiply_add", "Mul_0\nAdd_1", model->calls, 7 * model->calls};
  return BW_OK;
}

int32_t bw_thread_count(const bw_model *model) { return model->threads; }
uint64_t bw_arena_bytes(const bw_model *model) { return (void)model, 64; }
uint64_t bw_weights_bytes(const bw_model *model) { return (void)model, 1; }
const char *bw_model_name(void) { return "double"; }
const char *bw_target_name(void) { return "this-machine"; }
const char *bw_cpu_name(const bw_model *model) { return (void)model, "any"; }
