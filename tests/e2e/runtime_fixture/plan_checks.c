/* A plan with a check of each element type, bounded and not, before and behind its one call. */
#include "kernels.h"

enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, ELEMENTS = 4, TYPES = 10 };

static const int64_t SHAPE[] = {ELEMENTS}, OUT_SHAPE[] = {FILLED};

#define INPUT(name, dtype, bytes) {name, name, dtype, 1, SHAPE, ELEMENTS * (bytes)}
static const bw_tensor_info INPUTS[] = {
    INPUT("int8", BW_INT8, 1),       INPUT("int16", BW_INT16, 2),
    INPUT("int32", BW_INT32, 4),     INPUT("int64", BW_INT64, 8),
    INPUT("uint8", BW_UINT8, 1),     INPUT("uint16", BW_UINT16, 2),
    INPUT("uint32", BW_UINT32, 4),   INPUT("uint64", BW_UINT64, 8),
    INPUT("float32", BW_FLOAT32, 4), INPUT("float64", BW_FLOAT64, 8),
};
static const bw_tensor_info OUTPUTS[] = {{"out", "out", BW_FLOAT32, 1, OUT_SHAPE, FILLED * 4}};

#define VIEW(code, bits, index) {BW_INPUT, code, bits, 1, index, 0, ELEMENTS * (bits) / 8, SHAPE}
static const bw_view VIEWS[] = {
    VIEW(DL_INT, 8, 0),    VIEW(DL_INT, 16, 1),   VIEW(DL_INT, 32, 2),   VIEW(DL_INT, 64, 3),
    VIEW(DL_UINT, 8, 4),   VIEW(DL_UINT, 16, 5),  VIEW(DL_UINT, 32, 6),  VIEW(DL_UINT, 64, 7),
    VIEW(DL_FLOAT, 32, 8), VIEW(DL_FLOAT, 64, 9), {BW_OUTPUT, 2, 32, 1, 0, 0, FILLED * 4, OUT_SHAPE},
};

static const uint32_t FILL_ARGS[] = {TYPES};
static const bw_call CALLS[] = {{__tvm_ffi_fill, "fill", "Fill_0", FILL_ARGS, 1, 1}};

static const bw_bounds BOUNDS[] = {{-100, 100}, {-3, 2}};

#define BOUNDED(name, view) {"index", "Fill_0", name, BOUNDS, 2, view, 0}
#define DIVISOR(name, view) {"divisor", "Fill_0", name, NULL, 0, view, 0}
static const bw_check CHECKS[] = {
    BOUNDED("int8", 0),    BOUNDED("int16", 1),   BOUNDED("int32", 2),  BOUNDED("int64", 3),
    BOUNDED("uint8", 4),   BOUNDED("uint16", 5),  BOUNDED("uint32", 6), BOUNDED("uint64", 7),
    DIVISOR("int8", 0),    DIVISOR("int16", 1),   DIVISOR("int32", 2),  DIVISOR("int64", 3),
    DIVISOR("uint8", 4),   DIVISOR("uint16", 5),  DIVISOR("uint32", 6), DIVISOR("uint64", 7),
    DIVISOR("float32", 8), DIVISOR("float64", 9),
};

const bw_plan bw_model_plan = {
    .model = "checks",
    .target = "this-machine",
    .cpu = "any",
    .inputs = INPUTS,
    .outputs = OUTPUTS,
    .views = VIEWS,
    .calls = CALLS,
    .checks = CHECKS,
    .input_count = TYPES,
    .output_count = 1,
    .view_count = TYPES + 1,
    .call_count = 1,
    .check_count = sizeof CHECKS / sizeof CHECKS[0],
};
