/* A fixed team of threads that runs one parallel region at a time: the caller and its workers. */
#ifndef BOARDWRIGHT_POOL_H
#define BOARDWRIGHT_POOL_H

#include "platform.h"

/* TVMParallelGroupEnv of tvm/runtime/c_backend_api.h. */
typedef struct bw_parallel_env {
  void *sync_handle; /* for barriers inside a region, which no kernel of ours has */
  int32_t num_task;
} bw_parallel_env;

/* One task of a region (FTVMParallelLambda); non-zero is failure. */
typedef int (*bw_task)(int index, bw_parallel_env *env, void *argument);

typedef struct bw_worker {
  unsigned long thread;
  struct bw_pool *pool;
  int32_t index; /* from 1; the caller is 0 */
} bw_worker;

typedef struct bw_pool {
  /* The region's number in the high half, its tasks not yet claimed in the low half: one compare
   * and swap claims a task and proves that it is still this region's. */
  _Alignas(BW_ALIGNMENT) _Atomic uint64_t ticket;
  _Atomic(bw_task) task;
  _Atomic(void *) argument;
  _Atomic int32_t task_count;
  _Atomic bool failed;

  _Alignas(BW_ALIGNMENT) _Atomic uint32_t pending; /* tasks not yet finished; the caller's futex */
  _Atomic bool caller_sleeps;

  _Alignas(BW_ALIGNMENT) _Atomic uint32_t epoch; /* counts regions; the workers' futex */
  _Atomic uint32_t sleepers;
  _Atomic bool stopping;
  _Atomic bool in_run; /* more regions will follow soon: nobody goes to sleep */

  _Alignas(BW_ALIGNMENT) int32_t threads; /* the caller included */
  int32_t started;                        /* workers that run */
  int32_t process;                        /* in which they do: a forked child has none of them */
  int32_t tasks;                          /* of a region that may be cut at will */
  uint64_t spin_ns;                       /* longest busy wait; 0 where cores are shared */
  int32_t refused_core;                   /* after BW_POOL_NO_CORE */
  bw_worker *workers;
  void (*enter)(void *owner, int32_t index); /* called first on each worker's thread */
  void *owner;
} bw_pool;

typedef enum bw_pool_error {
  BW_POOL_OK,
  BW_POOL_NO_MEMORY,
  BW_POOL_NO_THREAD, /* pool->started workers could be had; all are gone again */
  BW_POOL_NO_CORE    /* this process may not use pool->refused_core */
} bw_pool_error;

/* Start threads - 1 workers. `pool` is all zeros but for `enter` and `owner`. `cores` is NULL, or
 * names one core a thread: the calling thread is pinned to the first. On failure no worker is left
 * and the calling thread has its old cores. */
BW_HIDDEN bw_pool_error bw_pool_start(bw_pool *pool, int32_t threads, const int32_t *cores);
BW_HIDDEN void bw_pool_stop(bw_pool *pool);

/* Tell whether the workers are of another process: this one was forked from it. */
BW_HIDDEN bool bw_pool_is_forked(const bw_pool *pool);

/* Say that regions follow each other from here on, so that workers stay awake, until the end. */
BW_HIDDEN void bw_pool_begin_run(bw_pool *pool);
BW_HIDDEN void bw_pool_end_run(bw_pool *pool);

/* Run task 0 to count - 1 (0: as many as suit the threads) and wait for all. Return non-zero if any failed.
 * Calls on one pool must not overlap. */
BW_HIDDEN int bw_pool_launch(bw_pool *pool, bw_task task, void *argument, int32_t count);

/* The same on the calling thread alone. */
BW_HIDDEN int bw_run_serially(bw_task task, void *argument, int32_t count);

#endif
