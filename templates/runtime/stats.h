/* Times and memory, measured and summed up. */
#ifndef BOARDWRIGHT_STATS_H
#define BOARDWRIGHT_STATS_H

#include <stddef.h>
#include <stdint.h>

uint64_t stats_now_ns(void); /* monotonic */
double stats_us_since(uint64_t start_ns);

/* Samples in the order they came; all zeros is empty. */
typedef struct samples {
  double *values;
  size_t count, room;
} samples;

enum { SAMPLES_LIMIT = 100000 };

void samples_add(samples *all, double value); /* exits when memory runs out */
void samples_free(samples *all);

typedef struct summary {
  double median, p90, min, mean;
} summary;

/* Percentiles by nearest rank; `all` is not empty. */
summary samples_summary(const samples *all);

/* The most memory this process has had resident since it was executed. */
int64_t stats_peak_rss_bytes(void);

/* The processor time, on all cores, that this process has used. */
double stats_cpu_us(void);

#endif
