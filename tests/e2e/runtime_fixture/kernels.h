/* Kernels as TVM's LLVM backend would emit them, written by hand. */
#ifndef FIXTURE_KERNELS_H
#define FIXTURE_KERNELS_H

#include "plan.h"

enum { ROWS = 4, COLUMNS = 256, FILLED = 5 };

/* guard(x): fails where x[0] is beyond 1e30. */
int __tvm_ffi_guard(void *self, const bw_any *args, int32_t count, bw_any *result);

/* add(x, weights, bias, sum): in parallel by rows; a task fails where its row starts below -1e30.
 */
int __tvm_ffi_add(void *self, const bw_any *args, int32_t count, bw_any *result);

/* twice(sum, doubled): through two workspaces, given back in the order they were taken. */
int __tvm_ffi_twice(void *self, const bw_any *args, int32_t count, bw_any *result);

/* count_tasks(counts): how often inner tasks ran in a region as wide as the pool, then per task. */
int __tvm_ffi_count_tasks(void *self, const bw_any *args, int32_t count, bw_any *result);

/* fill(out): writes 0, 1, 2, ... */
int __tvm_ffi_fill(void *self, const bw_any *args, int32_t count, bw_any *result);

/* leak(x): takes a workspace and fails without giving it back where x[1] is beyond 1e30. */
int __tvm_ffi_leak(void *self, const bw_any *args, int32_t count, bw_any *result);

#endif
