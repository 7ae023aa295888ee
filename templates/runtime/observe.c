/* What kernels write, shown to whoever asked to see it. */
#include "instance.h"

/* DLPack's type codes (dlpack.h, DLDataTypeCode). */
enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4, DL_BOOL = 6 };

static int32_t of_bits(uint8_t bits, const int32_t dtypes[4]) {
  return bits == 8 ? dtypes[0] : bits == 16 ? dtypes[1] : bits == 32 ? dtypes[2] : dtypes[3];
}

static int32_t dtype_of(const bw_view *view) {
  static const int32_t INTS[] = {BW_INT8, BW_INT16, BW_INT32, BW_INT64};
  static const int32_t UINTS[] = {BW_UINT8, BW_UINT16, BW_UINT32, BW_UINT64};
  static const int32_t FLOATS[] = {BW_FLOAT16, BW_FLOAT16, BW_FLOAT32, BW_FLOAT64};
  switch (view->code) {
  case DL_INT:
    return of_bits(view->bits, INTS);
  case DL_UINT:
    return of_bits(view->bits, UINTS);
  case DL_BFLOAT:
    return BW_BFLOAT16;
  case DL_BOOL:
    return BW_BOOL;
  default:
    return of_bits(view->bits, FLOATS);
  }
}

void bw_observe(const bw_model *model, uint32_t index) {
  const bw_call *call = &bw_model_plan.calls[index];
  for (uint32_t i = 0; i < call->result_count; i++) {
    const uint32_t at = call->views[call->view_count - call->result_count + i];
    const bw_view *view = &bw_model_plan.views[at];
    const bw_tensor_info info = {.dtype = dtype_of(view),
                                 .ndim = view->ndim,
                                 .shape = view->shape,
                                 .size_bytes = view->size_bytes};
    model->observer(model->observer_context, (int32_t)index, (int32_t)i, &info,
                    model->tensors[at].data);
  }
}
