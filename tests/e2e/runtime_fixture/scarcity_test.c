/* What happens when the system runs out: malloc and pthread_create are ours here and can be told to
 * refuse. scarcity_test WEIGHTS. */
#define _GNU_SOURCE
#include "expect.h"
#include "model.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static int allocations, allocations_left = -1, threads_left = -1;

int posix_memalign(void **pointer, size_t alignment, size_t bytes) {
  if (allocations_left == 0)
    return 12;
  allocations_left -= allocations_left > 0;
  allocations++;
  *pointer = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *pointer != NULL ? 0 : 12;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
  int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
  if (threads_left == 0)
    return 11;
  threads_left -= threads_left > 0;
  return real(thread, attributes, start, argument);
}

static bw_options options = {.struct_size = sizeof options, .threads = 4};

static void half_a_team_is_cleaned_up(void) {
  bw_model *model;
  for (int had = 0; had < 3; had++) {
    threads_left = had;
    EXPECT(bw_create(&options, &model) == BW_ERROR_THREAD);
    EXPECT(strstr(bw_last_error(model), "of 3 worker threads") != NULL);
    bw_destroy(model);
  }
  threads_left = -1;
}

static void every_allocation_may_fail(void) {
  bw_model *model;
  bw_status status = BW_ERROR_MEMORY;
  int granted = 0;
  for (; status != BW_OK; granted++) {
    EXPECT(granted < 100);
    allocations_left = granted;
    status = bw_create(&options, &model);
    EXPECT(status == BW_OK || status == BW_ERROR_MEMORY);
    EXPECT((granted == 0) == (model == NULL));
    bw_destroy(model);
  }
  allocations_left = -1;
  EXPECT(granted > 3);
}

static void steady_runs_do_not_allocate(void) {
  static _Alignas(64) float x[1024], bias[16], sum[1024], doubled[1024], constant[16];
  static _Alignas(64) int64_t flags[8], flags_out[8];
  static _Alignas(64) int32_t counts[16];
  const void *inputs[] = {x, bias, flags, NULL};
  void *outputs[] = {sum, doubled, flags_out, constant, NULL, counts};
  bw_model *model;
  options.threads = 1;
  EXPECT(bw_create(&options, &model) == BW_OK);
  EXPECT(bw_run(model, inputs, outputs) == BW_OK);
  const int before = allocations;
  for (int i = 0; i < 100; i++)
    EXPECT(bw_run(model, inputs, outputs) == BW_OK);
  EXPECT(allocations == before);
  allocations_left = 0;
  inputs[0] = (const char *)x + 4; /* needs an aligned copy that cannot be had */
  EXPECT(bw_run(model, inputs, outputs) == BW_ERROR_MEMORY);
  EXPECT(strstr(bw_last_error(model), "tensor x") != NULL);
  allocations_left = -1;
  bw_destroy(model);
}

int main(int argc, char **argv) {
  EXPECT(argc == 2);
  options.weights_path = argv[1];
  half_a_team_is_cleaned_up();
  every_allocation_may_fail();
  steady_runs_do_not_allocate();
  return 0;
}
