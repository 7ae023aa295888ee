/* NumPy's .npy files (format versions 1.0 to 3.0), read in pieces and written whole. */
#ifndef BOARDWRIGHT_NPY_H
#define BOARDWRIGHT_NPY_H

#include "model.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct npy_error {
  char text[512]; /* what is wrong and where, for people */
} npy_error;

typedef struct npy_file {
  FILE *stream;
  const char *path; /* borrowed from npy_open's caller */
  npy_error *error;
} npy_file;

/* Open a file that must hold a tensor of `info`'s type and shape. On false *error says why. */
bool npy_open(npy_file *file, const char *path, const bw_tensor_info *info, npy_error *error);

/* Read the next `bytes` of the elements; false when the file ends before. */
bool npy_read(npy_file *file, void *buffer, size_t bytes);

/* Close; `whole` asks that nothing is left behind the elements. */
bool npy_close(npy_file *file, bool whole);

/* Write a tensor under a temporary name, then rename it into place. */
bool npy_write(const char *path, const bw_tensor_info *info, const void *elements,
               npy_error *error);

#endif
