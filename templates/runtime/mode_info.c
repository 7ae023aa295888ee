/* --info: what this model is. */
#include "dtype.h"
#include "modes.h"

#include <inttypes.h>

static void print_tensors(const char *title, const tensors *all) {
  for (int32_t i = 0; i < all->count; i++) {
    const bw_tensor_info *info = &all->infos[i];
    printf("%s ", title);
    json_quote(stdout, info->name);
    printf(" (%s.npy): %s [", info->file, dtype_name(info->dtype));
    for (int32_t j = 0; j < info->ndim; j++)
      printf(j ? ", %" PRId64 : "%" PRId64, info->shape[j]);
    printf("]\n");
  }
}

static void print_text(const session *s) {
  printf("model %s for %s, kernels for %s\n", s->api.bw_model_name(), s->api.bw_target_name(),
         s->api.bw_cpu_name(s->model));
  print_tensors("input", &s->inputs);
  print_tensors("output", &s->outputs);
  printf("weights %" PRIu64 " bytes, arena %" PRIu64 " bytes, %d kernels, %d threads\n",
         s->api.bw_weights_bytes(s->model), s->api.bw_arena_bytes(s->model),
         (int)s->api.bw_kernel_count(s->model), (int)s->api.bw_thread_count(s->model));
}

static void print_json(const session *s) {
  json document = session_json(s);
  json_integer(&document, "abi", s->api.bw_abi_version());
  json_integer(&document, "kernels", s->api.bw_kernel_count(s->model));
  json_integer(&document, "weights_bytes", (int64_t)s->api.bw_weights_bytes(s->model));
  json_integer(&document, "arena_bytes", (int64_t)s->api.bw_arena_bytes(s->model));
  tensors_describe(&document, "inputs", &s->inputs);
  tensors_describe(&document, "outputs", &s->outputs);
  json_close(&document);
}

exit_code mode_info(session *s) {
  if (s->options.json)
    print_json(s);
  else
    print_text(s);
  return EXIT_OK;
}
