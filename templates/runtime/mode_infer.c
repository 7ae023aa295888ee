/* --inputs DIR --outputs DIR: one run on the user's files. */
#include "modes.h"

static void print_json(const session *s) {
  json document = session_json(s);
  tensors_describe(&document, "outputs", &s->outputs);
  json_close(&document);
}

exit_code mode_infer(session *s) {
  tensors_load(&s->inputs, s->options.inputs);
  session_run(s);
  tensors_store(&s->outputs, s->options.outputs);
  if (s->options.json)
    print_json(s);
  return EXIT_OK;
}
