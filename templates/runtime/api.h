/* The model as the runner sees it: the functions of model.h in a table, so that one runner serves a
 * library loaded at run time and one linked in. */
#ifndef BOARDWRIGHT_API_H
#define BOARDWRIGHT_API_H

#include "model.h"

#define MODEL_FUNCTIONS(X)                                                                         \
  X(bw_abi_version)                                                                                \
  X(bw_create)                                                                                     \
  X(bw_destroy)                                                                                    \
  X(bw_input_count)                                                                                \
  X(bw_output_count)                                                                               \
  X(bw_input_info)                                                                                 \
  X(bw_output_info)                                                                                \
  X(bw_run)                                                                                        \
  X(bw_last_error)                                                                                 \
  X(bw_set_profiling)                                                                              \
  X(bw_kernel_count)                                                                               \
  X(bw_kernel_get)                                                                                 \
  X(bw_set_observer)                                                                               \
  X(bw_thread_count)                                                                               \
  X(bw_arena_bytes)                                                                                \
  X(bw_weights_bytes)                                                                              \
  X(bw_model_name)                                                                                 \
  X(bw_target_name)                                                                                \
  X(bw_cpu_name)

#define MODEL_FUNCTION_FIELD(name) __typeof__(&name) name;
typedef struct model_api {
  MODEL_FUNCTIONS(MODEL_FUNCTION_FIELD)
} model_api;

/* Fill the table (load_shared.c or load_static.c). `library` is what --library says, or NULL for
 * the bundle's own. Exits with EXIT_START when there is no such library. */
void api_load(model_api *api, const char *bundle, const char *library);

#endif
