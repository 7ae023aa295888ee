/* The weights: mapped read-only from their file, the caller's, or embedded in the library. */
#include "instance.h"
#include "xxh64.h"

static bw_status check_length(bw_model *model, const char *where, uint64_t bytes) {
  const bw_plan *plan = &bw_model_plan;
  if (bytes == plan->weights_bytes)
    return BW_OK;
  bw_message_set(&model->error, "the weights %s hold %llu bytes where model %s has %llu", where,
                 (unsigned long long)bytes, plan->model, (unsigned long long)plan->weights_bytes);
  return BW_ERROR_WEIGHTS;
}

static bw_status take_weights(bw_model *model, const void *weights, uint64_t bytes) {
  const bw_status status = check_length(model, "in memory", bytes);
  model->weights = weights;
  if (status != BW_OK || (uintptr_t)weights % BW_ALIGNMENT == 0)
    return status;
  model->copied_weights = bw_allocate(bytes);
  if (model->copied_weights == NULL) {
    bw_message_set(&model->error, "no memory for a copy of the weights, %llu bytes",
                   (unsigned long long)bytes);
    return BW_ERROR_MEMORY;
  }
  model->weights = memcpy(model->copied_weights, weights, (size_t)bytes);
  return BW_OK;
}

static bw_status map_weights(bw_model *model, const char *path) {
  const bw_plan *plan = &bw_model_plan;
  if (path == NULL) {
    bw_message_set(&model->error, "model %s needs bw_options.weights_path", plan->model);
    return BW_ERROR_WEIGHTS;
  }
  uint64_t bytes;
  const int error = bw_map_file(path, &model->weights, &bytes);
  if (error != 0) {
    bw_message_set(&model->error, "cannot read the weights %s: %s (errno %d)", path,
                   bw_errno_text(error), error);
    return BW_ERROR_WEIGHTS;
  }
  model->mapped_bytes = bytes;
  return check_length(model, path, bytes);
}

/* From where `options` say; tells in *where which that is. */
static bw_status find_weights(bw_model *model, const bw_options *options, const char **where) {
  if (bw_model_plan.embedded_weights != NULL) {
    *where = "the embedded weights";
    model->weights = bw_model_plan.embedded_weights;
    return BW_OK;
  }
  if (options->weights != NULL) {
    *where = "the weights in memory";
    return take_weights(model, options->weights, options->weights_bytes);
  }
  *where = options->weights_path;
  return map_weights(model, options->weights_path);
}

bw_status bw_weights_open(bw_model *model, const bw_options *options) {
  const bw_plan *plan = &bw_model_plan;
  const char *where;
  if (plan->weights_bytes == 0)
    return BW_OK;
  const bw_status status = find_weights(model, options, &where);
  if (status != BW_OK)
    return status;
  if (options->skip_checksum ||
      bw_xxh64(model->weights, plan->weights_bytes) == plan->weights_xxh64)
    return BW_OK;
  bw_message_set(&model->error, "%s: the checksum is not that of model %s", where, plan->model);
  return BW_ERROR_WEIGHTS;
}

void bw_weights_close(bw_model *model) {
  if (model->mapped_bytes != 0)
    bw_unmap(model->weights, model->mapped_bytes);
  free(model->copied_weights);
}
