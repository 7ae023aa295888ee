/* --profile: where the time of a run goes. */
#include "modes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct profile {
  bw_kernel_info *kernels; /* the slowest first */
  int32_t count;
  uint64_t total_ns;
} profile;

static int slowest_first(const void *left, const void *right) {
  const bw_kernel_info *a = left, *b = right;
  return (a->total_ns < b->total_ns) - (a->total_ns > b->total_ns);
}

static profile measure(session *s) {
  profile all = {.count = s->api.bw_kernel_count(s->model)};
  for (int32_t i = 0; i < s->options.warmup; i++)
    session_run(s);
  s->api.bw_set_profiling(s->model, 1);
  for (int32_t i = 0; i < s->options.runs; i++)
    session_run(s);
  all.kernels = allocate((size_t)all.count, sizeof *all.kernels);
  for (int32_t i = 0; i < all.count; i++) {
    s->api.bw_kernel_get(s->model, i, &all.kernels[i]);
    all.total_ns += all.kernels[i].total_ns;
  }
  qsort(all.kernels, (size_t)all.count, sizeof *all.kernels, slowest_first);
  return all;
}

static double mean_us(const bw_kernel_info *kernel) {
  return kernel->calls != 0 ? (double)kernel->total_ns / 1e3 / (double)kernel->calls : 0.0;
}

static double share(const profile *all, const bw_kernel_info *kernel) {
  return all->total_ns != 0 ? (double)kernel->total_ns / (double)all->total_ns : 0.0;
}

static void print_nodes(json *document, const char *nodes) {
  json_array(document, "nodes");
  char *copy = allocate(strlen(nodes) + 1, 1);
  strcpy(copy, nodes);
  for (char *node = strtok(copy, "\n"); node != NULL; node = strtok(NULL, "\n"))
    json_string(document, NULL, node);
  free(copy);
  json_end(document);
}

static void print_kernel(json *document, const profile *all, const bw_kernel_info *kernel) {
  json_object(document, NULL);
  json_string(document, "name", kernel->name);
  print_nodes(document, kernel->nodes);
  json_integer(document, "calls", (int64_t)kernel->calls);
  json_number(document, "total_us", (double)kernel->total_ns / 1e3);
  json_number(document, "mean_us", mean_us(kernel));
  json_number(document, "share", share(all, kernel));
  json_end(document);
}

static void print_json(const session *s, const profile *all) {
  json document = session_json(s);
  json_integer(&document, "runs", s->options.runs);
  json_number(&document, "total_us", (double)all->total_ns / 1e3);
  json_array(&document, "kernels");
  for (int32_t i = 0; i < all->count; i++)
    print_kernel(&document, all, &all->kernels[i]);
  json_end(&document);
  json_close(&document);
}

static void print_text(const profile *all) {
  printf("%7s %12s  %s\n", "share", "mean us", "kernel");
  for (int32_t i = 0; i < all->count; i++) {
    const bw_kernel_info *kernel = &all->kernels[i];
    printf("%6.1f%% %12.1f  %s\n", 100.0 * share(all, kernel), mean_us(kernel), kernel->name);
  }
}

exit_code mode_profile(session *s) {
  session_load_sample_inputs(s);
  profile all = measure(s);
  if (s->options.json)
    print_json(s, &all);
  else
    print_text(&all);
  free(all.kernels);
  return EXIT_OK;
}
