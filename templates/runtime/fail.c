/* The one way the runner gives up. */
#include "fail.h"
#include "json.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool in_json;

void fail_in_json(void) { in_json = true; }

static const char *reason_of(exit_code code) {
  switch (code) {
  case EXIT_OK:
    return "ok";
  case EXIT_WRONG:
    return "wrong-result";
  case EXIT_USAGE:
    return "usage";
  case EXIT_START:
    return "start-failed";
  case EXIT_RUN:
    return "run-failed";
  case EXIT_VALUE:
    return "value-out-of-range";
  }
  return "unknown";
}

static void print_json(exit_code code, const char *message) {
  json document = json_open(stdout);
  json_object(&document, "error");
  json_integer(&document, "exit_code", code);
  json_string(&document, "reason", reason_of(code));
  json_string(&document, "message", message);
  json_end(&document);
  json_close(&document);
}

/* Names from files and models may hold anything; the message stays one line. */
static void flatten(char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7f)
      *text = ' ';
  }
}

void fail(exit_code code, const char *format, ...) {
  char message[2048];
  va_list values;
  va_start(values, format);
  vsnprintf(message, sizeof message, format, values);
  va_end(values);
  if (in_json)
    print_json(code, message);
  flatten(message);
  fprintf(stderr, "run: %s\n", message);
  exit((int)code);
}

void *allocate(size_t count, size_t item_bytes) {
  void *memory = calloc(count != 0 ? count : 1, item_bytes);
  if (memory == NULL)
    fail(EXIT_RUN, "out of memory; %zu items of %zu bytes were needed", count, item_bytes);
  return memory;
}
