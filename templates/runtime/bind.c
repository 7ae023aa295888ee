/* Tensors and argument lists, laid out once: a run only patches the pointers to the caller's
 * buffers. */
#include "instance.h"

enum { DL_CPU = 1, ANY_DL_TENSOR = 7 /* TVMFFITypeIndex kTVMFFIDLTensorPtr */ };

/* Room for `count` items in the block that starts at `base`, behind what is laid out already;
 * measures only while `base` is NULL. */
static void *carve(uint8_t *base, uint64_t *used, uint64_t count, uint64_t item_bytes) {
  const uint64_t start = *used;
  *used += (count * item_bytes + BW_ALIGNMENT - 1) / BW_ALIGNMENT * BW_ALIGNMENT;
  return base != NULL ? base + (size_t)start : NULL;
}

static uint64_t count_arguments(void) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < bw_model_plan.call_count; i++)
    count += bw_model_plan.calls[i].view_count;
  return count;
}

static uint64_t lay_out(bw_model *model, uint8_t *base) {
  const bw_plan *plan = &bw_model_plan;
  uint64_t used = 0;
  model->tensors = carve(base, &used, plan->view_count, sizeof *model->tensors);
  model->arguments = carve(base, &used, count_arguments(), sizeof *model->arguments);
  model->bound = carve(base, &used, plan->view_count, sizeof *model->bound);
  model->inputs = carve(base, &used, (uint64_t)plan->input_count, sizeof *model->inputs);
  model->outputs = carve(base, &used, (uint64_t)plan->output_count, sizeof *model->outputs);
  model->timings = carve(base, &used, plan->call_count, sizeof *model->timings);
  return used;
}

static void *place_of(const bw_model *model, const bw_view *view) {
  switch ((bw_place)view->place) {
  case BW_ARENA:
    return model->arena + (size_t)view->offset;
  case BW_WEIGHTS: /* the arena stands in where there are no weights, for views of zero size */
    return (uint8_t *)(intptr_t)(model->weights ? model->weights : model->arena) +
           (size_t)view->offset;
  case BW_INPUT:
    return model->inputs[view->index].buffer + (size_t)view->offset;
  case BW_OUTPUT:
    return model->outputs[view->index].buffer + (size_t)view->offset;
  }
  return NULL;
}

static void describe_views(bw_model *model) {
  const bw_plan *plan = &bw_model_plan;
  for (uint32_t i = 0; i < plan->view_count; i++) {
    const bw_view *view = &plan->views[i];
    model->tensors[i] = (bw_dl_tensor){
        .device = {.type = DL_CPU},
        .ndim = view->ndim,
        .dtype = {.code = view->code, .bits = view->bits, .lanes = 1},
        .shape = (int64_t *)(intptr_t)view->shape, /* kernels only read it */
    };
    if (view->place == BW_INPUT || view->place == BW_OUTPUT)
      model->bound[model->bound_count++] = i;
    else
      model->tensors[i].data = place_of(model, view);
  }
}

static void describe_calls(bw_model *model) {
  bw_any *argument = model->arguments;
  for (uint32_t i = 0; i < bw_model_plan.call_count; i++) {
    const bw_call *call = &bw_model_plan.calls[i];
    for (uint32_t j = 0; j < call->view_count; j++) {
      argument->type_index = ANY_DL_TENSOR;
      argument->value.pointer = &model->tensors[call->views[j]];
      argument++;
    }
  }
}

bw_status bw_bind_create(bw_model *model) {
  const uint64_t arena_bytes = bw_model_plan.arena_bytes;
  model->arena = bw_allocate(arena_bytes);
  model->tables = model->arena != NULL ? bw_allocate_zeroed(lay_out(model, NULL)) : NULL;
  if (model->tables == NULL) {
    bw_message_set(&model->error, "no memory for the arena of %llu bytes",
                   (unsigned long long)arena_bytes);
    return BW_ERROR_MEMORY;
  }
  lay_out(model, model->tables);
  describe_views(model);
  describe_calls(model);
  return BW_OK;
}

static void free_staged(bw_binding *bindings, int32_t count) {
  for (int32_t i = 0; i < count; i++)
    free(bindings[i].staged);
}

void bw_bind_destroy(bw_model *model) {
  if (model->tables != NULL) {
    free_staged(model->inputs, bw_model_plan.input_count);
    free_staged(model->outputs, bw_model_plan.output_count);
  }
  free(model->tables);
  free(model->arena);
}

static bool aligned(const void *buffer) { return (uintptr_t)buffer % BW_ALIGNMENT == 0; }

/* Point the binding at the caller's buffer, or at a copy's place when that is not aligned. */
static bw_status bind(bw_model *model, bw_binding *binding, const bw_tensor_info *info,
                      const void *buffer) {
  if (info->size_bytes == 0) {
    binding->buffer = model->arena; /* any aligned address will do */
    return BW_OK;
  }
  if (buffer == NULL) {
    bw_message_set(&model->error, "the buffer of tensor %s is NULL", info->name);
    return BW_ERROR_ARGUMENT;
  }
  binding->buffer = (uint8_t *)(intptr_t)buffer;
  if (aligned(buffer))
    return BW_OK;
  if (binding->staged == NULL)
    binding->staged = bw_allocate(info->size_bytes);
  binding->buffer = binding->staged;
  if (binding->staged != NULL)
    return BW_OK;
  bw_message_set(&model->error, "no memory for an aligned copy of tensor %s", info->name);
  return BW_ERROR_MEMORY;
}

static bw_status bind_inputs(bw_model *model, const void *const *inputs) {
  for (int32_t i = 0; i < bw_model_plan.input_count; i++) {
    const bw_tensor_info *info = &bw_model_plan.inputs[i];
    const bw_status status = bind(model, &model->inputs[i], info, inputs[i]);
    if (status != BW_OK)
      return status;
    if (info->size_bytes != 0 && model->inputs[i].buffer == model->inputs[i].staged)
      memcpy(model->inputs[i].staged, inputs[i], (size_t)info->size_bytes);
  }
  return BW_OK;
}

static bw_status bind_outputs(bw_model *model, void *const *outputs) {
  for (int32_t i = 0; i < bw_model_plan.output_count; i++) {
    const bw_status status = bind(model, &model->outputs[i], &bw_model_plan.outputs[i], outputs[i]);
    if (status != BW_OK)
      return status;
  }
  return BW_OK;
}

static bw_status check_lists(bw_model *model, const void *inputs, const void *outputs) {
  const bool inputs_lack = inputs == NULL && bw_model_plan.input_count != 0;
  const bool outputs_lack = outputs == NULL && bw_model_plan.output_count != 0;
  if (!inputs_lack && !outputs_lack)
    return BW_OK;
  bw_message_set(&model->error, "the list of %s is NULL", inputs_lack ? "inputs" : "outputs");
  return BW_ERROR_ARGUMENT;
}

bw_status bw_bind_buffers(bw_model *model, const void *const *inputs, void *const *outputs) {
  bw_status status = check_lists(model, inputs, outputs);
  if (status == BW_OK)
    status = bind_inputs(model, inputs);
  if (status == BW_OK)
    status = bind_outputs(model, outputs);
  if (status != BW_OK)
    return status;
  for (uint32_t i = 0; i < model->bound_count; i++) {
    const uint32_t view = model->bound[i];
    model->tensors[view].data = place_of(model, &bw_model_plan.views[view]);
  }
  return BW_OK;
}

void bw_bind_deliver(bw_model *model, void *const *outputs) {
  const bw_plan *plan = &bw_model_plan;
  for (uint32_t i = 0; i < plan->copy_count; i++) {
    const bw_copy *copy = &plan->copies[i];
    /* memmove: a caller may hand the same buffer for both */
    memmove(model->outputs[copy->output].buffer, model->tensors[copy->from].data,
            (size_t)plan->outputs[copy->output].size_bytes);
  }
  for (int32_t i = 0; i < plan->output_count; i++) {
    const uint64_t bytes = plan->outputs[i].size_bytes;
    if (bytes != 0 && model->outputs[i].buffer == model->outputs[i].staged)
      memcpy(outputs[i], model->outputs[i].staged, (size_t)bytes);
  }
}
