/* Paths as text on the heap. */
#define _POSIX_C_SOURCE 200809L
#include "paths.h"
#include "fail.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

char *path_format(const char *format, ...) {
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  const int length = vsnprintf(NULL, 0, format, values);
  const size_t room = length < 0 ? 1 : (size_t)length + 1;
  char *path = allocate(room, 1);
  vsnprintf(path, room, format, again);
  va_end(again);
  va_end(values);
  return path;
}

/* Drop the last component: "a/b" becomes "a", "b" becomes ".". */
static void to_parent(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL)
    memcpy(path, ".", 2);
  else if (slash == path)
    slash[1] = '\0';
  else
    *slash = '\0';
}

char *path_of_program(void) {
  char program[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length > 0) {
    program[length] = '\0';
  } else { /* no /proc: what the kernel was asked to execute */
    const char *executed = (const char *)(uintptr_t)getauxval(AT_EXECFN);
    snprintf(program, sizeof program, "%s", executed != NULL ? executed : "");
  }
  return path_format("%s", program);
}

char *path_of_bundle(void) {
  char *program = path_of_program();
  to_parent(program);
  char *bundle = path_format("%s/..", program);
  free(program);
  return bundle;
}

bool path_exists(const char *path) { return access(path, F_OK) == 0; }
