/* Conversions between floats and 64-bit integers on 32-bit Arm.
 *
 * No instruction does them. Kernels call GNU's names for the functions that do; the compilers' own
 * library of this platform has only those of Arm's run-time ABI, which C calls here.
 */
#include "platform.h"

#if defined(__arm__)

#define CONVERSION(to, name, from)                                                                 \
  BW_HIDDEN to name(from value);                                                                   \
  to name(from value) { return (to)value; }

CONVERSION(int64_t, __fixsfdi, float)
CONVERSION(int64_t, __fixdfdi, double)
CONVERSION(uint64_t, __fixunssfdi, float)
CONVERSION(uint64_t, __fixunsdfdi, double)
CONVERSION(float, __floatdisf, int64_t)
CONVERSION(double, __floatdidf, int64_t)
CONVERSION(float, __floatundisf, uint64_t)
CONVERSION(double, __floatundidf, uint64_t)

#endif
