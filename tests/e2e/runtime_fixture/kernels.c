/* Kernels as TVM's LLVM backend would emit them, with the hooks declared the way it declares them.
 */
#include "kernels.h"
#include "pool.h"

#include <stdatomic.h>

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count);

__attribute__((weak)) void *(*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int) = NULL;
__attribute__((weak)) int (*__TVMBackendFreeWorkspace)(int, int, void *) = NULL;
__attribute__((weak)) int (*__TVMBackendParallelLaunch)(bw_task, void *, int) = NULL;

enum { CPU = 1, FLOAT = 2, FLOAT_BITS = 32 };

static bw_dl_tensor *tensor(const bw_any *args, int32_t index) { return args[index].value.pointer; }

static float *floats(const bw_any *args, int32_t index) { return tensor(args, index)->data; }

static int raise_error(const char *message) {
  const char *parts[] = {"in the fixture: ", NULL, message};
  TVMFFIErrorSetRaisedFromCStrParts("ValueError", parts, 3);
  return -1;
}

int __tvm_ffi_guard(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result;
  const bw_dl_tensor *x = tensor(args, 0);
  if (count != 1 || args[0].type_index != 7 || x->ndim != 2 || x->device.type != CPU)
    return raise_error("guard was called wrongly");
  if (x->shape[0] != ROWS || x->shape[1] != COLUMNS || x->strides != NULL || x->byte_offset != 0)
    return raise_error("guard was handed a wrong shape");
  if (x->dtype.code != FLOAT || x->dtype.bits != FLOAT_BITS || x->dtype.lanes != 1)
    return raise_error("guard was handed a wrong type");
  return *(float *)x->data > 1e30f ? raise_error("x[0] is too large") : 0;
}

static int add_row(int row, bw_parallel_env *env, void *argument) {
  const bw_any *args = argument;
  const int offset = row * COLUMNS;
  const float *x = floats(args, 0) + offset, *weights = floats(args, 1) + offset;
  float *sum = floats(args, 3) + offset;
  if (env->num_task != ROWS || x[0] < -1e30f)
    return raise_error("a row starts too low");
  for (int i = 0; i < COLUMNS; i++)
    sum[i] = x[i] + weights[i] + *floats(args, 2);
  return 0;
}

int __tvm_ffi_add(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result, (void)count;
  return __TVMBackendParallelLaunch(add_row, (void *)(intptr_t)args, ROWS);
}

int __tvm_ffi_twice(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result, (void)count;
  const uint64_t bytes = ROWS * COLUMNS * sizeof(float);
  float *first = __TVMBackendAllocWorkspace(1, 0, bytes, FLOAT, FLOAT_BITS);
  float *second = __TVMBackendAllocWorkspace(1, 0, bytes / 2, FLOAT, FLOAT_BITS);
  if (first == NULL || second == NULL || first == second)
    return raise_error("no workspace");
  if ((uintptr_t)first % BW_ALIGNMENT != 0 || (uintptr_t)second % BW_ALIGNMENT != 0)
    return raise_error("a workspace is not aligned");
  second[0] = 2;
  for (int i = 0; i < ROWS * COLUMNS; i++)
    first[i] = floats(args, 0)[i] * second[0];
  for (int i = 0; i < ROWS * COLUMNS; i++)
    floats(args, 1)[i] = first[i];
  return __TVMBackendFreeWorkspace(1, 0, first) | __TVMBackendFreeWorkspace(1, 0, second);
}

typedef struct tally {
  _Atomic int32_t inner, outer;
  int32_t workspaces;
} tally;

static int count_inner(int index, bw_parallel_env *env, void *argument) {
  tally *t = argument;
  (void)index;
  atomic_fetch_add(&t->inner, 1);
  return env->num_task == 3 ? 0 : -1;
}

/* Each task also holds a workspace of its own while it launches a nested region. */
static int count_outer(int index, bw_parallel_env *env, void *argument) {
  tally *t = argument;
  (void)index, (void)env;
  int32_t *mine = __TVMBackendAllocWorkspace(1, 0, 4096, 0, 32);
  if (mine == NULL)
    return raise_error("no workspace in a task");
  *mine = atomic_fetch_add(&t->outer, 1);
  const int failed = __TVMBackendParallelLaunch(count_inner, t, 3);
  return __TVMBackendFreeWorkspace(1, 0, mine) | failed;
}

int __tvm_ffi_count_tasks(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result, (void)count;
  tally t = {0};
  const int failed = __TVMBackendParallelLaunch(count_outer, &t, 0);
  int32_t *counts = tensor(args, 0)->data;
  counts[0] = atomic_load(&t.outer);
  counts[1] = atomic_load(&t.inner);
  return failed;
}

int __tvm_ffi_fill(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result, (void)count;
  for (int i = 0; i < FILLED; i++)
    floats(args, 0)[i] = (float)i;
  return 0;
}

int __tvm_ffi_leak(void *self, const bw_any *args, int32_t count, bw_any *result) {
  (void)self, (void)result, (void)count;
  void *workspace = __TVMBackendAllocWorkspace(1, 0, 100, FLOAT, FLOAT_BITS);
  if (floats(args, 0)[1] > 1e30f)
    return -1;
  return __TVMBackendFreeWorkspace(1, 0, workspace);
}
