/* The C interface of a Boardwright model library.
 *
 * A library holds exactly one model. Several instances may live at once and run in parallel; one
 * instance runs one inference at a time (concurrent bw_run calls on it wait for each other).
 * Nothing here prints, exits or changes process-wide state. Worker threads take no signals but those
 * of their own faults. In a forked child an instance with workers can only be destroyed; bw_run says
 * so. A library stays in memory once it is loaded: dlclose unmaps nothing that a worker may run.
 */
#ifndef BOARDWRIGHT_MODEL_H
#define BOARDWRIGHT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BW_API __attribute__((visibility("default")))
#define BW_ABI_VERSION 1

typedef struct bw_model bw_model;

typedef enum bw_status {
  BW_OK = 0,
  BW_ERROR_ARGUMENT = 1, /* a null pointer, an index out of range, a wrong byte count */
  BW_ERROR_MEMORY = 2,   /* the system gave no memory */
  BW_ERROR_WEIGHTS = 3,  /* the weights file is missing, short, or not the one of this library */
  BW_ERROR_CPU = 4,      /* this CPU lacks an instruction set the kernels need */
  BW_ERROR_THREAD = 5,   /* a worker could not be started, or was left behind by a fork */
  BW_ERROR_KERNEL = 6,   /* a kernel reported a failure */
  BW_ERROR_VALUE = 7     /* an index, a length or a divisor that the model cannot have */
} bw_status;

typedef enum bw_dtype {
  BW_FLOAT32 = 0,
  BW_FLOAT64 = 1,
  BW_FLOAT16 = 2,
  BW_BFLOAT16 = 3,
  BW_INT8 = 4,
  BW_INT16 = 5,
  BW_INT32 = 6,
  BW_INT64 = 7,
  BW_UINT8 = 8,
  BW_UINT16 = 9,
  BW_UINT32 = 10,
  BW_UINT64 = 11,
  BW_BOOL = 12
} bw_dtype;

typedef struct bw_tensor_info {
  const char *name;     /* as in the ONNX model, UTF-8 */
  const char *file;     /* the .npy stem that stands for the name on disk */
  int32_t dtype;        /* bw_dtype */
  int32_t ndim;         /* 0 for a scalar */
  const int64_t *shape; /* ndim extents, row-major, no padding */
  uint64_t size_bytes;  /* of the whole tensor */
} bw_tensor_info;

typedef struct bw_options {
  uint32_t struct_size;     /* sizeof(bw_options): lets the struct grow without breaking callers */
  int32_t threads;          /* 0: one per usable core; n: the caller and n - 1 workers */
  const char *weights_path; /* ignored by libraries that embed their weights */
  const int32_t *cores;     /* NULL: no pinning; else `threads` cores, bw_create's caller's first */
  int32_t skip_checksum;    /* non-zero: do not read all the weights at start-up to check them */
  const char *cpu;          /* NULL: the best kernels this CPU runs; else those of this name */
  const void *weights;      /* NULL: read weights_path; else the weights, kept till bw_destroy */
  uint64_t weights_bytes;   /* of `weights`: used in place if 64-byte aligned, else copied */
} bw_options;

typedef struct bw_kernel_info {
  const char *name;  /* the kernel's symbol, without its prefix */
  const char *nodes; /* the ONNX nodes it came from, one a line */
  uint64_t calls;    /* since profiling was switched on */
  uint64_t total_ns;
} bw_kernel_info;

/* Make an instance. `options` may be NULL for libraries with embedded weights. On failure *model is
 * still set (NULL only when memory ran out) so that bw_last_error can tell why; destroy it too. */
BW_API bw_status bw_create(const bw_options *options, bw_model **model);
BW_API void bw_destroy(bw_model *model);

BW_API int32_t bw_abi_version(void);
BW_API int32_t bw_input_count(const bw_model *model);
BW_API int32_t bw_output_count(const bw_model *model);
BW_API bw_status bw_input_info(const bw_model *model, int32_t index, bw_tensor_info *info);
BW_API bw_status bw_output_info(const bw_model *model, int32_t index, bw_tensor_info *info);

/* Run once. `inputs` and `outputs` hold one pointer a tensor, in the model's order, to size_bytes
 * each; NULL will do for 0 bytes. 64-byte aligned buffers are used in place, others cost a copy.
 * Inputs and outputs must not overlap. Whatever values the inputs have, only the outputs are written
 * to: where an index, a length or a divisor computed from them is none, the run ends with
 * BW_ERROR_VALUE. After any error the outputs' values are unspecified, and the next run may be good.
 */
BW_API bw_status bw_run(bw_model *model, const void *const *inputs, void *const *outputs);

/* The reason of the last failure on this instance: never NULL, valid until its next call. */
BW_API const char *bw_last_error(const bw_model *model);

/* Time every kernel of the runs that follow; off by default because it costs two clock reads each.
 */
BW_API bw_status bw_set_profiling(bw_model *model, int32_t enabled);
BW_API int32_t bw_kernel_count(const bw_model *model);
BW_API bw_status bw_kernel_get(const bw_model *model, int32_t index, bw_kernel_info *info);

/* Show `observer` what each kernel of the runs that follow writes, before the next may overwrite it;
 * NULL ends that. It is called by the thread that runs the model and must not call back into it.
 * `info` has no name and no file; `result` counts what one kernel writes. */
typedef void (*bw_observer)(void *context, int32_t kernel, int32_t result,
                            const bw_tensor_info *info, const void *elements);
BW_API bw_status bw_set_observer(bw_model *model, bw_observer observer, void *context);

/* Facts for tools. */
BW_API int32_t bw_thread_count(const bw_model *model);
BW_API uint64_t bw_arena_bytes(const bw_model *model);
BW_API uint64_t bw_weights_bytes(const bw_model *model);
BW_API const char *bw_model_name(void);
BW_API const char *bw_target_name(void);
BW_API const char *bw_cpu_name(const bw_model *model); /* whose kernels run, as LLVM calls it */

#ifdef __cplusplus
}
#endif
#endif
