/* Launches regions without work on a pool, one a core: threads.c CORE... prints nanoseconds. */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 20000, MOST_THREADS = 64 };

static int nothing(int index, bw_parallel_env *env, void *argument) {
  (void)index, (void)env, (void)argument;
  return 0;
}

static void entered(void *owner, int32_t index) { (void)owner, (void)index; }

int main(int argc, char **argv) {
  int32_t cores[MOST_THREADS];
  const int32_t threads = argc - 1;
  if (threads < 1 || threads > MOST_THREADS)
    return 2;
  for (int32_t i = 0; i < threads; i++)
    cores[i] = atoi(argv[i + 1]);
  static bw_pool pool = {.enter = entered};
  if (bw_pool_start(&pool, threads, cores) != BW_POOL_OK)
    return 1;
  bw_pool_begin_run(&pool);
  for (int i = 0; i < ROUNDS; i++) {
    const uint64_t start = bw_clock_ns();
    bw_pool_launch(&pool, nothing, NULL, 0);
    printf("%llu\n", (unsigned long long)(bw_clock_ns() - start));
  }
  bw_pool_end_run(&pool);
  bw_pool_stop(&pool);
  return 0;
}
