/* A plan with no inputs, no weights and no arena. */
#include "kernels.h"

static const int64_t SHAPE[] = {FILLED};
static const bw_tensor_info OUTPUTS[] = {{"out", "out", BW_FLOAT32, 1, SHAPE, FILLED * 4}};
static const bw_view VIEWS[] = {{BW_OUTPUT, 2, 32, 1, 0, 0, FILLED * 4, SHAPE}};
static const uint32_t FILL_ARGS[] = {0};
static const bw_call CALLS[] = {{__tvm_ffi_fill, "fill", "Constant_0", FILL_ARGS, 1, 1}};

const bw_plan bw_model_plan = {
    .model = "bare",
    .target = "this-machine",
    .outputs = OUTPUTS,
    .views = VIEWS,
    .calls = CALLS,
    .output_count = 1,
    .view_count = 1,
    .call_count = 1,
};
