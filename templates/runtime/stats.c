/* Times and memory, measured and summed up. */
#define _POSIX_C_SOURCE 200809L
#include "stats.h"
#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

uint64_t stats_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

double stats_us_since(uint64_t start_ns) { return (double)(stats_now_ns() - start_ns) / 1e3; }

void samples_add(samples *all, double value) {
  if (all->count == all->room) {
    all->room = all->room ? all->room * 2 : 256;
    double *larger = realloc(all->values, all->room * sizeof *larger);
    if (larger == NULL)
      fail(EXIT_RUN, "out of memory for %zu samples", all->room);
    all->values = larger;
  }
  all->values[all->count++] = value;
}

void samples_free(samples *all) {
  free(all->values);
  *all = (samples){0};
}

static int ascending(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* The smallest value that at least `percent` of all are not above. */
static double nearest_rank(const double *sorted, size_t count, size_t percent) {
  const size_t rank = (count * percent + 99) / 100;
  return sorted[rank != 0 ? rank - 1 : 0];
}

static double mean(const samples *all) {
  double sum = 0;
  for (size_t i = 0; i < all->count; i++)
    sum += all->values[i];
  return sum / (double)all->count;
}

summary samples_summary(const samples *all) {
  double *sorted = allocate(all->count, sizeof *sorted);
  memcpy(sorted, all->values, all->count * sizeof *sorted);
  qsort(sorted, all->count, sizeof *sorted, ascending);
  const summary result = {.median = nearest_rank(sorted, all->count, 50),
                          .p90 = nearest_rank(sorted, all->count, 90),
                          .min = sorted[0],
                          .mean = mean(all)};
  free(sorted);
  return result;
}

/* VmHWM counts this program alone; ru_maxrss also remembers the process that forked it. */
static int64_t high_water_kib(void) {
  char line[256];
  long kib = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "VmHWM: %ld", &kib) == 1)
      break;
  }
  if (status != NULL)
    fclose(status);
  return kib;
}

int64_t stats_peak_rss_bytes(void) {
  const int64_t kib = high_water_kib();
  if (kib > 0)
    return kib * 1024;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (int64_t)usage.ru_maxrss * 1024;
}

static double timeval_us(struct timeval time) {
  return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

double stats_cpu_us(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime);
}
