/* How far numbers are from what was expected. */
#include "compare.h"
#include "dtype.h"

#include <math.h>

/* Infinity unless both are finite or alike. */
static double error_of(int32_t dtype, const void *actual, const void *expected) {
  const double a = dtype_value(dtype, actual), e = dtype_value(dtype, expected);
  if (isfinite(a) && isfinite(e))
    return dtype_distance(dtype, actual, expected);
  return a == e || (isnan(a) && isnan(e)) ? 0.0 : INFINITY;
}

static double relative(double error, double expected) {
  if (error == 0.0 || expected == 0.0)
    return 0.0;
  return isfinite(error) ? error / expected : INFINITY;
}

static double larger(double a, double b) { return a > b ? a : b; }

static void compare_one(comparison *result, int32_t dtype, tolerance allowed, const void *actual,
                        const void *expected) {
  const double magnitude = fabs(dtype_value(dtype, expected));
  const double error = error_of(dtype, actual, expected);
  result->max_abs_error = larger(result->max_abs_error, error);
  result->max_rel_error = larger(result->max_rel_error, relative(error, magnitude));
  const bool passes =
      error == 0.0 || (isfinite(error) && error <= allowed.absolute + allowed.relative * magnitude);
  result->elements++;
  result->mismatches += !passes;
}

void compare(comparison *result, int32_t dtype, tolerance allowed, const void *actual,
             const void *expected, size_t count) {
  const size_t bytes = dtype_bytes(dtype);
  const char *a = actual, *e = expected;
  for (size_t i = 0; i < count; i++, a += bytes, e += bytes)
    compare_one(result, dtype, allowed, a, e);
}
