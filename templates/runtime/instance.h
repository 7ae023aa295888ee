/* One instance of the model, as the library's own files see it. */
#ifndef BOARDWRIGHT_INSTANCE_H
#define BOARDWRIGHT_INSTANCE_H

#include "message.h"
#include "plan.h"
#include "pool.h"
#include "thread.h"

/* The caller's buffer for one input or output, and what stands in for it when it is not aligned. */
typedef struct bw_binding {
  uint8_t *buffer; /* where the kernels read or write in this run */
  uint8_t *staged; /* ours, made when first needed; NULL until then */
} bw_binding;

typedef struct bw_timing {
  uint64_t calls, total_ns;
} bw_timing;

struct bw_model {
  bw_pool pool;
  bw_lock lock; /* held through every run */
  bool ready;   /* bw_create succeeded */
  bool key_held;
  bool profiling;
  int32_t thread_count;
  bw_thread *threads; /* thread_count of them, the caller's first */

  const bw_variant *variant; /* whose kernels run; NULL: the plan's own */

  const uint8_t *weights;
  uint64_t mapped_bytes;   /* of weights; 0 where they are not from a file */
  uint8_t *copied_weights; /* NULL where they are used in place */
  uint8_t *arena;

  void *tables; /* one allocation behind the pointers that follow */
  bw_dl_tensor *tensors;
  bw_any *arguments; /* of all calls, one after the other */
  uint32_t *bound;   /* the views that lie in the caller's buffers */
  uint32_t bound_count;
  bw_binding *inputs, *outputs;
  bw_timing *timings; /* one a call */

  bw_observer observer; /* NULL: nobody watches */
  void *observer_context;

  bw_message error;
  bw_message kernel_error; /* what the first kernel to fail in this run said */
  _Atomic bool kernel_spoke;
};

/* weights.c: find and check the weights. Says why in model->error. */
BW_HIDDEN bw_status bw_weights_open(bw_model *model, const bw_options *options);
BW_HIDDEN void bw_weights_close(bw_model *model);

/* bind.c: the arena and all that kernels are handed. Says why in model->error. */
BW_HIDDEN bw_status bw_bind_create(bw_model *model);
BW_HIDDEN void bw_bind_destroy(bw_model *model);
BW_HIDDEN bw_status bw_bind_buffers(bw_model *model, const void *const *inputs,
                                    void *const *outputs);
BW_HIDDEN void bw_bind_deliver(bw_model *model, void *const *outputs);

/* check.c: say whether integers are what their kernels need; if not, why in model->error. */
BW_HIDDEN bool bw_check_passes(bw_model *model, const bw_check *check);

/* observe.c: show the observer what call `index` has written. */
BW_HIDDEN void bw_observe(const bw_model *model, uint32_t index);

/* hooks.c: what kernels call without a context works for the instance of the calling thread. */
BW_HIDDEN void bw_hooks_enter_worker(void *model, int32_t index);

#endif
