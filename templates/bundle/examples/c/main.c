/* Run the model once on zeros and print the start of every output.
 *
 *     example [WEIGHTS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { ALIGNMENT = 64, SHOWN = 8 };

typedef bw_status (*info_getter)(const bw_model *, int32_t, bw_tensor_info *);

static void free_buffers(void **buffers, int32_t count) {
  for (int32_t i = 0; buffers != NULL && i < count; i++) free(buffers[i]);
  free(buffers);
}

/* A zeroed buffer, aligned so that the library uses it in place. */
static void *make_buffer(uint64_t size_bytes) {
  size_t size = ((size_t)size_bytes / ALIGNMENT + 1) * ALIGNMENT;
  void *buffer = aligned_alloc(ALIGNMENT, size);
  return buffer != NULL ? memset(buffer, 0, size) : NULL;
}

/* One buffer a tensor, or NULL when there is no memory. */
static void **make_buffers(const bw_model *model, info_getter get_info, int32_t count) {
  void **buffers = calloc((size_t)count + 1, sizeof *buffers);
  for (int32_t i = 0; buffers != NULL && i < count; i++) {
    bw_tensor_info info;
    bw_status status = get_info(model, i, &info);
    buffers[i] = status == BW_OK ? make_buffer(info.size_bytes) : NULL;
    if (buffers[i] == NULL) {
      free_buffers(buffers, i);
      return NULL;
    }
  }
  return buffers;
}

static void print_output(const bw_tensor_info *info, const void *values) {
  uint64_t shown = info->dtype == BW_FLOAT32 ? info->size_bytes / sizeof(float) : 0;
  printf("%s: %" PRIu64 " bytes", info->name, info->size_bytes);
  for (uint64_t i = 0; i < shown && i < SHOWN; i++) printf(" %g", (double)((const float *)values)[i]);
  putchar('\n');
}

static bw_status run_once(bw_model *model) {
  int32_t input_count = bw_input_count(model), output_count = bw_output_count(model);
  void **inputs = make_buffers(model, bw_input_info, input_count);
  void **outputs = make_buffers(model, bw_output_info, output_count);
  bw_status status = BW_ERROR_MEMORY;
  if (inputs != NULL && outputs != NULL) {
    status = bw_run(model, (const void *const *)inputs, outputs);
  }
  for (int32_t i = 0; status == BW_OK && i < output_count; i++) {
    bw_tensor_info info;
    status = bw_output_info(model, i, &info);
    if (status == BW_OK) print_output(&info, outputs[i]);
  }
  free_buffers(inputs, input_count);
  free_buffers(outputs, output_count);
  return status;
}

int main(int argc, char **argv) {
  bw_options options = {
      .struct_size = sizeof options,
      .weights_path = argc > 1 ? argv[1] : DEFAULT_WEIGHTS,
  };
  bw_model *model = NULL;
  bw_status status = bw_create(&options, &model);
  if (status == BW_OK) status = run_once(model);
  if (status != BW_OK) {
    fprintf(stderr, "error %d: %s\n", (int)status, model ? bw_last_error(model) : "out of memory");
  }
  bw_destroy(model);
  return status == BW_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
