/* The symbols that TVM's kernels look for.
 *
 * An object of kernels defines each hook it uses as a weak pointer that is NULL; the strong
 * definitions here replace those at link time, so there is nothing to fill in at run time. They are
 * hidden, so that two model libraries in one process never share them. Names and signatures:
 * tvm/runtime/c_backend_api.h and tvm/ffi/c_api.h.
 */
#include "instance.h"

void bw_hooks_enter_worker(void *owner, int32_t index) {
  bw_model *model = owner;
  /* Should this fail, the thread's hooks find no instance and its kernels report failure. */
  bw_thread_enter(&model->threads[index]);
}

static void *alloc_workspace(int device_type, int device_id, uint64_t bytes, int dtype_code_hint,
                             int dtype_bits_hint) {
  (void)device_type, (void)device_id, (void)dtype_code_hint, (void)dtype_bits_hint;
  bw_thread *thread = bw_thread_current();
  return thread != NULL ? bw_workspace_take(&thread->workspace, bytes) : NULL;
}

static int free_workspace(int device_type, int device_id, void *memory) {
  (void)device_type, (void)device_id;
  bw_workspace_give(memory);
  return 0;
}

static int parallel_launch(bw_task task, void *argument, int count) {
  bw_thread *thread = bw_thread_current();
  if (thread == NULL || thread->in_task)
    return bw_run_serially(task, argument, count);
  thread->in_task = true;
  const int failed = bw_pool_launch(&thread->model->pool, task, argument, count);
  thread->in_task = false;
  return failed;
}

/* Several threads may fail at once: the first one's message is kept. */
BW_HIDDEN void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts,
                                                 int32_t count) {
  bw_thread *thread = bw_thread_current();
  if (thread == NULL || atomic_exchange(&thread->model->kernel_spoke, true))
    return;
  bw_message_set(&thread->model->kernel_error, "%s: ", kind != NULL ? kind : "Error");
  for (int32_t i = 0; i < count; i++) {
    if (parts[i] != NULL)
      bw_message_add(&thread->model->kernel_error, parts[i]);
  }
}

BW_HIDDEN extern void *(*const __TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);
BW_HIDDEN extern int (*const __TVMBackendFreeWorkspace)(int, int, void *);
BW_HIDDEN extern int (*const __TVMBackendParallelLaunch)(bw_task, void *, int);
BW_HIDDEN extern void (*const __TVMFFIErrorSetRaisedFromCStrParts)(const char *, const char **,
                                                                   int32_t);

void *(*const __TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = alloc_workspace;
int (*const __TVMBackendFreeWorkspace)(int, int, void *) = free_workspace;
int (*const __TVMBackendParallelLaunch)(bw_task, void *, int) = parallel_launch;
void (*const __TVMFFIErrorSetRaisedFromCStrParts)(const char *, const char **,
                                                  int32_t) = TVMFFIErrorSetRaisedFromCStrParts;
