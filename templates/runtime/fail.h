/* The one way the runner gives up. */
#ifndef BOARDWRIGHT_FAIL_H
#define BOARDWRIGHT_FAIL_H

#include <stddef.h>

typedef enum exit_code {
  EXIT_OK = 0,
  EXIT_WRONG = 1, /* --check: other numbers than expected */
  EXIT_USAGE = 2, /* the command line or a file the user gave */
  EXIT_START = 3, /* the model could not start: library, weights, CPU, threads */
  EXIT_RUN = 4,   /* a run failed, or its results could not be written */
  EXIT_VALUE = 5  /* the inputs hold, or lead to, an index that is none, or the like */
} exit_code;

/* From now on failures also print a JSON document on standard output. */
void fail_in_json(void);

/* Print "run: what; why or remedy" as one line on standard error and exit. */
_Noreturn void fail(exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Memory for `count` items, all zeros, for free(); gives up when there is none. */
void *allocate(size_t count, size_t item_bytes);

#endif
