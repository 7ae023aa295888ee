/* The header of an .npy file: a Python dict with three known keys. */
#ifndef BOARDWRIGHT_NPY_HEADER_H
#define BOARDWRIGHT_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NPY_NDIM_LIMIT = 32, NPY_DESCR_BYTES = 16 };

typedef struct npy_header {
  char descr[NPY_DESCR_BYTES];
  bool fortran_order;
  int32_t ndim;
  int64_t shape[NPY_NDIM_LIMIT];
} npy_header;

/* Parse `bytes` of text that came from anywhere. Return NULL, or what is wrong with it. */
const char *npy_parse_header(npy_header *header, const char *text, size_t bytes);

#endif
