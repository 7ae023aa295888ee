/* The functions of model.h: making an instance, running it, asking it things. */
#include "cpu.h"
#include "instance.h"

enum { THREAD_LIMIT = 1024, DEFAULT_THREADS = 0 };

/* --- Making an instance ------------------------------------------------------------------------
 */

static bw_status fail(bw_model *model, bw_status status, const char *why) {
  bw_message_set(&model->error, "%s", why);
  return status;
}

/* Fields that an older caller does not know are zero. */
static bw_options read_options(const bw_options *given) {
  bw_options options = {0};
  if (given != NULL)
    memcpy(&options, given,
           given->struct_size < sizeof options ? given->struct_size : sizeof options);
  return options;
}

static bw_status check_options(bw_model *model, const bw_options *given,
                               const bw_options *options) {
  if (given != NULL && given->struct_size < offsetof(bw_options, weights_path))
    return fail(model, BW_ERROR_ARGUMENT, "bw_options.struct_size is not sizeof(bw_options)");
  if (options->threads < 0 || options->threads > THREAD_LIMIT) {
    bw_message_set(&model->error, "bw_options.threads is %d; it must be 0 to %d", options->threads,
                   THREAD_LIMIT);
    return BW_ERROR_ARGUMENT;
  }
  if (options->cores != NULL && options->threads == DEFAULT_THREADS)
    return fail(model, BW_ERROR_ARGUMENT, "bw_options.cores needs bw_options.threads");
  return BW_OK;
}

static const char *missing_feature(const char *const *features, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (!bw_cpu_has(features[i]))
      return features[i];
  }
  return NULL;
}

static bw_status refuse_cpu(bw_model *model, const char *feature, const char *kernels) {
  bw_message_set(&model->error, "this CPU lacks %s, which the %s kernels of target %s need",
                 feature, kernels, bw_model_plan.target);
  return BW_ERROR_CPU;
}

/* The kernels that were asked for by name. */
static bw_status take_variant(bw_model *model, const char *name) {
  for (uint32_t i = 0; i < bw_model_plan.variant_count; i++) {
    const bw_variant *variant = &bw_model_plan.variants[i];
    if (strcmp(variant->name, name) != 0)
      continue;
    const char *missing = missing_feature(variant->features, variant->feature_count);
    if (missing != NULL)
      return refuse_cpu(model, missing, name);
    model->variant = variant;
    return BW_OK;
  }
  if (strcmp(bw_model_plan.cpu, name) == 0)
    return BW_OK;
  bw_message_set(&model->error, "this library has no kernels for %s", name);
  return BW_ERROR_ARGUMENT;
}

static bw_status choose_kernels(bw_model *model, const char *wanted) {
  const char *missing =
      missing_feature(bw_model_plan.cpu_features, bw_model_plan.cpu_feature_count);
  if (missing != NULL)
    return refuse_cpu(model, missing, bw_model_plan.cpu);
  if (wanted != NULL)
    return take_variant(model, wanted);
  for (uint32_t i = 0; i < bw_model_plan.variant_count; i++) {
    const bw_variant *variant = &bw_model_plan.variants[i];
    if (missing_feature(variant->features, variant->feature_count) == NULL)
      model->variant = variant;
  }
  return BW_OK;
}

static int32_t usable_cores(void) {
  bw_cores cores;
  const int32_t count = bw_cores_of_thread(&cores) ? bw_cores_count(&cores) : 1;
  return count < THREAD_LIMIT ? count : THREAD_LIMIT;
}

static bw_status make_threads(bw_model *model, int32_t count) {
  model->threads = bw_allocate_zeroed((uint64_t)count * sizeof *model->threads);
  if (model->threads == NULL)
    return fail(model, BW_ERROR_MEMORY, "no memory for the threads' state");
  model->thread_count = count;
  for (int32_t i = 0; i < count; i++)
    model->threads[i] = (bw_thread){.model = model, .in_task = i != 0};
  model->key_held = bw_thread_key_hold();
  if (!model->key_held)
    return fail(model, BW_ERROR_THREAD, "the process has no pthread key left");
  return BW_OK;
}

static bw_status start_pool(bw_model *model, const bw_options *options) {
  model->pool.enter = bw_hooks_enter_worker;
  model->pool.owner = model;
  switch (bw_pool_start(&model->pool, model->thread_count, options->cores)) {
  case BW_POOL_OK:
    return BW_OK;
  case BW_POOL_NO_MEMORY:
    return fail(model, BW_ERROR_MEMORY, "no memory for the thread pool");
  case BW_POOL_NO_THREAD:
    bw_message_set(&model->error, "only %d of %d worker threads could be started",
                   model->pool.started, model->thread_count - 1);
    return BW_ERROR_THREAD;
  case BW_POOL_NO_CORE:
    bw_message_set(&model->error, "core %d cannot be used by this process",
                   model->pool.refused_core);
    return BW_ERROR_ARGUMENT;
  }
  return BW_ERROR_THREAD;
}

static bw_status set_up(bw_model *model, const bw_options *given) {
  const bw_options options = read_options(given);
  bw_status status = check_options(model, given, &options);
  if (status == BW_OK)
    status = choose_kernels(model, options.cpu);
  if (status == BW_OK)
    status = bw_weights_open(model, &options);
  if (status == BW_OK)
    status = bw_bind_create(model);
  if (status == BW_OK)
    status = make_threads(model, options.threads ? options.threads : usable_cores());
  if (status == BW_OK)
    status = start_pool(model, &options);
  return status;
}

bw_status bw_create(const bw_options *options, bw_model **model) {
  if (model == NULL)
    return BW_ERROR_ARGUMENT;
  *model = bw_allocate_zeroed(sizeof **model);
  if (*model == NULL)
    return BW_ERROR_MEMORY;
  const bw_status status = set_up(*model, options);
  (*model)->ready = status == BW_OK;
  return status;
}

void bw_destroy(bw_model *model) {
  if (model == NULL)
    return;
  bw_pool_stop(&model->pool);
  for (int32_t i = 0; i < model->thread_count; i++)
    bw_workspace_release(&model->threads[i].workspace);
  if (model->key_held)
    bw_thread_key_drop();
  free(model->threads);
  bw_bind_destroy(model);
  bw_weights_close(model);
  free(model);
}

/* --- Running -----------------------------------------------------------------------------------
 */

/* "kernel NAME of node A, B failed: what it said", and its scratch memory taken back. */
static bw_status report_kernel(bw_model *model, const bw_call *call) {
  bw_message_set(&model->error, "kernel %s of ", call->name);
  for (const char *node = call->nodes; *node != '\0'; node++)
    bw_message_add(&model->error, *node == '\n' ? ", " : (const char[]){*node, '\0'});
  bw_message_add(&model->error, " failed: ");
  bw_message_add(&model->error, atomic_load(&model->kernel_spoke) ? model->kernel_error.text
                                                                  : "it did not say why");
  for (int32_t i = 0; i < model->thread_count; i++)
    bw_workspace_reclaim(&model->threads[i].workspace);
  return BW_ERROR_KERNEL;
}

static int call_kernel(const bw_model *model, uint32_t index, const bw_any *arguments) {
  const bw_call *call = &bw_model_plan.calls[index];
  const bw_kernel kernel = model->variant != NULL ? model->variant->kernels[index] : call->kernel;
  bw_any result = {0};
  return kernel(NULL, arguments, (int32_t)call->view_count, &result);
}

static int time_kernel(const bw_model *model, uint32_t index, const bw_any *arguments) {
  bw_timing *timing = &model->timings[index];
  const uint64_t start = bw_clock_ns();
  const int failed = call_kernel(model, index, arguments);
  timing->total_ns += bw_clock_ns() - start;
  timing->calls++;
  return failed;
}

static bw_status run_calls(bw_model *model) {
  const bw_any *arguments = model->arguments;
  const bw_check *check = bw_model_plan.checks, *checks_end = check + bw_model_plan.check_count;
  for (uint32_t i = 0; i < bw_model_plan.call_count; i++) {
    for (; check < checks_end && check->before <= i; check++)
      if (!bw_check_passes(model, check))
        return BW_ERROR_VALUE;
    const bw_call *call = &bw_model_plan.calls[i];
    const int failed =
        model->profiling ? time_kernel(model, i, arguments) : call_kernel(model, i, arguments);
    if (failed != 0)
      return report_kernel(model, call);
    if (model->observer != NULL)
      bw_observe(model, i);
    arguments += call->view_count;
  }
  return BW_OK;
}

static bw_status run_locked(bw_model *model, const void *const *inputs, void *const *outputs) {
  bw_status status = bw_bind_buffers(model, inputs, outputs);
  if (status != BW_OK)
    return status;
  bw_thread *outer = bw_thread_current(); /* set when a kernel of another instance runs this one */
  if (!bw_thread_enter(&model->threads[0]))
    return fail(model, BW_ERROR_MEMORY, "no memory for this thread's state");
  atomic_store(&model->kernel_spoke, false);
  bw_pool_begin_run(&model->pool);
  status = run_calls(model);
  bw_pool_end_run(&model->pool);
  bw_thread_enter(outer);
  if (status == BW_OK)
    bw_bind_deliver(model, outputs);
  return status;
}

bw_status bw_run(bw_model *model, const void *const *inputs, void *const *outputs) {
  if (model == NULL || !model->ready)
    return BW_ERROR_ARGUMENT; /* last_error still tells why bw_create failed */
  if (bw_pool_is_forked(&model->pool))
    return fail(model, BW_ERROR_THREAD,
                "the instance was made before this process was forked; make a new one");
  bw_lock_acquire(&model->lock);
  const bw_status status = run_locked(model, inputs, outputs);
  bw_lock_release(&model->lock);
  return status;
}

/* --- Asking ------------------------------------------------------------------------------------
 */

const char *bw_last_error(const bw_model *model) {
  return model != NULL ? model->error.text : "there is no instance: memory ran out, or it is NULL";
}

int32_t bw_abi_version(void) { return BW_ABI_VERSION; }

int32_t bw_input_count(const bw_model *model) {
  (void)model;
  return bw_model_plan.input_count;
}

int32_t bw_output_count(const bw_model *model) {
  (void)model;
  return bw_model_plan.output_count;
}

static bw_status tensor_info(const bw_tensor_info *infos, int32_t count, int32_t index,
                             bw_tensor_info *info) {
  if (index < 0 || index >= count || info == NULL)
    return BW_ERROR_ARGUMENT;
  *info = infos[index];
  return BW_OK;
}

bw_status bw_input_info(const bw_model *model, int32_t index, bw_tensor_info *info) {
  (void)model;
  return tensor_info(bw_model_plan.inputs, bw_model_plan.input_count, index, info);
}

bw_status bw_output_info(const bw_model *model, int32_t index, bw_tensor_info *info) {
  (void)model;
  return tensor_info(bw_model_plan.outputs, bw_model_plan.output_count, index, info);
}

bw_status bw_set_profiling(bw_model *model, int32_t enabled) {
  if (model == NULL || !model->ready)
    return BW_ERROR_ARGUMENT;
  bw_lock_acquire(&model->lock);
  model->profiling = enabled != 0;
  if (enabled != 0)
    memset(model->timings, 0, bw_model_plan.call_count * sizeof *model->timings);
  bw_lock_release(&model->lock);
  return BW_OK;
}

int32_t bw_kernel_count(const bw_model *model) {
  (void)model;
  return (int32_t)bw_model_plan.call_count;
}

bw_status bw_kernel_get(const bw_model *model, int32_t index, bw_kernel_info *info) {
  if (model == NULL || !model->ready || info == NULL || index < 0 ||
      (uint32_t)index >= bw_model_plan.call_count)
    return BW_ERROR_ARGUMENT;
  bw_lock *lock = (bw_lock *)(intptr_t)&model->lock; /* asking waits for a run to end */
  bw_lock_acquire(lock);
  const bw_timing timing = model->timings[index];
  bw_lock_release(lock);
  *info = (bw_kernel_info){.name = bw_model_plan.calls[index].name,
                           .nodes = bw_model_plan.calls[index].nodes,
                           .calls = timing.calls,
                           .total_ns = timing.total_ns};
  return BW_OK;
}

bw_status bw_set_observer(bw_model *model, bw_observer observer, void *context) {
  if (model == NULL || !model->ready)
    return BW_ERROR_ARGUMENT;
  bw_lock_acquire(&model->lock);
  model->observer = observer;
  model->observer_context = context;
  bw_lock_release(&model->lock);
  return BW_OK;
}

int32_t bw_thread_count(const bw_model *model) { return model != NULL ? model->thread_count : 0; }

uint64_t bw_arena_bytes(const bw_model *model) {
  (void)model;
  return bw_model_plan.arena_bytes;
}

uint64_t bw_weights_bytes(const bw_model *model) {
  (void)model;
  return bw_model_plan.weights_bytes;
}

const char *bw_model_name(void) { return bw_model_plan.model; }

const char *bw_target_name(void) { return bw_model_plan.target; }

const char *bw_cpu_name(const bw_model *model) {
  return model != NULL && model->variant != NULL ? model->variant->name : bw_model_plan.cpu;
}
