/* The runner's command line. */
#ifndef BOARDWRIGHT_OPTIONS_H
#define BOARDWRIGHT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum mode {
  MODE_NONE,
  MODE_CHECK,
  MODE_INFER,
  MODE_BENCH,
  MODE_COLD_START,
  MODE_FIRST_RUN, /* what --cold-start starts */
  MODE_PROFILE,
  MODE_DUMP,
  MODE_INFO
} mode;

typedef struct options {
  mode mode;
  bool json;
  const char *inputs, *outputs, *dump;    /* folders of .npy files */
  const char *bundle, *library, *weights; /* NULL: the bundle this program lies in, and its own */
  const char *cpu;                        /* NULL: the best kernels that this CPU runs */
  int32_t threads;                        /* 0: one per usable core */
  int32_t *cores;                         /* `threads` of them, or NULL */
  int32_t warmup, runs;
  char **arguments; /* the command line itself */
  double min_seconds;
} options;

/* Exits when the command line makes no sense, and after --help. */
options options_parse(int argc, char **argv);

#endif
