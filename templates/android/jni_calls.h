/* What the glue needs of the Java Native Interface, without a JDK's headers.
 *
 * A JNIEnv is a pointer to a table of functions whose order the JNI specification fixes (chapter 4,
 * by index) and which is the same on every machine. Object references are pointers.
 */
#ifndef BOARDWRIGHT_JNI_CALLS_H
#define BOARDWRIGHT_JNI_CALLS_H

#include <stddef.h>
#include <stdint.h>

#define JNI_EXPORT __attribute__((visibility("default")))

typedef int32_t jni_int;
typedef int64_t jni_long;
typedef void *jni_object;
typedef const void *const *jni_table;
typedef jni_table *jni_env;

enum {
  JNI_DELETE_LOCAL_REF = 23,
  JNI_GET_ARRAY_LENGTH = 171,
  JNI_GET_OBJECT_ARRAY_ELEMENT = 173,
  JNI_NEW_BYTE_ARRAY = 176,
  JNI_NEW_LONG_ARRAY = 180,
  JNI_GET_BYTE_ARRAY_REGION = 200,
  JNI_SET_BYTE_ARRAY_REGION = 208,
  JNI_SET_LONG_ARRAY_REGION = 212,
  JNI_GET_DIRECT_BUFFER_ADDRESS = 230
};

#define JNI_CALL(env, index, type) ((type)(uintptr_t)(*(env))[index])

static inline void jni_drop(jni_env env, jni_object reference) {
  typedef void (*function)(jni_env, jni_object);
  JNI_CALL(env, JNI_DELETE_LOCAL_REF, function)(env, reference);
}

static inline jni_int jni_length(jni_env env, jni_object array) {
  typedef jni_int (*function)(jni_env, jni_object);
  return JNI_CALL(env, JNI_GET_ARRAY_LENGTH, function)(env, array);
}

static inline jni_object jni_element(jni_env env, jni_object array, jni_int index) {
  typedef jni_object (*function)(jni_env, jni_object, jni_int);
  return JNI_CALL(env, JNI_GET_OBJECT_ARRAY_ELEMENT, function)(env, array, index);
}

/* NULL, with an OutOfMemoryError pending, where there is no memory; so for both makers. */
static inline jni_object jni_new_bytes(jni_env env, jni_int length, const void *content) {
  typedef jni_object (*maker)(jni_env, jni_int);
  typedef void (*setter)(jni_env, jni_object, jni_int, jni_int, const void *);
  const jni_object array = JNI_CALL(env, JNI_NEW_BYTE_ARRAY, maker)(env, length);
  if (array != NULL)
    JNI_CALL(env, JNI_SET_BYTE_ARRAY_REGION, setter)(env, array, 0, length, content);
  return array;
}

static inline void jni_set_longs(jni_env env, jni_object array, jni_int start, jni_int length,
                                 const jni_long *content) {
  typedef void (*function)(jni_env, jni_object, jni_int, jni_int, const jni_long *);
  JNI_CALL(env, JNI_SET_LONG_ARRAY_REGION, function)(env, array, start, length, content);
}

static inline jni_object jni_new_longs(jni_env env, jni_int length) {
  typedef jni_object (*function)(jni_env, jni_int);
  return JNI_CALL(env, JNI_NEW_LONG_ARRAY, function)(env, length);
}

static inline void jni_get_bytes(jni_env env, jni_object array, jni_int length, void *content) {
  typedef void (*function)(jni_env, jni_object, jni_int, jni_int, void *);
  JNI_CALL(env, JNI_GET_BYTE_ARRAY_REGION, function)(env, array, 0, length, content);
}

/* Where a direct buffer's memory begins; NULL for any other buffer. */
static inline void *jni_address(jni_env env, jni_object buffer) {
  typedef void *(*function)(jni_env, jni_object);
  return JNI_CALL(env, JNI_GET_DIRECT_BUFFER_ADDRESS, function)(env, buffer);
}

#endif
