/* Paths as text on the heap. */
#ifndef BOARDWRIGHT_PATHS_H
#define BOARDWRIGHT_PATHS_H

#include <stdbool.h>

/* As printf, into memory for free(); exits when there is none. */
char *path_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where this program lies, and the folder above the one it lies in; for free(). */
char *path_of_program(void);
char *path_of_bundle(void);

bool path_exists(const char *path);

#endif
