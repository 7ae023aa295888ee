/* Parts whose corners no model call shows: checksum, CPU features, messages, workspace, numbers. */
#include "compare.h"
#include "cpu.h"
#include "dtype.h"
#include "expect.h"
#include "message.h"
#include "model.h"
#include "workspace.h"
#include "xxh64.h"

#include <math.h>
#include <string.h>

/* Values of the reference implementation for seed 0. */
static void checksum_is_xxh64(void) {
  static const struct {
    const char *text;
    uint64_t hash;
  } KNOWN[] = {
      {"", UINT64_C(0xef46db3751d8e999)},
      {"a", UINT64_C(0xd24ec4f1a98c6e5b)},
      {"abc", UINT64_C(0x44bc2cf5ad770999)},
      {"Nobody inspects the spammish repetition", UINT64_C(0xfbcea83c8a378bf1)},
  };
  for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++)
    EXPECT(bw_xxh64((const uint8_t *)KNOWN[i].text, strlen(KNOWN[i].text)) == KNOWN[i].hash);
}

static void cpu_knows_its_baseline(void) {
#if defined(__x86_64__)
  EXPECT(bw_cpu_has("sse2"));
#elif defined(__aarch64__)
  EXPECT(bw_cpu_has("asimd"));
#else
  EXPECT(bw_cpu_has("neon"));
#endif
  EXPECT(!bw_cpu_has("no_such_feature"));
  EXPECT(!bw_cpu_has(""));
}

static void messages_are_bounded(void) {
  static bw_message message;
  bw_message_set(&message, "%s is %d of %llu", "x", -12, 18446744073709551615ULL);
  EXPECT(strcmp(message.text, "x is -12 of 18446744073709551615") == 0);
  for (int i = 0; i < 2 * BW_MESSAGE_BYTES; i++)
    bw_message_add(&message, "y");
  EXPECT(strlen(message.text) == BW_MESSAGE_BYTES - 1);
}

static void workspace_settles(void) {
  bw_workspace workspace = {0};
  void *first = bw_workspace_take(&workspace, 100);
  void *second = bw_workspace_take(&workspace, 1000);
  bw_workspace_give(first);
  bw_workspace_give(second);
  EXPECT(bw_workspace_take(&workspace, 900) == second); /* the one that fits */
  EXPECT(bw_workspace_take(&workspace, 50) == first);
  bw_workspace_reclaim(&workspace);
  void *large = bw_workspace_take(&workspace, 5000); /* takes the second's place */
  EXPECT(large != NULL && (uintptr_t)large % BW_ALIGNMENT == 0);
  bw_workspace_give(large);
  EXPECT(bw_workspace_take(&workspace, 1000) == large);
  EXPECT(bw_workspace_take(&workspace, 100) == first);
  EXPECT(bw_workspace_take(&workspace, UINT64_MAX - 8) == NULL);
  bw_workspace_release(&workspace);
}

static double half(uint16_t bits) { return dtype_value(BW_FLOAT16, &bits); }
static double brain(uint16_t bits) { return dtype_value(BW_BFLOAT16, &bits); }

static void small_floats_are_read(void) {
  EXPECT(half(0x3c00) == 1.0 && half(0xc000) == -2.0 && half(0x3555) == 0x1.554p-2);
  EXPECT(half(0x7bff) == 65504.0 && half(0x0400) == 0x1p-14);
  EXPECT(half(0x0001) == 0x1p-24 && half(0x03ff) == 0x3ffp-24); /* subnormal */
  EXPECT(half(0x7c00) == INFINITY && half(0xfc00) == -INFINITY && isnan(half(0x7e00)));
  EXPECT(half(0x8000) == 0.0 && signbit(half(0x8000)));
  EXPECT(brain(0x3f80) == 1.0 && brain(0xc040) == -3.0 && brain(0x7f80) == INFINITY);
  EXPECT(isnan(brain(0x7fc0)));
}

static void descriptions_are_matched(void) {
  EXPECT(dtype_accepts(BW_FLOAT32, "<f4", 3) && dtype_accepts(BW_FLOAT32, "=f4", 3));
  EXPECT(!dtype_accepts(BW_FLOAT32, ">f4", 3) && !dtype_accepts(BW_FLOAT32, "<f8", 3));
  EXPECT(dtype_accepts(BW_BFLOAT16, "<u2", 3) && dtype_accepts(BW_BFLOAT16, "|V2", 3));
  EXPECT(!dtype_accepts(BW_UINT16, "|V2", 3) && dtype_accepts(BW_INT8, ">i1", 3));
  EXPECT(dtype_accepts(BW_BOOL, "|b1", 3) && !dtype_accepts(BW_BOOL, "|b10", 4));
  EXPECT(!dtype_accepts(-1, "|V1", 2) && dtype_bytes(99) == 0);
}

static bool agree(double actual, double expected, tolerance allowed) {
  comparison result = {0};
  compare(&result, BW_FLOAT64, allowed, &actual, &expected, 1);
  return result.mismatches == 0;
}

static void tolerance_is_a_sum(void) {
  const tolerance exact = {0}, loose = {.absolute = 0.1, .relative = 0.5};
  EXPECT(agree(1, 1, exact) && !agree(1, 1.0000001, exact));
  EXPECT(agree(10.6, 7.01, loose) && !agree(10.7, 7.01, loose));
  EXPECT(agree(NAN, NAN, exact) && !agree(NAN, 1, loose) && !agree(1, NAN, loose));
  EXPECT(agree(INFINITY, INFINITY, exact) && !agree(-INFINITY, INFINITY, loose));
  EXPECT(!agree(1, INFINITY, loose) && !agree(INFINITY, 1, loose));
}

static void large_integers_are_exact(void) {
  const int64_t a[] = {INT64_MAX, INT64_MIN}, b[] = {INT64_MAX - 1, INT64_MIN};
  comparison result = {0};
  compare(&result, BW_INT64, (tolerance){0}, a, b, 2);
  EXPECT(result.elements == 2 && result.mismatches == 1 && result.max_abs_error == 1);
  EXPECT(dtype_distance(BW_INT64, &a[1], &a[0]) == 0x1p64);
}

int main(void) {
  small_floats_are_read();
  descriptions_are_matched();
  tolerance_is_a_sum();
  large_integers_are_exact();
  checksum_is_xxh64();
  cpu_knows_its_baseline();
  messages_are_bounded();
  workspace_settles();
  return 0;
}
