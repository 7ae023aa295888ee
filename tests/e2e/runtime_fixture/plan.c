/* A plan with every kind of thing in it: a scalar, an empty tensor, copies, a reused arena.
 *
 * FIXTURE_XXH64 is the weights' checksum; FIXTURE_FEATURES may name CPU features ("a", "b",);
 * FIXTURE_WEIGHTS may name a file of numbers to embed as the weights.
 */
#include "kernels.h"

enum { BYTES = ROWS * COLUMNS * 4, CONSTANT_BYTES = 64 };
enum { DL_INT = 0, DL_FLOAT = 2 };

static const int64_t MATRIX[] = {ROWS, COLUMNS}, TRIPLE[] = {3}, EMPTY[] = {0, 2}, PAIR[] = {2},
                     CONSTANT[] = {16};

static const bw_tensor_info INPUTS[] = {
    {"x", "x", BW_FLOAT32, 2, MATRIX, BYTES},
    {"bias", "bias", BW_FLOAT32, 0, NULL, 4},
    {"flags:0", "flags_0", BW_INT64, 1, TRIPLE, 24},
    {"empty", "empty", BW_FLOAT32, 2, EMPTY, 0},
};

static const bw_tensor_info OUTPUTS[] = {
    {"layer/sum", "layer_sum", BW_FLOAT32, 2, MATRIX, BYTES},
    {"doubled \"\x01\xff", "doubled", BW_FLOAT32, 2, MATRIX, BYTES},
    {"flags", "flags", BW_INT64, 1, TRIPLE, 24},
    {"constant", "constant", BW_FLOAT32, 1, CONSTANT, CONSTANT_BYTES},
    {"nothing", "nothing", BW_FLOAT32, 2, EMPTY, 0},
    {"counts", "counts", BW_INT32, 1, PAIR, 8},
};

enum { X, WEIGHTS, BIAS, SUM, DOUBLED, FLAGS, CONSTANTS, COUNTS, VIEW_COUNT };

static const bw_view VIEWS[] = {
    [X] = {BW_INPUT, DL_FLOAT, 32, 2, 0, 0, BYTES, MATRIX},
    [WEIGHTS] = {BW_WEIGHTS, DL_FLOAT, 32, 2, 0, 0, BYTES, MATRIX},
    [BIAS] = {BW_INPUT, DL_FLOAT, 32, 0, 1, 0, 4, NULL},
    [SUM] = {BW_OUTPUT, DL_FLOAT, 32, 2, 0, 0, BYTES, MATRIX},
    [DOUBLED] = {BW_OUTPUT, DL_FLOAT, 32, 2, 1, 0, BYTES, MATRIX},
    [FLAGS] = {BW_INPUT, DL_INT, 64, 1, 2, 0, 24, TRIPLE},
    [CONSTANTS] = {BW_WEIGHTS, DL_FLOAT, 32, 1, 0, BYTES, CONSTANT_BYTES, CONSTANT},
    [COUNTS] = {BW_ARENA, DL_INT, 32, 1, 0, 64, 8, PAIR},
};

static const uint32_t GUARD_ARGS[] = {X}, ADD_ARGS[] = {X, WEIGHTS, BIAS, SUM},
                      TWICE_ARGS[] = {SUM, DOUBLED}, COUNT_ARGS[] = {COUNTS};

static const bw_call CALLS[] = {
    {__tvm_ffi_guard, "guard", "Guard_0\nRelu_1", GUARD_ARGS, 1, 0},
    {__tvm_ffi_leak, "leak", "Leak_2", GUARD_ARGS, 1, 0},
    {__tvm_ffi_add, "add", "Add_3", ADD_ARGS, 4, 1},
    {__tvm_ffi_twice, "twice", "Mul_4", TWICE_ARGS, 2, 1},
    {__tvm_ffi_count_tasks, "count_tasks", "Count_5", COUNT_ARGS, 1, 1},
};

static const bw_bounds FLAG_BOUNDS[] = {{-1000, INT64_MAX}};

static const bw_check CHECKS[] = {{"index", "Add_3", "flags:0", FLAG_BOUNDS, 1, FLAGS, 2}};

static const bw_copy COPIES[] = {{FLAGS, 2}, {CONSTANTS, 3}, {COUNTS, 5}};

#ifdef FIXTURE_FEATURES
static const char *const FEATURES[] = {FIXTURE_FEATURES};
#define FEATURE_COUNT (sizeof FEATURES / sizeof FEATURES[0])
#else
#define FEATURES NULL
#define FEATURE_COUNT 0
#endif

#ifdef FIXTURE_WEIGHTS
static const _Alignas(64) uint8_t EMBEDDED[] = {
#include FIXTURE_WEIGHTS
};
#else
#define EMBEDDED NULL
#endif

const bw_plan bw_model_plan = {
    .model = "fixture",
    .target = "this-machine",
    .cpu = "any",
    .inputs = INPUTS,
    .outputs = OUTPUTS,
    .views = VIEWS,
    .calls = CALLS,
    .checks = CHECKS,
    .copies = COPIES,
    .cpu_features = FEATURES,
    .embedded_weights = EMBEDDED,
    .weights_bytes = BYTES + CONSTANT_BYTES,
    .weights_xxh64 = FIXTURE_XXH64,
    .arena_bytes = 128,
    .input_count = 4,
    .output_count = 6,
    .view_count = VIEW_COUNT,
    .call_count = 5,
    .check_count = 1,
    .copy_count = 3,
    .cpu_feature_count = FEATURE_COUNT,
};
