/* One started model with its buffers, as the command line asked for it. */
#include "session.h"
#include "fail.h"
#include "paths.h"
#include "stats.h"

#include <stdlib.h>

static void check_abi(const model_api *api) {
  const int found = api->bw_abi_version();
  if (found != BW_ABI_VERSION)
    fail(EXIT_START, "the model library speaks ABI %d, this runner %d; use the runner it came with",
         found, BW_ABI_VERSION);
}

static void create(session *s) {
  const options *o = &s->options;
  char *weights =
      o->weights ? path_format("%s", o->weights) : path_format("%s/share/weights.bin", s->bundle);
  const bw_options settings = {.struct_size = sizeof settings,
                               .threads = o->threads,
                               .weights_path = weights,
                               .cores = o->cores,
                               .cpu = o->cpu};
  const bw_status status = s->api.bw_create(&settings, &s->model);
  if (status != BW_OK)
    fail(status == BW_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_START, "the model could not start; %s",
         s->api.bw_last_error(s->model));
  free(weights);
}

session session_open(options asked) {
  session s = {.options = asked};
  s.bundle = asked.bundle ? path_format("%s", asked.bundle) : path_of_bundle();
  const uint64_t start_ns = stats_now_ns();
  api_load(&s.api, s.bundle, asked.library);
  check_abi(&s.api);
  create(&s);
  s.init_us = stats_us_since(start_ns);
  s.inputs = tensors_create(s.model, s.api.bw_input_count, s.api.bw_input_info);
  s.outputs = tensors_create(s.model, s.api.bw_output_count, s.api.bw_output_info);
  return s;
}

void session_close(session *s) {
  tensors_destroy(&s->inputs);
  tensors_destroy(&s->outputs);
  s->api.bw_destroy(s->model);
  free(s->bundle);
  free(s->options.cores);
}

void session_run(session *s) {
  const void *const *inputs = (const void *const *)s->inputs.buffers;
  const bw_status status = s->api.bw_run(s->model, inputs, s->outputs.buffers);
  if (status == BW_ERROR_VALUE)
    fail(EXIT_VALUE, "the model cannot run on these inputs; %s", s->api.bw_last_error(s->model));
  if (status != BW_OK)
    fail(EXIT_RUN, "the model failed; %s", s->api.bw_last_error(s->model));
}

char *session_check_folder(const session *s, const char *name) {
  return path_format("%s/check/%s", s->bundle, name);
}

void session_load_sample_inputs(session *s) {
  char *folder = session_check_folder(s, "inputs");
  if (path_exists(folder))
    tensors_load(&s->inputs, folder);
  free(folder);
}

json session_json(const session *s) {
  json document = json_open(stdout);
  json_string(&document, "model", s->api.bw_model_name());
  json_string(&document, "target", s->api.bw_target_name());
  json_string(&document, "cpu", s->api.bw_cpu_name(s->model));
  json_integer(&document, "threads", s->api.bw_thread_count(s->model));
  return document;
}
