/* --dump DIR: one run, and every tensor that a kernel writes in it as DIR/KERNEL-RESULT.npy, listed
 * in DIR/dump.json with the ONNX nodes the kernel came from. What goes into the model and comes out
 * lies beside them as DIR/input-NUMBER.npy and DIR/output-NUMBER.npy. */
#include "dtype.h"
#include "modes.h"
#include "npy.h"
#include "paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct dump {
  const char *folder;
  bw_kernel_info *kernels;
  json list;
} dump;

static FILE *open_list(const char *folder) {
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    fail(EXIT_RUN, "cannot make the folder %s; %s", folder, strerror(errno));
  char *path = path_format("%s/dump.json", folder);
  FILE *out = fopen(path, "w");
  if (out == NULL)
    fail(EXIT_RUN, "%s: cannot be written; %s", path, strerror(errno));
  free(path);
  return out;
}

static void list_nodes(json *list, const char *nodes) {
  json_array(list, "nodes");
  char *copy = allocate(strlen(nodes) + 1, 1);
  strcpy(copy, nodes);
  for (char *node = strtok(copy, "\n"); node != NULL; node = strtok(NULL, "\n"))
    json_string(list, NULL, node);
  free(copy);
  json_end(list);
}

static void list_tensor(dump *d, int32_t kernel, const bw_tensor_info *info) {
  json_object(&d->list, NULL);
  json_string(&d->list, "file", info->file);
  json_string(&d->list, "kernel", d->kernels[kernel].name);
  json_string(&d->list, "dtype", dtype_name(info->dtype));
  list_nodes(&d->list, d->kernels[kernel].nodes);
  json_end(&d->list);
}

static void write_tensor(void *context, int32_t kernel, int32_t result, const bw_tensor_info *info,
                         const void *elements) {
  dump *d = context;
  npy_error error;
  char *file = path_format("%d-%d", (int)kernel, (int)result);
  const bw_tensor_info named = {.name = file,
                                .file = file,
                                .dtype = info->dtype,
                                .ndim = info->ndim,
                                .shape = info->shape,
                                .size_bytes = info->size_bytes};
  char *path = tensor_path(d->folder, &named);
  if (!npy_write(path, &named, elements, &error))
    fail(EXIT_RUN, "%s", error.text);
  list_tensor(d, kernel, &named);
  free(path);
  free(file);
}

static void write_all(const char *folder, const char *kind, const tensors *all) {
  for (int32_t i = 0; i < all->count; i++) {
    npy_error error;
    char *path = path_format("%s/%s-%d.npy", folder, kind, (int)i);
    if (!npy_write(path, &all->infos[i], all->buffers[i], &error))
      fail(EXIT_RUN, "%s", error.text);
    free(path);
  }
}

/* Asked for beforehand: while the model runs it can only be watched. */
static bw_kernel_info *kernels_of(const session *s) {
  const int32_t count = s->api.bw_kernel_count(s->model);
  bw_kernel_info *kernels = allocate((size_t)count, sizeof *kernels);
  for (int32_t i = 0; i < count; i++)
    s->api.bw_kernel_get(s->model, i, &kernels[i]);
  return kernels;
}

exit_code mode_dump(session *s) {
  if (s->options.inputs != NULL)
    tensors_load(&s->inputs, s->options.inputs);
  else
    session_load_sample_inputs(s);
  FILE *out = open_list(s->options.dump);
  dump d = {.folder = s->options.dump, .kernels = kernels_of(s), .list = json_open(out)};
  json_array(&d.list, "tensors");
  s->api.bw_set_observer(s->model, write_tensor, &d);
  session_run(s);
  json_end(&d.list);
  json_close(&d.list);
  write_all(d.folder, "input", &s->inputs);
  write_all(d.folder, "output", &s->outputs);
  free(d.kernels);
  if (fclose(out) != 0)
    fail(EXIT_RUN, "%s/dump.json: cannot be written; %s", s->options.dump, strerror(errno));
  return EXIT_OK;
}
