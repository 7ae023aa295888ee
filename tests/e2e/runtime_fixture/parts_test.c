/* The library's parts that no model call shows: checksum, CPU features, messages, workspace. */
#include "cpu.h"
#include "expect.h"
#include "message.h"
#include "workspace.h"
#include "xxh64.h"

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

int main(void) {
  checksum_is_xxh64();
  cpu_knows_its_baseline();
  messages_are_bounded();
  workspace_settles();
  return 0;
}
