/* Values that are refused, of every element type, and those next to them that are not. */
#include "expect.h"
#include "model.h"

#include <string.h>

enum { TYPES = 10, ELEMENTS = 4, WIDEST = 8, OUT = 5 };

static const int BYTES[TYPES] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};

typedef struct values {
  _Alignas(64) unsigned char bytes[TYPES][ELEMENTS * WIDEST];
} values;

static void set(values *all, int type, int element, uint64_t bits) {
  memcpy(&all->bytes[type][element * BYTES[type]], &bits, (size_t)BYTES[type]);
}

/* Ones: allowed everywhere. As floats they are tiny. */
static void fill(values *all) {
  for (int type = 0; type < TYPES; type++)
    for (int element = 0; element < ELEMENTS; element++)
      set(all, type, element, 1);
}

static bw_status run(bw_model *model, values *all) {
  _Alignas(64) float out[OUT] = {-1, -1, -1, -1, -1};
  const void *inputs[TYPES];
  void *outputs[] = {out};
  for (int type = 0; type < TYPES; type++)
    inputs[type] = all->bytes[type]; /* 32 bytes apart: every other one is staged */
  const bw_status status = bw_run(model, inputs, outputs);
  EXPECT(out[3] == (status == BW_OK ? 3 : -1)); /* no call comes before the checks */
  return status;
}

static void passes(bw_model *model, int type, int element, uint64_t bits) {
  values all;
  fill(&all);
  set(&all, type, element, bits);
  EXPECT(run(model, &all) == BW_OK);
}

static void fails(bw_model *model, int type, int element, uint64_t bits, const char *said) {
  values all;
  fill(&all);
  set(&all, type, element, bits);
  EXPECT(run(model, &all) == BW_ERROR_VALUE);
  EXPECT(strcmp(bw_last_error(model), said) == 0);
  passes(model, type, element, 1); /* the instance stays usable */
}

/* Element 1 and 3 are bounded by -3 to 2, the others by -100 to 100. */
static void checks_bounds(bw_model *model) {
  for (int type = 0; type < 4; type++) {
    passes(model, type, 2, 100);
    passes(model, type, 2, (uint64_t)-100);
    passes(model, type, 3, (uint64_t)-3);
  }
  for (int type = 4; type < 8; type++)
    passes(model, type, 3, 2);
  fails(model, 0, 2, 101,
        "index 101 is not in -100 to 100: element 2 of tensor 'int8', which node 'Fill_0' reads");
  fails(model, 0, 1, (uint64_t)-4,
        "index -4 is not in -3 to 2: element 1 of tensor 'int8', which node 'Fill_0' reads");
  fails(model, 1, 3, 3,
        "index 3 is not in -3 to 2: element 3 of tensor 'int16', which node 'Fill_0' reads");
  fails(model, 2, 0, 1u << 31,
        "index -2147483648 is not in -100 to 100: element 0 of tensor 'int32', which node "
        "'Fill_0' reads");
  fails(model, 3, 3, UINT64_C(1) << 63,
        "index -9223372036854775808 is not in -3 to 2: element 3 of tensor 'int64', which node "
        "'Fill_0' reads");
  fails(model, 4, 3, 255,
        "index 255 is not in -3 to 2: element 3 of tensor 'uint8', which node 'Fill_0' reads");
  fails(model, 5, 0, 65535,
        "index 65535 is not in -100 to 100: element 0 of tensor 'uint16', which node 'Fill_0' "
        "reads");
  fails(model, 6, 0, UINT32_MAX,
        "index 4294967295 is not in -100 to 100: element 0 of tensor 'uint32', which node "
        "'Fill_0' reads");
  fails(model, 7, 1, UINT64_MAX,
        "index above 9223372036854775807 is not in -3 to 2: element 1 of tensor 'uint64', which "
        "node 'Fill_0' reads");
}

static void checks_divisors(bw_model *model) {
  static const char *const NAMES[] = {"int8",  "int16",  "int32",  "int64",
                                      "uint8", "uint16", "uint32", "uint64"};
  for (int type = 0; type < 8; type++) {
    char said[128];
    snprintf(said, sizeof said,
             "divisor 0 is not allowed: element 2 of tensor '%s', which node 'Fill_0' reads",
             NAMES[type]);
    fails(model, type, 2, 0, said);
  }
}

static void checks_floats(bw_model *model) {
  passes(model, 8, 0, 0x7f7fffff); /* the largest of all */
  passes(model, 8, 0, 0xff7fffff);
  passes(model, 9, 0, UINT64_C(0x7fefffffffffffff));
  static const uint64_t INFINITE[][2] = {
      {0x7f800000, UINT64_C(0x7ff0000000000000)},
      {0xff800000, UINT64_C(0xfff0000000000000)},
      {0x7fc00000, UINT64_C(0x7ff8000000000000)},
      {0xffffffff, UINT64_MAX},
  };
  for (size_t i = 0; i < sizeof INFINITE / sizeof INFINITE[0]; i++) {
    fails(model, 8, 1, INFINITE[i][0],
          "divisor that is not finite is not allowed: element 1 of tensor 'float32', which node "
          "'Fill_0' reads");
    fails(model, 9, 1, INFINITE[i][1],
          "divisor that is not finite is not allowed: element 1 of tensor 'float64', which node "
          "'Fill_0' reads");
  }
}

int main(void) {
  bw_model *model;
  const bw_options options = {.struct_size = sizeof options, .threads = 1};
  EXPECT(bw_create(&options, &model) == BW_OK);
  checks_bounds(model);
  checks_divisors(model);
  checks_floats(model);
  bw_destroy(model);
  return 0;
}
