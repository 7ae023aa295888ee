/* The static plan: what plan.c (rendered from templates/plan.c.j2, data only) tells runtime.c.
 *
 * A model is a fixed list of kernel calls over views of four places: one arena, the weights, and
 * the caller's input and output buffers. Nothing is decided at run time.
 */
#ifndef BOARDWRIGHT_PLAN_H
#define BOARDWRIGHT_PLAN_H

#include "model.h"

/* DLPack's DLTensor and TVM FFI's TVMFFIAny, as far as kernels see them (dlpack.h,
 * tvm/ffi/c_api.h). */
typedef struct bw_dl_tensor {
  void *data;
  struct {
    int32_t type, id;
  } device;
  int32_t ndim;
  struct {
    uint8_t code, bits;
    uint16_t lanes;
  } dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} bw_dl_tensor;

typedef struct bw_any {
  int32_t type_index;
  uint32_t padding;
  union {
    int64_t i64;
    double f64;
    void *pointer;
  } value;
} bw_any;

typedef int (*bw_kernel)(void *self, const bw_any *args, int32_t count, bw_any *result);

typedef enum bw_place { BW_ARENA = 0, BW_WEIGHTS = 1, BW_INPUT = 2, BW_OUTPUT = 3 } bw_place;

typedef struct bw_view {
  uint8_t place; /* bw_place */
  uint8_t code;  /* DLPack type code */
  uint8_t bits;
  uint8_t ndim;
  int32_t index;       /* which input or output; 0 for arena and weights */
  uint64_t offset;     /* bytes from the place's start */
  uint64_t size_bytes; /* of the view */
  const int64_t *shape;
} bw_view;

typedef struct bw_call {
  bw_kernel kernel;
  const char *name;
  const char *nodes;     /* ONNX nodes, one a line */
  const uint32_t *views; /* indices into bw_plan.views, in argument order */
  uint32_t view_count;
  uint32_t result_count; /* how many of the views, the last ones, it writes */
} bw_call;

typedef struct bw_bounds {
  int64_t lowest, highest;
} bw_bounds;

/* Numbers that must be known good before a kernel takes them for addresses or divides by them. */
typedef struct bw_check {
  const char *what;        /* index, length, divisor, coordinate */
  const char *node;        /* the ONNX node that reads them */
  const char *tensor;      /* as in the ONNX model */
  const bw_bounds *bounds; /* of element i: bounds[i % bound_count] */
  uint32_t bound_count;    /* 0: any integer but 0, any finite float */
  uint32_t view;           /* an index into bw_plan.views */
  uint32_t before;         /* the number of the call that comes next */
} bw_check;

/* The same kernels for a better CPU, over the same weights and the same arena. */
typedef struct bw_variant {
  const char *name;            /* LLVM's name of the CPU, for people */
  const char *const *features; /* what it needs, in /proc/cpuinfo's spelling */
  const bw_kernel *kernels;    /* one a call */
  uint32_t feature_count;
} bw_variant;

/* An output no kernel writes in place (it is an input, a constant, or another output). */
typedef struct bw_copy {
  uint32_t from; /* view */
  int32_t output;
} bw_copy;

typedef struct bw_plan {
  const char *model;
  const char *target;
  const bw_tensor_info *inputs;
  const bw_tensor_info *outputs;
  const bw_view *views;
  const bw_call *calls;
  const bw_check *checks; /* in the order of the calls */
  const bw_copy *copies;
  const char *cpu;                 /* LLVM's name of the CPU that `calls` are for */
  const char *const *cpu_features; /* what they need, in /proc/cpuinfo's spelling */
  const bw_variant *variants;      /* better ones, the best last */
  const uint8_t *embedded_weights; /* NULL: read weights_path */
  uint64_t weights_bytes;
  uint64_t weights_xxh64; /* XXH64, seed 0, of the weights */
  uint64_t arena_bytes;   /* a multiple of 64 */
  int32_t input_count;
  int32_t output_count;
  uint32_t view_count;
  uint32_t call_count;
  uint32_t check_count;
  uint32_t copy_count;
  uint32_t cpu_feature_count;
  uint32_t variant_count;
} bw_plan;

extern const bw_plan bw_model_plan __attribute__((visibility("hidden")));

#endif
