/* A fixed team of threads that runs one parallel region at a time.
 *
 * Tasks are claimed one by one, so nobody waits for a worker that is still asleep or was
 * descheduled: the caller takes its tasks instead. A worker that arrives late finds no task left.
 * While a run is in progress both sides spin long enough not to sleep between its regions. After
 * it workers spin a little, longer while that pays, and then sleep until the next run begins.
 */
#include "pool.h"

#include "speeds.h"

/* Where cores differ in speed, so that the fast ones can take tasks off the slow ones. */
enum { TASKS_OF_UNEQUAL_THREADS = 4 };

enum { SPIN_LONGEST_NS = 50000, SPIN_SHORTEST_NS = 2000, SPIN_ROUND = 16 };

/* Within a run: longer than a kernel that stays serial, shorter than anybody would notice. */
enum { SPIN_IN_RUN_NS = 1000000 };

typedef struct claim {
  bw_task task;
  void *argument;
  int32_t count, index;
} claim;

/* Claim a task of the current region. The fields are read before the swap: that it succeeds proves
 * that no other region was announced meanwhile, because one with tasks to claim is never replaced.
 */
static bool claim_task(bw_pool *pool, claim *mine) {
  uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
  while ((uint32_t)ticket != 0) {
    mine->task = atomic_load_explicit(&pool->task, memory_order_relaxed);
    mine->argument = atomic_load_explicit(&pool->argument, memory_order_relaxed);
    mine->count = atomic_load_explicit(&pool->task_count, memory_order_relaxed);
    mine->index = mine->count - (int32_t)(uint32_t)ticket;
    if (atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1,
                                              memory_order_acq_rel, memory_order_acquire))
      return true;
  }
  return false;
}

static void finish_task(bw_pool *pool) {
  if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->caller_sleeps))
    bw_futex_wake(&pool->pending, 1);
}

static void work(bw_pool *pool) {
  claim mine;
  while (claim_task(pool, &mine)) {
    bw_parallel_env env = {.num_task = mine.count};
    if (mine.task(mine.index, &env, mine.argument) != 0)
      atomic_store_explicit(&pool->failed, true, memory_order_relaxed);
    finish_task(pool);
  }
}

static uint64_t patience_ns(const bw_pool *pool, uint64_t spin_ns) {
  return atomic_load_explicit(&pool->in_run, memory_order_relaxed) ? SPIN_IN_RUN_NS : spin_ns;
}

/* Busy-wait until (*word == value) is `wanted`; false when time ran out first: `spin_ns`, or more
 * while a run is in progress, or none where cores are shared. */
static bool spin(const bw_pool *pool, const _Atomic uint32_t *word, uint32_t value, bool wanted,
                 uint64_t spin_ns) {
  if (pool->spin_ns == 0)
    return (atomic_load(word) == value) == wanted;
  const uint64_t start = bw_clock_ns();
  do {
    for (int i = 0; i < SPIN_ROUND; i++) {
      if ((atomic_load_explicit(word, memory_order_acquire) == value) == wanted)
        return true;
      bw_pause();
    }
  } while (bw_clock_ns() - start < patience_ns(pool, spin_ns));
  return false;
}

static uint64_t adapt(uint64_t spin_ns, bool paid) {
  if (spin_ns == 0)
    return 0;
  if (paid)
    return spin_ns * 2 < SPIN_LONGEST_NS ? spin_ns * 2 : SPIN_LONGEST_NS;
  return spin_ns / 2 > SPIN_SHORTEST_NS ? spin_ns / 2 : SPIN_SHORTEST_NS;
}

static void sleep_until_launch(bw_pool *pool, uint32_t seen) {
  atomic_fetch_add(&pool->sleepers, 1);
  while (atomic_load(&pool->epoch) == seen)
    bw_futex_wait(&pool->epoch, seen);
  atomic_fetch_sub(&pool->sleepers, 1);
}

static void *worker_main(void *argument) {
  const bw_worker *worker = argument;
  bw_pool *pool = worker->pool;
  uint64_t spin_ns = pool->spin_ns;
  uint32_t seen = 0;
  pool->enter(pool->owner, worker->index);
  while (!atomic_load(&pool->stopping)) {
    const bool paid = spin(pool, &pool->epoch, seen, false, spin_ns);
    if (!paid)
      sleep_until_launch(pool, seen);
    spin_ns = adapt(spin_ns, paid);
    seen = atomic_load(&pool->epoch);
    work(pool);
  }
  return NULL;
}

static void announce(bw_pool *pool, bw_task task, void *argument, int32_t count) {
  const uint64_t region = (atomic_load_explicit(&pool->ticket, memory_order_relaxed) >> 32) + 1;
  atomic_store_explicit(&pool->task, task, memory_order_relaxed);
  atomic_store_explicit(&pool->argument, argument, memory_order_relaxed);
  atomic_store_explicit(&pool->task_count, count, memory_order_relaxed);
  atomic_store_explicit(&pool->failed, false, memory_order_relaxed);
  atomic_store_explicit(&pool->pending, (uint32_t)count, memory_order_relaxed);
  atomic_store_explicit(&pool->ticket, region << 32 | (uint32_t)count, memory_order_release);
}

static void rouse(bw_pool *pool, uint32_t count) {
  atomic_fetch_add(&pool->epoch, 1);
  const uint32_t sleepers = atomic_load(&pool->sleepers);
  if (sleepers != 0)
    bw_futex_wake(&pool->epoch, sleepers < count ? sleepers : count);
}

static void await_tasks(bw_pool *pool) {
  if (spin(pool, &pool->pending, 0, true, pool->spin_ns))
    return;
  atomic_store(&pool->caller_sleeps, true);
  uint32_t pending;
  while ((pending = atomic_load(&pool->pending)) != 0)
    bw_futex_wait(&pool->pending, pending);
  atomic_store(&pool->caller_sleeps, false);
}

int bw_run_serially(bw_task task, void *argument, int32_t count) {
  bw_parallel_env env = {.num_task = count > 0 ? count : 1};
  int failed = 0;
  for (int32_t i = 0; i < env.num_task; i++)
    failed |= task(i, &env, argument);
  return failed;
}

int bw_pool_launch(bw_pool *pool, bw_task task, void *argument, int32_t count) {
  if (count <= 0)
    count = pool->tasks;
  if (count == 1 || pool->threads == 1)
    return bw_run_serially(task, argument, count);
  announce(pool, task, argument, count);
  rouse(pool, (uint32_t)count - 1);
  work(pool);
  await_tasks(pool);
  return atomic_load_explicit(&pool->failed, memory_order_relaxed);
}

void bw_pool_begin_run(bw_pool *pool) {
  atomic_store_explicit(&pool->in_run, true, memory_order_relaxed);
  if (atomic_load(&pool->sleepers) != 0)
    rouse(pool, UINT32_MAX);
}

void bw_pool_end_run(bw_pool *pool) {
  atomic_store_explicit(&pool->in_run, false, memory_order_relaxed);
}

bool bw_pool_is_forked(const bw_pool *pool) {
  return pool->started != 0 && pool->process != bw_process();
}

static void join_workers(bw_pool *pool) {
  atomic_store(&pool->stopping, true);
  rouse(pool, UINT32_MAX);
  for (int32_t i = 0; i < pool->started; i++)
    pthread_join(pool->workers[i].thread, NULL);
}

void bw_pool_stop(bw_pool *pool) {
  if (pool->workers == NULL)
    return;
  if (!bw_pool_is_forked(pool))
    join_workers(pool);
  free(pool->workers);
  pool->workers = NULL;
}

static bool pin_to(bw_pool *pool, int32_t core) {
  bw_cores one = {{0}};
  pool->refused_core = core;
  if (core < 0 || core >= BW_CORE_LIMIT)
    return false;
  bw_cores_add(&one, core);
  return bw_cores_restrict(&one);
}

/* New threads inherit the cores of the one that starts them: being pinned first both places the
 * worker and shows whether the core may be used. */
static bw_pool_error start_each(bw_pool *pool, const int32_t *cores) {
  for (int32_t i = 1; i < pool->threads; i++) {
    bw_worker *worker = &pool->workers[i - 1];
    *worker = (bw_worker){.pool = pool, .index = i};
    if (cores != NULL && !pin_to(pool, cores[i]))
      return BW_POOL_NO_CORE;
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
      return BW_POOL_NO_THREAD;
    pool->started = i;
  }
  return BW_POOL_OK;
}

/* They inherit the blocked signals, too: a handler of the program never runs on a worker. */
static bw_pool_error start_workers(bw_pool *pool, const int32_t *cores) {
  const uint64_t blocked = bw_signals_block();
  pool->process = bw_process();
  const bw_pool_error error = start_each(pool, cores);
  bw_signals_restore(blocked);
  return error;
}

static bw_cores distinct_cores(int32_t threads, const int32_t *cores) {
  bw_cores all = {{0}};
  for (int32_t i = 0; i < threads; i++) {
    if (cores[i] >= 0 && cores[i] < BW_CORE_LIMIT)
      bw_cores_add(&all, cores[i]);
  }
  return all;
}

bw_pool_error bw_pool_start(bw_pool *pool, int32_t threads, const int32_t *cores) {
  bw_cores before;
  const bool known = bw_cores_of_thread(&before);
  const bw_cores usable = cores ? distinct_cores(threads, cores) : before;
  const bool unequal = threads > 1 && bw_speeds_differ(&usable);
  pool->threads = threads;
  pool->tasks = threads * (unequal ? TASKS_OF_UNEQUAL_THREADS : 1);
  pool->spin_ns = threads <= bw_cores_count(&usable) ? SPIN_LONGEST_NS : 0;
  pool->workers = bw_allocate_zeroed((uint64_t)threads * sizeof(bw_worker));
  if (pool->workers == NULL)
    return BW_POOL_NO_MEMORY;
  bw_pool_error error = start_workers(pool, cores);
  if (error == BW_POOL_OK && cores != NULL && !pin_to(pool, cores[0]))
    error = BW_POOL_NO_CORE;
  if (error == BW_POOL_OK)
    return BW_POOL_OK;
  bw_pool_stop(pool);
  if (known && cores != NULL)
    bw_cores_restrict(&before);
  return error;
}
