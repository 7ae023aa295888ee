/* The weights: mapped read-only from their file, or embedded in the library. */
#include "instance.h"
#include "xxh64.h"

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
  if (bytes == plan->weights_bytes)
    return BW_OK;
  bw_message_set(&model->error, "the weights %s hold %llu bytes where model %s has %llu", path,
                 (unsigned long long)bytes, plan->model, (unsigned long long)plan->weights_bytes);
  return BW_ERROR_WEIGHTS;
}

bw_status bw_weights_open(bw_model *model, const bw_options *options) {
  const bw_plan *plan = &bw_model_plan;
  const char *where = "the embedded weights";
  model->weights = plan->embedded_weights;
  if (plan->weights_bytes == 0)
    return BW_OK;
  if (plan->embedded_weights == NULL) {
    const bw_status status = map_weights(model, options->weights_path);
    if (status != BW_OK)
      return status;
    where = options->weights_path;
  }
  if (options->skip_checksum ||
      bw_xxh64(model->weights, plan->weights_bytes) == plan->weights_xxh64)
    return BW_OK;
  bw_message_set(&model->error, "%s: the checksum is not that of model %s", where, plan->model);
  return BW_ERROR_WEIGHTS;
}

void bw_weights_close(bw_model *model) {
  if (model->mapped_bytes != 0)
    bw_unmap(model->weights, model->mapped_bytes);
}
