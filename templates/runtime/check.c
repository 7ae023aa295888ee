/* Numbers that kernels take for indices, lengths, divisors and places, checked before they do. */
#include "instance.h"

/* DLPack's type codes (dlpack.h, DLDataTypeCode). */
enum { DL_INT = 0, DL_UINT = 1 };

/* The first of `count` elements that is none of what the check allows; `count` where all are. */
typedef uint64_t (*finder)(const void *data, uint64_t count, const bw_check *check);

/* No bounds begin above 0, so a number without a sign can only be too large. */
#define OUTSIDE_SIGNED(value, bounds) ((value) < (bounds).lowest || (value) > (bounds).highest)
#define OUTSIDE_UNSIGNED(value, bounds)                                                            \
  ((bounds).highest < 0 || (value) > (uint64_t)(bounds).highest)

/* All are looked at, whatever they are: eight and more at a time, in vectors. */
#define DEFINE_FINDER(type, outside)                                                               \
  static bool any_outside_##type(const type *values, uint64_t count, bw_bounds bounds) {           \
    bool any = false;                                                                              \
    for (uint64_t i = 0; i < count; i++)                                                           \
      any |= outside(values[i], bounds);                                                           \
    return any;                                                                                    \
  }                                                                                                \
  static uint64_t find_##type(const void *data, uint64_t count, const bw_check *check) {           \
    const type *values = data;                                                                     \
    uint64_t i = 0;                                                                                \
    if (check->bound_count == 0) {                                                                 \
      while (i < count && values[i] != 0)                                                          \
        i++;                                                                                       \
      return i;                                                                                    \
    }                                                                                              \
    if (check->bound_count == 1 && !any_outside_##type(values, count, check->bounds[0]))           \
      return count;                                                                                \
    for (uint32_t at = 0; i < count && !outside(values[i], check->bounds[at]); i++)                \
      at = at + 1 == check->bound_count ? 0 : at + 1;                                              \
    return i;                                                                                      \
  }

DEFINE_FINDER(int8_t, OUTSIDE_SIGNED)
DEFINE_FINDER(int16_t, OUTSIDE_SIGNED)
DEFINE_FINDER(int32_t, OUTSIDE_SIGNED)
DEFINE_FINDER(int64_t, OUTSIDE_SIGNED)
DEFINE_FINDER(uint8_t, OUTSIDE_UNSIGNED)
DEFINE_FINDER(uint16_t, OUTSIDE_UNSIGNED)
DEFINE_FINDER(uint32_t, OUTSIDE_UNSIGNED)
DEFINE_FINDER(uint64_t, OUTSIDE_UNSIGNED)

/* Infinities and NaN are those with all bits of the exponent. */
#define DEFINE_FINITE(type, exponent)                                                              \
  static uint64_t find_infinite_##type(const void *data, uint64_t count, const bw_check *check) {  \
    const type *values = data;                                                                     \
    uint64_t i = 0;                                                                                \
    (void)check;                                                                                   \
    while (i < count && (values[i] & (exponent)) != (exponent))                                    \
      i++;                                                                                         \
    return i;                                                                                      \
  }

DEFINE_FINITE(uint32_t, UINT32_C(0x7f800000))
DEFINE_FINITE(uint64_t, UINT64_C(0x7ff0000000000000))

static finder finder_of(const bw_view *view) {
  static const finder INTS[] = {find_int8_t, find_int16_t, find_int32_t, find_int64_t};
  static const finder UINTS[] = {find_uint8_t, find_uint16_t, find_uint32_t, find_uint64_t};
  const int width = view->bits == 8 ? 0 : view->bits == 16 ? 1 : view->bits == 32 ? 2 : 3;
  if (view->code == DL_INT)
    return INTS[width];
  if (view->code == DL_UINT)
    return UINTS[width];
  return width == 2 ? find_infinite_uint32_t : find_infinite_uint64_t;
}

/* Element `at`; one of 64 bits without a sign that int64_t cannot hold comes out negative. */
static int64_t element(const void *data, const bw_view *view, uint64_t at) {
  const uint32_t bytes = view->bits / 8;
  uint64_t bits = 0;
  memcpy(&bits, (const uint8_t *)data + at * bytes, bytes); /* every board is little-endian */
  const uint32_t unused = 64 - view->bits;
  return view->code == DL_INT ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

static void add_value(bw_message *message, const bw_view *view, int64_t value) {
  if (view->code != DL_INT && view->code != DL_UINT)
    bw_message_add(message, "that is not finite");
  else if (view->code == DL_INT || value >= 0)
    bw_message_add_integer(message, value);
  else
    bw_message_add(message, "above 9223372036854775807");
}

/* "index 100 is not in -4 to 3: element 5 of tensor 'i', which node 'n' reads": the numbers first,
 * because names may be as long as they like. */
static void report(bw_model *model, const bw_check *check, const bw_view *view, const void *data,
                   uint64_t at) {
  bw_message *message = &model->error;
  bw_message_set(message, "%s ", check->what);
  add_value(message, view, element(data, view, at));
  if (check->bound_count == 0) {
    bw_message_add(message, " is not allowed");
  } else {
    const bw_bounds bounds = check->bounds[at % check->bound_count];
    bw_message_add(message, " is not in ");
    bw_message_add_integer(message, bounds.lowest);
    bw_message_add(message, " to ");
    bw_message_add_integer(message, bounds.highest);
  }
  bw_message_add(message, ": element ");
  bw_message_add_integer(message, (int64_t)at);
  bw_message_add(message, " of tensor '");
  bw_message_add(message, check->tensor);
  bw_message_add(message, "', which node '");
  bw_message_add(message, check->node);
  bw_message_add(message, "' reads");
}

bool bw_check_passes(bw_model *model, const bw_check *check) {
  const bw_view *view = &bw_model_plan.views[check->view];
  const void *data = model->tensors[check->view].data;
  const uint64_t count = view->size_bytes / (view->bits / 8);
  const uint64_t at = finder_of(view)(data, count, check);
  if (at < count)
    report(model, check, view, data, at);
  return at == count;
}
