/* How far numbers are from what was expected. */
#ifndef BOARDWRIGHT_COMPARE_H
#define BOARDWRIGHT_COMPARE_H

#include <stddef.h>
#include <stdint.h>

/* |actual - expected| <= absolute + relative * |expected| passes. */
typedef struct tolerance {
  double absolute, relative;
} tolerance;

/* Starts as all zeros. */
typedef struct comparison {
  uint64_t elements, mismatches;
  double max_abs_error; /* infinite where only one of the two is NaN or infinite */
  double max_rel_error; /* over the elements whose expected value is not zero */
} comparison;

/* Add `count` elements of a bw_dtype. NaN equals NaN, infinities of one sign are equal. */
void compare(comparison *result, int32_t dtype, tolerance allowed, const void *actual,
             const void *expected, size_t count);

#endif
