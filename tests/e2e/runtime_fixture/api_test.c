/* Drives the fixture model through model.h: api_test WEIGHTS SCENARIO. Exits 0 when all holds.
 *
 * FIXTURE_TASKS_OF_A_THREAD says into how many tasks kernels are cut that leave that to the pool. */
#define _GNU_SOURCE
#include "expect.h"
#include "model.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ELEMENTS = 4 * 256, INPUTS = 4, OUTPUTS = 6, ROUNDS = 50, TEAM = 4 };

#ifndef FIXTURE_TASKS_OF_A_THREAD
#define FIXTURE_TASKS_OF_A_THREAD 1
#endif

static const char *weights_path;

/* Buffers with room to be shifted off their alignment. */
typedef struct buffers {
  _Alignas(64) float x[ELEMENTS + 16];
  _Alignas(64) float bias[32];
  _Alignas(64) int64_t flags[16];
  _Alignas(64) float sum[ELEMENTS + 16];
  _Alignas(64) float doubled[ELEMENTS + 16];
  _Alignas(64) int64_t flags_out[16];
  _Alignas(64) float constant[32];
  _Alignas(64) int32_t counts[32];
  const void *inputs[INPUTS];
  void *outputs[OUTPUTS];
} buffers;

static char *shifted(void *buffer, size_t shift) { return (char *)buffer + shift; }

static void point(buffers *b, size_t shift) {
  memcpy(b->inputs,
         (const void *[]){shifted(b->x, shift), shifted(b->bias, shift), shifted(b->flags, shift),
                          NULL},
         sizeof b->inputs);
  memcpy(b->outputs,
         (void *[]){shifted(b->sum, shift), shifted(b->doubled, shift),
                    shifted(b->flags_out, shift), shifted(b->constant, shift), NULL,
                    shifted(b->counts, shift)},
         sizeof b->outputs);
}

static void fill(buffers *b, size_t shift, float seed) {
  memset(b, 0, sizeof *b);
  for (size_t i = 0; i < ELEMENTS; i++) {
    const float value = seed + (float)i;
    memcpy(shifted(b->x, shift + 4 * i), &value, 4);
  }
  const float bias = 0.5f;
  const int64_t flags[] = {1, -2, 3};
  memcpy(shifted(b->bias, shift), &bias, sizeof bias);
  memcpy(shifted(b->flags, shift), flags, sizeof flags);
  point(b, shift);
}

static float float_at(const void *buffer, size_t index) {
  float value;
  memcpy(&value, (const char *)buffer + 4 * index, sizeof value);
  return value;
}

/* The fixture's weights are i / 8, its constant is 100 + i. */
static void expect_results(const buffers *b, float seed, int32_t threads) {
  for (size_t i = 0; i < ELEMENTS; i++) {
    const float sum = seed + (float)i + (float)i / 8 + 0.5f;
    EXPECT(float_at(b->outputs[0], i) == sum);
    EXPECT(float_at(b->outputs[1], i) == 2 * sum);
  }
  EXPECT(memcmp(b->outputs[2], b->inputs[2], 24) == 0);
  for (size_t i = 0; i < 16; i++)
    EXPECT(float_at(b->outputs[3], i) == 100 + (float)i);
  int32_t counts[2];
  memcpy(counts, b->outputs[5], sizeof counts);
  const int32_t tasks = threads > 1 ? threads * FIXTURE_TASKS_OF_A_THREAD : 1;
  EXPECT(counts[0] == tasks && counts[1] == 3 * tasks);
}

static bw_model *start(int32_t threads) {
  bw_model *model;
  const bw_options options = {
      .struct_size = sizeof options, .threads = threads, .weights_path = weights_path};
  EXPECT(bw_create(&options, &model) == BW_OK);
  return model;
}

static void run_many(bw_model *model, float seed) {
  buffers *b = aligned_alloc(64, sizeof *b);
  fill(b, 0, seed);
  for (int i = 0; i < ROUNDS; i++) {
    memset(b->sum, 0, sizeof b->sum);
    EXPECT(bw_run(model, b->inputs, b->outputs) == BW_OK);
    expect_results(b, seed, bw_thread_count(model));
  }
  free(b);
}

static void runs_on(int32_t threads) {
  bw_model *model = start(threads);
  EXPECT(bw_thread_count(model) == threads);
  run_many(model, 1);
  bw_destroy(model);
}

static void runs(void) {
  runs_on(1);
  runs_on(2);
  runs_on(7); /* more than there are rows, and likely more than cores */
}

static void describes(void) {
  bw_model *model = start(0);
  bw_tensor_info info;
  EXPECT(bw_abi_version() == BW_ABI_VERSION && bw_thread_count(model) > 0);
  EXPECT(bw_input_count(model) == INPUTS && bw_output_count(model) == OUTPUTS);
  EXPECT(bw_input_info(model, 2, &info) == BW_OK && strcmp(info.file, "flags_0") == 0);
  EXPECT(bw_output_info(model, 0, &info) == BW_OK && info.shape[1] == 256);
  EXPECT(bw_input_info(model, INPUTS, &info) == BW_ERROR_ARGUMENT);
  EXPECT(bw_output_info(model, -1, &info) == BW_ERROR_ARGUMENT);
  EXPECT(bw_output_info(model, 0, NULL) == BW_ERROR_ARGUMENT);
  EXPECT(bw_weights_bytes(model) == 4 * ELEMENTS + 64 && bw_arena_bytes(model) == 128);
  EXPECT(strcmp(bw_model_name(), "fixture") == 0 && strcmp(bw_target_name(), "this-machine") == 0);
  EXPECT(bw_last_error(model)[0] == '\0');
  EXPECT(bw_last_error(NULL) != NULL);
  bw_destroy(model);
  bw_destroy(NULL);
}

static void stages_misaligned_buffers(void) {
  bw_model *model = start(2);
  buffers *b = aligned_alloc(64, sizeof *b);
  for (size_t shift = 0; shift < 8; shift++) {
    fill(b, shift, (float)shift);
    EXPECT(bw_run(model, b->inputs, b->outputs) == BW_OK);
    expect_results(b, (float)shift, 2);
  }
  free(b);
  bw_destroy(model);
}

static void *live_alone(void *seed) {
  bw_model *model = start(2);
  run_many(model, *(const float *)seed);
  bw_destroy(model);
  return NULL;
}

static void instances_live_side_by_side(void) {
  pthread_t team[TEAM];
  float seeds[TEAM];
  for (int i = 0; i < TEAM; i++) {
    seeds[i] = (float)i;
    EXPECT(pthread_create(&team[i], NULL, live_alone, &seeds[i]) == 0);
  }
  for (int i = 0; i < TEAM; i++)
    pthread_join(team[i], NULL);
}

static void *share_one(void *model) {
  run_many(model, 3);
  return NULL;
}

static void runs_on_one_instance_take_turns(void) {
  pthread_t team[TEAM];
  bw_model *model = start(2);
  for (int i = 0; i < TEAM; i++)
    EXPECT(pthread_create(&team[i], NULL, share_one, model) == 0);
  bw_kernel_info info;
  EXPECT(bw_set_profiling(model, 1) == BW_OK);
  EXPECT(bw_kernel_get(model, 0, &info) == BW_OK);
  for (int i = 0; i < TEAM; i++)
    pthread_join(team[i], NULL);
  bw_destroy(model);
}

static void names_null_buffers(void) {
  bw_model *model = start(1);
  buffers *b = aligned_alloc(64, sizeof *b);
  fill(b, 0, 1);
  b->inputs[2] = NULL;
  EXPECT(bw_run(model, b->inputs, b->outputs) == BW_ERROR_ARGUMENT);
  EXPECT(strstr(bw_last_error(model), "flags:0") != NULL);
  point(b, 0);
  b->outputs[0] = NULL;
  EXPECT(bw_run(model, b->inputs, b->outputs) == BW_ERROR_ARGUMENT);
  EXPECT(strstr(bw_last_error(model), "layer/sum") != NULL);
  EXPECT(bw_run(model, NULL, b->outputs) == BW_ERROR_ARGUMENT);
  EXPECT(bw_run(model, b->inputs, NULL) == BW_ERROR_ARGUMENT);
  EXPECT(bw_run(NULL, b->inputs, b->outputs) == BW_ERROR_ARGUMENT);
  EXPECT(bw_create(NULL, NULL) == BW_ERROR_ARGUMENT);
  free(b);
  bw_destroy(model);
}

static void expect_refusal(bw_options options, bw_status status, const char *word) {
  bw_model *model;
  EXPECT(bw_create(&options, &model) == status);
  EXPECT(strstr(bw_last_error(model), word) != NULL);
  EXPECT(bw_run(model, NULL, NULL) == BW_ERROR_ARGUMENT);
  EXPECT(bw_set_profiling(model, 1) == BW_ERROR_ARGUMENT);
  EXPECT(strstr(bw_last_error(model), word) != NULL); /* the first reason stays */
  bw_destroy(model);
}

static void refuses_bad_options(void) {
  const int32_t absent[] = {0, 8000}, senseless[] = {-1};
  bw_options o = {.struct_size = sizeof o, .threads = 1, .weights_path = weights_path};
  o.threads = -1;
  expect_refusal(o, BW_ERROR_ARGUMENT, "threads");
  o.threads = 100000;
  expect_refusal(o, BW_ERROR_ARGUMENT, "threads");
  o.threads = 2;
  o.cores = absent;
  expect_refusal(o, BW_ERROR_ARGUMENT, "core 8000");
  o.threads = 1;
  o.cores = senseless;
  expect_refusal(o, BW_ERROR_ARGUMENT, "core -1");
  o.threads = 0;
  expect_refusal(o, BW_ERROR_ARGUMENT, "cores");
  o.struct_size = 4;
  expect_refusal(o, BW_ERROR_ARGUMENT, "struct_size");
}

/* A caller compiled against another version of model.h. */
static void honours_struct_size(void) {
  struct {
    bw_options options;
    char newer[64];
  } larger = {.options = {.threads = 1, .weights_path = weights_path}};
  larger.options.struct_size = sizeof larger;
  bw_model *model;
  EXPECT(bw_create(&larger.options, &model) == BW_OK);
  bw_destroy(model);
  bw_options older = {.threads = 2, .weights_path = weights_path};
  older.cores = (const int32_t *)(uintptr_t)1; /* must not be looked at */
  older.struct_size = offsetof(bw_options, cores);
  EXPECT(bw_create(&older, &model) == BW_OK);
  EXPECT(bw_thread_count(model) == 2);
  bw_destroy(model);
}

static void pins_threads(void) {
  const int32_t cores[] = {sched_getcpu(), sched_getcpu()};
  bw_model *model;
  const bw_options options = {
      .struct_size = sizeof options, .threads = 2, .weights_path = weights_path, .cores = cores};
  EXPECT(bw_create(&options, &model) == BW_OK);
  cpu_set_t allowed;
  EXPECT(sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) == 1);
  run_many(model, 1);
  bw_destroy(model);
}

static void expect_kernel_failure(bw_model *model, buffers *b, const char *kernel, const char *node,
                                  const char *reason) {
  EXPECT(bw_run(model, b->inputs, b->outputs) == BW_ERROR_KERNEL);
  EXPECT(strstr(bw_last_error(model), kernel) != NULL);
  EXPECT(strstr(bw_last_error(model), node) != NULL);
  EXPECT(strstr(bw_last_error(model), reason) != NULL);
}

static void reports_failing_kernels(void) {
  bw_model *model = start(2);
  buffers *b = aligned_alloc(64, sizeof *b);
  for (int i = 0; i < 3; i++) { /* the second failure must not fail differently */
    fill(b, 0, 1);
    b->x[0] = 1e31f;
    expect_kernel_failure(model, b, "guard", "Guard_0, Relu_1", "ValueError: in the fixture: x[0]");
    fill(b, 0, 1);
    b->x[2 * 256] = -1e31f;
    expect_kernel_failure(model, b, "add", "Add_3", "a row starts too low");
    fill(b, 0, 1);
    b->x[1] = 1e31f;
    expect_kernel_failure(model, b, "leak", "Leak_2", "did not say why");
    run_many(model, 1);
  }
  free(b);
  bw_destroy(model);
}

static void profiles(void) {
  bw_model *model = start(2);
  bw_kernel_info info;
  run_many(model, 1);
  EXPECT(bw_kernel_count(model) == 5);
  EXPECT(bw_kernel_get(model, 2, &info) == BW_OK && info.calls == 0 && info.total_ns == 0);
  EXPECT(bw_set_profiling(model, 1) == BW_OK);
  run_many(model, 1);
  EXPECT(bw_kernel_get(model, 2, &info) == BW_OK);
  EXPECT(info.calls == ROUNDS && info.total_ns > 0);
  EXPECT(strcmp(info.name, "add") == 0 && strcmp(info.nodes, "Add_3") == 0);
  EXPECT(bw_set_profiling(model, 0) == BW_OK);
  run_many(model, 1);
  EXPECT(bw_kernel_get(model, 2, &info) == BW_OK && info.calls == ROUNDS);
  EXPECT(bw_set_profiling(model, 1) == BW_OK);
  EXPECT(bw_kernel_get(model, 2, &info) == BW_OK && info.calls == 0);
  EXPECT(bw_kernel_get(model, 5, &info) == BW_ERROR_ARGUMENT);
  EXPECT(bw_kernel_get(model, -1, &info) == BW_ERROR_ARGUMENT);
  bw_destroy(model);
}

typedef struct observed {
  int32_t kernels[8], count;
} observed;

static void observe(void *context, int32_t kernel, int32_t result, const bw_tensor_info *info,
                    const void *elements) {
  observed *seen = context;
  EXPECT(result == 0 && info->name == NULL && info->file == NULL);
  if (seen->count < 8)
    seen->kernels[seen->count++] = kernel;
  if (kernel == 2) /* sum: 1 + 0 / 8 + 0.5 */
    EXPECT(info->dtype == BW_FLOAT32 && info->ndim == 2 && info->size_bytes == 4 * ELEMENTS &&
           float_at(elements, 0) == 1.5f);
}

static void observes(void) {
  bw_model *model = start(2);
  observed seen = {.count = 0};
  buffers *b = aligned_alloc(64, sizeof *b);
  fill(b, 0, 1);
  EXPECT(bw_set_observer(NULL, observe, &seen) == BW_ERROR_ARGUMENT);
  EXPECT(bw_set_observer(model, observe, &seen) == BW_OK);
  EXPECT(bw_run(model, b->inputs, b->outputs) == BW_OK);
  EXPECT(seen.count == 3 && seen.kernels[0] == 2 && seen.kernels[1] == 3 && seen.kernels[2] == 4);
  EXPECT(bw_set_observer(model, NULL, NULL) == BW_OK);
  EXPECT(bw_run(model, b->inputs, b->outputs) == BW_OK && seen.count == 3);
  free(b);
  bw_destroy(model);
}

/* weights_path is a file that is not the fixture's weights. */
static void refuses_weights(void) {
  const bw_options o = {.struct_size = sizeof o, .threads = 1, .weights_path = weights_path};
  expect_refusal(o, BW_ERROR_WEIGHTS, weights_path);
}

/* In place and, a few bytes further, copied. */
static void takes_weights_from_memory(void) {
  enum { BYTES = 4 * ELEMENTS + 64 };
  char *memory = aligned_alloc(64, BYTES + 64);
  for (size_t shift = 0; shift <= 4; shift += 4) {
    FILE *file = fopen(weights_path, "rb");
    EXPECT(file != NULL && fread(memory + shift, 1, BYTES, file) == BYTES);
    fclose(file);
    bw_options o = {.struct_size = sizeof o, .threads = 1, .weights = memory + shift};
    o.weights_bytes = BYTES - 1;
    expect_refusal(o, BW_ERROR_WEIGHTS, "memory");
    o.weights_bytes = BYTES;
    memory[shift] ^= 1;
    expect_refusal(o, BW_ERROR_WEIGHTS, "checksum");
    memory[shift] ^= 1;
    bw_model *model;
    EXPECT(bw_create(&o, &model) == BW_OK);
    if (shift != 0)
      memset(memory, 0, BYTES + 64);
    run_many(model, 1);
    bw_destroy(model);
  }
  free(memory);
}

static void needs_weights_path(void) {
  bw_model *model;
  EXPECT(bw_create(NULL, &model) == BW_ERROR_WEIGHTS);
  EXPECT(strstr(bw_last_error(model), "weights_path") != NULL);
  bw_destroy(model);
}

static void may_skip_checksum(void) {
  bw_model *model;
  const bw_options options = {.struct_size = sizeof options,
                              .threads = 1,
                              .weights_path = weights_path,
                              .skip_checksum = 1};
  EXPECT(bw_create(&options, &model) == BW_OK);
  bw_destroy(model);
}

static void refuses_cpu(void) {
  const bw_options o = {.struct_size = sizeof o, .threads = 1, .weights_path = weights_path};
  expect_refusal(o, BW_ERROR_CPU, "no_such_feature");
}

static void runs_without_inputs(void) {
  bw_model *model;
  _Alignas(64) float out[5] = {9, 9, 9, 9, 9};
  void *outputs[] = {out};
  EXPECT(bw_create(NULL, &model) == BW_OK);
  EXPECT(bw_run(model, NULL, outputs) == BW_OK);
  for (int i = 0; i < 5; i++)
    EXPECT(out[i] == (float)i);
  bw_destroy(model);
}

static void runs_with_embedded_weights(void) {
  bw_model *model;
  EXPECT(bw_create(NULL, &model) == BW_OK);
  run_many(model, 1);
  bw_destroy(model);
}

/* The signals that a thread of this process blocks, as the kernel tells them. */
static uint64_t blocked_by(const char *thread) {
  char path[64], line[256];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
  FILE *file = fopen(path, "r");
  EXPECT(file != NULL);
  while (fgets(line, sizeof line, file) != NULL)
    sscanf(line, "SigBlk: %llx", &blocked);
  fclose(file);
  return blocked;
}

static bool has_signal(uint64_t set, int number) { return (set >> (number - 1) & 1) != 0; }

static void expect_mask_of_worker(uint64_t mask) {
  EXPECT(has_signal(mask, SIGTERM) && has_signal(mask, SIGINT) && has_signal(mask, SIGALRM));
  EXPECT(has_signal(mask, SIGRTMIN) && has_signal(mask, SIGRTMAX));
  EXPECT(!has_signal(mask, SIGSEGV) && !has_signal(mask, SIGFPE) && !has_signal(mask, SIGBUS));
  EXPECT(!has_signal(mask, 32) && !has_signal(mask, 33)); /* the C library's own */
}

/* How many threads beside this one are past their start, where the C library blocks everything; a
 * sanitizer's own thread blocks nothing. */
static int32_t settled_workers(const char *own) {
  int32_t workers = 0;
  DIR *threads = opendir("/proc/self/task");
  EXPECT(threads != NULL);
  for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
    if (entry->d_name[0] == '.' || strcmp(entry->d_name, own) == 0)
      continue;
    const uint64_t mask = blocked_by(entry->d_name);
    if (mask == 0 || has_signal(mask, SIGSEGV))
      continue;
    expect_mask_of_worker(mask);
    workers++;
  }
  closedir(threads);
  return workers;
}

static void workers_block_signals(void) {
  bw_model *model = start(TEAM);
  char own[32];
  snprintf(own, sizeof own, "%d", (int)getpid());
  int32_t workers = settled_workers(own);
  for (int i = 0; i < 2000 && workers != TEAM - 1; i++) {
    usleep(5000);
    workers = settled_workers(own);
  }
  EXPECT(workers == TEAM - 1);
  EXPECT(blocked_by(own) == 0);
  bw_destroy(model);
}

static void in_child(bw_model *model, buffers *b, bool runs) {
  fill(b, 0, 1);
  const bw_status status = bw_run(model, b->inputs, b->outputs);
  EXPECT(status == (runs ? BW_OK : BW_ERROR_THREAD));
  EXPECT(runs || strstr(bw_last_error(model), "forked") != NULL);
  bw_destroy(model);
  bw_model *fresh = start(runs ? 1 : TEAM);
  run_many(fresh, 3);
  bw_destroy(fresh);
  _exit(0);
}

static void survives_a_fork(void) {
  for (int32_t threads = 1; threads <= TEAM; threads += TEAM - 1) {
    static buffers b;
    bw_model *model = start(threads);
    run_many(model, 1);
    const pid_t child = fork();
    if (child == 0)
      in_child(model, &b, threads == 1);
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    run_many(model, 2); /* the parent's workers are all there */
    bw_destroy(model);
  }
}

static const struct {
  const char *name;
  void (*play)(void);
} SCENARIOS[] = {
    {"runs", runs},
    {"describes", describes},
    {"stages_misaligned_buffers", stages_misaligned_buffers},
    {"instances_live_side_by_side", instances_live_side_by_side},
    {"runs_on_one_instance_take_turns", runs_on_one_instance_take_turns},
    {"names_null_buffers", names_null_buffers},
    {"refuses_bad_options", refuses_bad_options},
    {"honours_struct_size", honours_struct_size},
    {"pins_threads", pins_threads},
    {"reports_failing_kernels", reports_failing_kernels},
    {"profiles", profiles},
    {"observes", observes},
    {"refuses_weights", refuses_weights},
    {"takes_weights_from_memory", takes_weights_from_memory},
    {"needs_weights_path", needs_weights_path},
    {"may_skip_checksum", may_skip_checksum},
    {"refuses_cpu", refuses_cpu},
    {"runs_without_inputs", runs_without_inputs},
    {"runs_with_embedded_weights", runs_with_embedded_weights},
    {"workers_block_signals", workers_block_signals},
    {"survives_a_fork", survives_a_fork},
};

int main(int argc, char **argv) {
  EXPECT(argc == 3);
  weights_path = argv[1];
  for (size_t i = 0; i < sizeof SCENARIOS / sizeof SCENARIOS[0]; i++) {
    if (strcmp(argv[2], SCENARIOS[i].name) == 0) {
      SCENARIOS[i].play();
      return 0;
    }
  }
  fprintf(stderr, "no scenario %s\n", argv[2]);
  return 1;
}
