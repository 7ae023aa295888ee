/* Numbers that kernels take for indices, lengths, divisors and places, checked before they do. */
#include "instance.h"

/* DLPack's type codes (dlpack.h, DLDataTypeCode). */
enum { DL_INT = 0, DL_UINT = 1 };

/* Element `at`, for floats its bits; a number of 64 bits without a sign that int64_t cannot hold comes
 * out negative. */
static int64_t element(const void *data, const bw_view *view, uint64_t at) {
  const bool is_signed = view->code == DL_INT;
  switch (view->bits) {
  case 8:
    return is_signed ? ((const int8_t *)data)[at] : ((const uint8_t *)data)[at];
  case 16:
    return is_signed ? ((const int16_t *)data)[at] : ((const uint16_t *)data)[at];
  case 32:
    /* Without the casts the two would meet in uint32_t. */
    return is_signed ? (int64_t)((const int32_t *)data)[at] : (int64_t)((const uint32_t *)data)[at];
  default:
    return ((const int64_t *)data)[at];
  }
}

static bool is_whole(const bw_view *view) { return view->code == DL_INT || view->code == DL_UINT; }

/* Infinities and NaN are those with all bits of the exponent. */
static bool is_finite(const bw_view *view, int64_t bits) {
  const int64_t exponent = view->bits == 32 ? INT64_C(0x7f800000) : INT64_C(0x7ff0000000000000);
  return (bits & exponent) != exponent;
}

static bool is_allowed(const bw_view *view, const bw_check *check, int64_t value, uint32_t at) {
  if (!is_whole(view))
    return is_finite(view, value);
  if (check->bound_count == 0)
    return value != 0;
  if (view->code == DL_UINT && value < 0)
    return false; /* above every bound */
  return value >= check->bounds[at].lowest && value <= check->bounds[at].highest;
}

/* Indices are int32 or int64, nearly always. All are looked at, whatever they are: eight and more at
 * a time, in vectors. */
#define DEFINE_ALL_INSIDE(type)                                                                    \
  static bool all_inside_##type(const type *values, uint64_t count, bw_bounds bounds) {            \
    bool any_outside = false;                                                                      \
    for (uint64_t i = 0; i < count; i++)                                                           \
      any_outside |= values[i] < bounds.lowest || values[i] > bounds.highest;                      \
    return !any_outside;                                                                           \
  }

DEFINE_ALL_INSIDE(int32_t)
DEFINE_ALL_INSIDE(int64_t)

static bool all_inside(const void *data, const bw_view *view, uint64_t count,
                       const bw_check *check) {
  if (view->code != DL_INT || check->bound_count != 1)
    return false;
  if (view->bits == 32)
    return all_inside_int32_t(data, count, check->bounds[0]);
  return view->bits == 64 && all_inside_int64_t(data, count, check->bounds[0]);
}

/* The first of `count` elements that is none of what the check allows; `count` where all are. */
static uint64_t find(const void *data, const bw_view *view, uint64_t count,
                     const bw_check *check) {
  if (all_inside(data, view, count, check))
    return count;
  uint64_t i = 0;
  for (uint32_t at = 0; i < count && is_allowed(view, check, element(data, view, i), at); i++)
    at = at + 1 >= check->bound_count ? 0 : at + 1;
  return i;
}

static void add_value(bw_message *message, const bw_view *view, int64_t value) {
  if (!is_whole(view))
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
  const uint64_t at = find(data, view, count, check);
  if (at < count)
    report(model, check, view, data, at);
  return at == count;
}
