/* The buffers of a model's inputs or outputs. */
#define _POSIX_C_SOURCE 200809L
#include "tensors.h"
#include "dtype.h"
#include "fail.h"
#include "npy.h"
#include "paths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ALIGNMENT = 64 };

static void *allocate_tensor(const bw_tensor_info *info) {
  void *buffer = NULL;
  const bool fits = info->size_bytes <= SIZE_MAX / 2;
  const size_t bytes = fits && info->size_bytes != 0 ? (size_t)info->size_bytes : ALIGNMENT;
  if (!fits || posix_memalign(&buffer, ALIGNMENT, bytes) != 0)
    fail(EXIT_START, "no memory for tensor %s of %" PRIu64 " bytes", info->name, info->size_bytes);
  memset(buffer, 0, bytes);
  return buffer;
}

tensors tensors_create(const bw_model *model, int32_t (*count)(const bw_model *),
                       bw_status (*info)(const bw_model *, int32_t, bw_tensor_info *)) {
  tensors all = {.count = count(model)};
  all.infos = allocate((size_t)all.count, sizeof *all.infos);
  all.buffers = allocate((size_t)all.count, sizeof *all.buffers);
  for (int32_t i = 0; i < all.count; i++) {
    info(model, i, &all.infos[i]);
    all.buffers[i] = allocate_tensor(&all.infos[i]);
  }
  return all;
}

void tensors_destroy(tensors *all) {
  for (int32_t i = 0; i < all->count; i++)
    free(all->buffers[i]);
  free(all->buffers);
  free(all->infos);
}

char *tensor_path(const char *folder, const bw_tensor_info *info) {
  return path_format("%s/%s.npy", folder, info->file);
}

static void load(const char *folder, const bw_tensor_info *info, void *buffer) {
  npy_file file;
  npy_error error;
  char *path = tensor_path(folder, info);
  if (!npy_open(&file, path, info, &error) || !npy_read(&file, buffer, (size_t)info->size_bytes) ||
      !npy_close(&file, true))
    fail(EXIT_USAGE, "%s", error.text);
  free(path);
}

void tensors_load(tensors *all, const char *folder) {
  for (int32_t i = 0; i < all->count; i++)
    load(folder, &all->infos[i], all->buffers[i]);
}

void tensors_store(const tensors *all, const char *folder) {
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    fail(EXIT_RUN, "cannot make the folder %s; %s", folder, strerror(errno));
  for (int32_t i = 0; i < all->count; i++) {
    npy_error error;
    char *path = tensor_path(folder, &all->infos[i]);
    if (!npy_write(path, &all->infos[i], all->buffers[i], &error))
      fail(EXIT_RUN, "%s", error.text);
    free(path);
  }
}

static void describe(json *document, const bw_tensor_info *info) {
  json_object(document, NULL);
  json_string(document, "name", info->name);
  json_string(document, "file", info->file);
  json_string(document, "dtype", dtype_name(info->dtype));
  json_array(document, "shape");
  for (int32_t i = 0; i < info->ndim; i++)
    json_integer(document, NULL, info->shape[i]);
  json_end(document);
  json_integer(document, "size_bytes", (int64_t)info->size_bytes);
  json_end(document);
}

void tensors_describe(json *document, const char *key, const tensors *all) {
  json_array(document, key);
  for (int32_t i = 0; i < all->count; i++)
    describe(document, &all->infos[i]);
  json_end(document);
}
