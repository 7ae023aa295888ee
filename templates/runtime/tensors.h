/* The buffers of a model's inputs or outputs, and the folders of .npy files they come from. */
#ifndef BOARDWRIGHT_TENSORS_H
#define BOARDWRIGHT_TENSORS_H

#include "api.h"
#include "json.h"

typedef struct tensors {
  int32_t count;
  bw_tensor_info *infos;
  void **buffers; /* 64-byte aligned, all zeros at first */
} tensors;

/* `count` and `info` are the table's functions for inputs or for outputs. */
tensors tensors_create(const bw_model *model, int32_t (*count)(const bw_model *),
                       bw_status (*info)(const bw_model *, int32_t, bw_tensor_info *));
void tensors_destroy(tensors *all);

/* FOLDER/FILE.npy, for free(). */
char *tensor_path(const char *folder, const bw_tensor_info *info);

/* Read every tensor; exits with EXIT_USAGE at the first file that does not fit. */
void tensors_load(tensors *all, const char *folder);

/* Write every tensor, making the folder; exits with EXIT_RUN when that fails. */
void tensors_store(const tensors *all, const char *folder);

/* name, file, dtype, shape, size_bytes. */
void tensors_describe(json *document, const char *key, const tensors *all);

#endif
