/* Element types: their names here and in .npy files, their sizes, their values. */
#include "dtype.h"
#include "model.h"

#include <math.h>
#include <string.h>

static const struct dtype {
  const char *name, *descr;
  size_t bytes;
} DTYPES[] = {
    [BW_FLOAT32] = {"float32", "<f4", 4}, [BW_FLOAT64] = {"float64", "<f8", 8},
    [BW_FLOAT16] = {"float16", "<f2", 2}, [BW_BFLOAT16] = {"bfloat16", "<u2", 2},
    [BW_INT8] = {"int8", "|i1", 1},       [BW_INT16] = {"int16", "<i2", 2},
    [BW_INT32] = {"int32", "<i4", 4},     [BW_INT64] = {"int64", "<i8", 8},
    [BW_UINT8] = {"uint8", "|u1", 1},     [BW_UINT16] = {"uint16", "<u2", 2},
    [BW_UINT32] = {"uint32", "<u4", 4},   [BW_UINT64] = {"uint64", "<u8", 8},
    [BW_BOOL] = {"bool", "|b1", 1},
};
static const struct dtype UNKNOWN = {"unknown", "|V1", 0};

static const struct dtype *lookup(int32_t dtype) {
  const int32_t count = sizeof DTYPES / sizeof DTYPES[0];
  return dtype >= 0 && dtype < count ? &DTYPES[dtype] : &UNKNOWN;
}

const char *dtype_name(int32_t dtype) { return lookup(dtype)->name; }
const char *dtype_descr(int32_t dtype) { return lookup(dtype)->descr; }
size_t dtype_bytes(int32_t dtype) { return lookup(dtype)->bytes; }

bool dtype_accepts(int32_t dtype, const char *descr, size_t length) {
  if (length != 3)
    return false;
  const bool order_known = strchr("<=|", descr[0]) != NULL && descr[0] != '\0';
  const bool order_idle = descr[0] == '>' && descr[2] == '1'; /* one byte has no order */
  if (!order_known && !order_idle)
    return false;
  if (dtype == BW_BFLOAT16 && memcmp(descr + 1, "V2", 2) == 0)
    return true; /* what numpy makes of a type it has only from an extension */
  return memcmp(descr + 1, dtype_descr(dtype) + 1, 2) == 0;
}

static double bits_to_double(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static double half_to_double(uint16_t bits) {
  const double sign = bits >> 15 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 0x1f;
  const double fraction = bits & 0x3ff;
  if (exponent == 0x1f)
    return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0)
    return sign * fraction * 0x1p-24;
  return sign * (1024 + fraction) * 0x1p-25 * (double)(1u << exponent);
}

#define READ_AS(type, element)                                                                     \
  type value;                                                                                      \
  memcpy(&value, element, sizeof value)

double dtype_value(int32_t dtype, const void *element) {
  switch ((bw_dtype)dtype) {
  case BW_FLOAT32: {
    READ_AS(float, element);
    return value;
  }
  case BW_FLOAT64: {
    READ_AS(double, element);
    return value;
  }
  case BW_FLOAT16: {
    READ_AS(uint16_t, element);
    return half_to_double(value);
  }
  case BW_BFLOAT16: {
    READ_AS(uint16_t, element);
    return bits_to_double((uint32_t)value << 16);
  }
  case BW_INT8: {
    READ_AS(int8_t, element);
    return value;
  }
  case BW_INT16: {
    READ_AS(int16_t, element);
    return value;
  }
  case BW_INT32: {
    READ_AS(int32_t, element);
    return value;
  }
  case BW_INT64: {
    READ_AS(int64_t, element);
    return (double)value;
  }
  case BW_UINT8: {
    READ_AS(uint8_t, element);
    return value;
  }
  case BW_UINT16: {
    READ_AS(uint16_t, element);
    return value;
  }
  case BW_UINT32: {
    READ_AS(uint32_t, element);
    return value;
  }
  case BW_UINT64: {
    READ_AS(uint64_t, element);
    return (double)value;
  }
  case BW_BOOL: {
    READ_AS(uint8_t, element);
    return value != 0;
  }
  }
  return NAN;
}

double dtype_distance(int32_t dtype, const void *a, const void *b) {
  if (dtype != BW_INT64 && dtype != BW_UINT64)
    return fabs(dtype_value(dtype, a) - dtype_value(dtype, b));
  uint64_t left, right;
  memcpy(&left, a, sizeof left);
  memcpy(&right, b, sizeof right);
  const bool swap = dtype == BW_INT64 ? (int64_t)left < (int64_t)right : left < right;
  return (double)(swap ? right - left : left - right);
}
