/* Element types: their names here and in .npy files, their sizes, their values. */
#ifndef BOARDWRIGHT_DTYPE_H
#define BOARDWRIGHT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *dtype_name(int32_t dtype);  /* numpy's; "unknown" for a number that is no bw_dtype */
const char *dtype_descr(int32_t dtype); /* what a .npy header says; raw bits for bfloat16 */
size_t dtype_bytes(int32_t dtype);      /* of one element; 0 where unknown */

/* Whether the descr of a .npy header (`length` characters) means this type on this machine. */
bool dtype_accepts(int32_t dtype, const char *descr, size_t length);

double dtype_value(int32_t dtype, const void *element); /* 64-bit integers are rounded */

/* |a - b|, exact for integers until it is made a double. */
double dtype_distance(int32_t dtype, const void *a, const void *b);

#endif
