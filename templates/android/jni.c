/* boardwright.Native: the functions of model.h for Java.
 *
 * Java checks sizes and types before it calls and turns statuses into exceptions; this file only
 * passes things on. Its library finds the model's by name.
 */
#include "jni_calls.h"
#include "model.h"

extern void *malloc(size_t bytes);
extern void free(void *pointer);
extern size_t strlen(const char *text);

static bw_model *model_of(jni_long handle) { return (bw_model *)(intptr_t)handle; }

JNI_EXPORT jni_int Java_boardwright_Native_create(jni_env env, jni_object type, jni_object path,
                                                  jni_object weights, jni_long weights_bytes,
                                                  jni_int threads, jni_object handle) {
  (void)type;
  bw_options options = {.struct_size = sizeof options, .threads = threads};
  bw_model *model = NULL;
  char *text = NULL;
  if (path != NULL) {
    const jni_int length = jni_length(env, path);
    text = malloc((size_t)length + 1);
    if (text == NULL)
      return BW_ERROR_MEMORY;
    jni_get_bytes(env, path, length, text);
    text[length] = '\0';
    options.weights_path = text;
  }
  if (weights != NULL) {
    options.weights = jni_address(env, weights);
    options.weights_bytes = (uint64_t)weights_bytes;
  }
  const bw_status status = bw_create(&options, &model);
  free(text);
  const jni_long address = (jni_long)(intptr_t)model;
  jni_set_longs(env, handle, 0, 1, &address);
  return (jni_int)status;
}

JNI_EXPORT void Java_boardwright_Native_destroy(jni_env env, jni_object type, jni_long handle) {
  (void)env, (void)type;
  bw_destroy(model_of(handle));
}

static jni_object bytes_of(jni_env env, const char *text) {
  return jni_new_bytes(env, (jni_int)strlen(text), text);
}

JNI_EXPORT jni_object Java_boardwright_Native_lastError(jni_env env, jni_object type,
                                                        jni_long handle) {
  (void)type;
  return bytes_of(env, handle != 0 ? bw_last_error(model_of(handle)) : "out of memory");
}

JNI_EXPORT jni_object Java_boardwright_Native_modelName(jni_env env, jni_object type) {
  (void)type;
  return bytes_of(env, bw_model_name());
}

/* The asset of the app that holds the weights for this architecture. */
JNI_EXPORT jni_object Java_boardwright_Native_weightsAsset(jni_env env, jni_object type) {
  (void)type;
  return bytes_of(env, BW_WEIGHTS_ASSET);
}

JNI_EXPORT jni_long Java_boardwright_Native_weightsBytes(jni_env env, jni_object type) {
  (void)env, (void)type;
  return (jni_long)bw_weights_bytes(NULL); /* the same of every instance */
}

JNI_EXPORT jni_int Java_boardwright_Native_threads(jni_env env, jni_object type, jni_long handle) {
  (void)env, (void)type;
  return bw_thread_count(model_of(handle));
}

JNI_EXPORT jni_int Java_boardwright_Native_count(jni_env env, jni_object type, jni_long handle,
                                                 uint8_t of_outputs) {
  (void)env, (void)type;
  const bw_model *model = model_of(handle);
  return of_outputs ? bw_output_count(model) : bw_input_count(model);
}

static bw_tensor_info info_of(jni_long handle, uint8_t of_outputs, jni_int index) {
  bw_tensor_info info = {0};
  (of_outputs ? bw_output_info : bw_input_info)(model_of(handle), index, &info);
  return info;
}

JNI_EXPORT jni_object Java_boardwright_Native_name(jni_env env, jni_object type, jni_long handle,
                                                   uint8_t of_outputs, jni_int index) {
  (void)type;
  return bytes_of(env, info_of(handle, of_outputs, index).name);
}

/* Element type, bytes, then the extents. */
JNI_EXPORT jni_object Java_boardwright_Native_describe(jni_env env, jni_object type,
                                                       jni_long handle, uint8_t of_outputs,
                                                       jni_int index) {
  (void)type;
  const bw_tensor_info info = info_of(handle, of_outputs, index);
  const jni_long head[] = {info.dtype, (jni_long)info.size_bytes};
  const jni_object array = jni_new_longs(env, 2 + info.ndim);
  if (array == NULL)
    return NULL;
  jni_set_longs(env, array, 0, 2, head);
  jni_set_longs(env, array, 2, info.ndim, info.shape);
  return array;
}

static void addresses_of(jni_env env, jni_object buffers, jni_int count, void **addresses) {
  for (jni_int i = 0; i < count; i++) {
    const jni_object buffer = jni_element(env, buffers, i);
    addresses[i] = jni_address(env, buffer);
    jni_drop(env, buffer); /* Android had room for 512 references at once before API level 26 */
  }
}

JNI_EXPORT jni_int Java_boardwright_Native_run(jni_env env, jni_object type, jni_long handle,
                                               jni_object inputs, jni_object outputs) {
  (void)type;
  const jni_int input_count = jni_length(env, inputs), output_count = jni_length(env, outputs);
  void **addresses = malloc(((size_t)input_count + (size_t)output_count + 1) * sizeof *addresses);
  if (addresses == NULL)
    return BW_ERROR_MEMORY;
  addresses_of(env, inputs, input_count, addresses);
  addresses_of(env, outputs, output_count, addresses + input_count);
  const bw_status status =
      bw_run(model_of(handle), (const void *const *)addresses, addresses + input_count);
  free(addresses);
  return (jni_int)status;
}

/* How many bytes past a 64-byte boundary a direct buffer's memory begins. */
JNI_EXPORT jni_int Java_boardwright_Native_misalignment(jni_env env, jni_object type,
                                                        jni_object buffer) {
  (void)type;
  return (jni_int)((uintptr_t)jni_address(env, buffer) % 64);
}
