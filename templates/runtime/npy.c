/* NumPy's .npy files: numpy.lib.format's documentation is the specification. */
#define _POSIX_C_SOURCE 200809L
#include "npy.h"
#include "dtype.h"
#include "npy_header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};
enum { HEADER_LIMIT = 10000 /* numpy's own limit */, HEADER_ALIGNMENT = 64 };
enum { EXTENT_BYTES = 22 /* of text */, SHAPE_BYTES = NPY_NDIM_LIMIT * EXTENT_BYTES + 4 };

static bool refuse(npy_error *error, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(npy_error *error, const char *path, const char *format, ...) {
  char why[400];
  va_list values;
  va_start(values, format);
  vsnprintf(why, sizeof why, format, values);
  va_end(values);
  snprintf(error->text, sizeof error->text, "%s: %s", path, why);
  return false;
}

/* "(1, 3, 224)" as Python writes it. */
static void shape_text(char text[SHAPE_BYTES], const int64_t *shape, int32_t ndim) {
  size_t used = (size_t)snprintf(text, SHAPE_BYTES, "(");
  for (int32_t i = 0; i < ndim && i < NPY_NDIM_LIMIT; i++)
    used +=
        (size_t)snprintf(text + used, SHAPE_BYTES - used, i ? ", %" PRId64 : "%" PRId64, shape[i]);
  snprintf(text + used, SHAPE_BYTES - used, ndim == 1 ? ",)" : ")");
}

static bool read_exactly(FILE *stream, void *buffer, size_t bytes) {
  return fread(buffer, 1, bytes, stream) == bytes;
}

/* Read magic, version and header length; return the length, or 0 with the error set. */
static size_t read_preamble(npy_file *file) {
  unsigned char start[sizeof MAGIC + 2], length[4] = {0};
  if (!read_exactly(file->stream, start, sizeof start) || memcmp(start, MAGIC, sizeof MAGIC) != 0)
    return refuse(file->error, file->path, "not an .npy file");
  const unsigned major = start[sizeof MAGIC];
  if (major < 1 || major > 3)
    return refuse(file->error, file->path, "version %u of the .npy format is not known", major);
  if (!read_exactly(file->stream, length, major == 1 ? 2 : 4))
    return refuse(file->error, file->path, "truncated before its header");
  const uint32_t bytes = (uint32_t)length[0] | (uint32_t)length[1] << 8 |
                         (uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
  if (bytes == 0 || bytes > HEADER_LIMIT)
    return refuse(file->error, file->path, "a header of %" PRIu32 " bytes is not plausible", bytes);
  return bytes;
}

static bool read_header(npy_file *file, npy_header *header) {
  char text[HEADER_LIMIT];
  const size_t bytes = read_preamble(file);
  if (bytes == 0)
    return false;
  if (!read_exactly(file->stream, text, bytes))
    return refuse(file->error, file->path, "truncated in its header");
  const char *problem = npy_parse_header(header, text, bytes);
  return problem == NULL || refuse(file->error, file->path, "malformed header: %s", problem);
}

static bool same_shape(const npy_header *header, const bw_tensor_info *info) {
  return header->ndim == info->ndim &&
         (info->ndim == 0 ||
          memcmp(header->shape, info->shape, (size_t)info->ndim * sizeof *info->shape) == 0);
}

static bool match(npy_file *file, const npy_header *header, const bw_tensor_info *info) {
  if (!dtype_accepts(info->dtype, header->descr, strlen(header->descr)))
    return refuse(file->error, file->path, "has dtype '%s' where tensor %s needs '%s' (%s)",
                  header->descr, info->name, dtype_descr(info->dtype), dtype_name(info->dtype));
  if (!same_shape(header, info)) {
    char found[SHAPE_BYTES], wanted[SHAPE_BYTES];
    shape_text(found, header->shape, header->ndim);
    shape_text(wanted, info->shape, info->ndim);
    return refuse(file->error, file->path, "has shape %.120s where tensor %.60s needs %.120s",
                  found, info->name, wanted);
  }
  if (header->fortran_order && header->ndim > 1)
    return refuse(file->error, file->path,
                  "is in Fortran order; save it with numpy.ascontiguousarray");
  return true;
}

/* A FIFO would be waited for, and a device never end. */
static FILE *open_plain(const char *path) {
  struct stat status;
  const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return NULL;
  const bool plain = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  FILE *stream = plain ? fdopen(file, "rb") : NULL;
  if (stream == NULL)
    close(file);
  if (!plain)
    errno = EINVAL;
  return stream;
}

bool npy_open(npy_file *file, const char *path, const bw_tensor_info *info, npy_error *error) {
  npy_header header;
  *file = (npy_file){.stream = open_plain(path), .path = path, .error = error};
  if (file->stream == NULL)
    return refuse(error, path, "cannot be opened; %s", strerror(errno));
  if (read_header(file, &header) && match(file, &header, info))
    return true;
  fclose(file->stream);
  return false;
}

bool npy_read(npy_file *file, void *buffer, size_t bytes) {
  if (read_exactly(file->stream, buffer, bytes))
    return true;
  fclose(file->stream);
  return refuse(file->error, file->path, "truncated: its elements end too early");
}

bool npy_close(npy_file *file, bool whole) {
  const bool more = whole && fgetc(file->stream) != EOF;
  fclose(file->stream);
  return !more || refuse(file->error, file->path, "has bytes left after its last element");
}

static bool write_header(FILE *stream, const bw_tensor_info *info) {
  char shape[SHAPE_BYTES], text[SHAPE_BYTES + 128];
  shape_text(shape, info->shape, info->ndim);
  size_t used =
      (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                       dtype_descr(info->dtype), shape);
  const size_t preamble = sizeof MAGIC + 4;
  while ((preamble + used + 1) % HEADER_ALIGNMENT != 0)
    text[used++] = ' ';
  text[used++] = '\n';
  const unsigned char numbers[4] = {1, 0, (unsigned char)(used & 0xff), (unsigned char)(used >> 8)};
  return fwrite(MAGIC, sizeof MAGIC, 1, stream) == 1 &&
         fwrite(numbers, sizeof numbers, 1, stream) == 1 && fwrite(text, used, 1, stream) == 1;
}

static bool write_file(const char *path, const bw_tensor_info *info, const void *elements) {
  FILE *stream = fopen(path, "wb");
  if (stream == NULL)
    return false;
  const size_t bytes = (size_t)info->size_bytes;
  const bool written = write_header(stream, info) && fwrite(elements, 1, bytes, stream) == bytes;
  return fclose(stream) == 0 && written;
}

bool npy_write(const char *path, const bw_tensor_info *info, const void *elements,
               npy_error *error) {
  char temporary[4096];
  const int length = snprintf(temporary, sizeof temporary, "%s.part-%ld", path, (long)getpid());
  if (length < 0 || (size_t)length >= sizeof temporary)
    return refuse(error, path, "the path is too long");
  if (write_file(temporary, info, elements) && rename(temporary, path) == 0)
    return true;
  const int cause = errno;
  remove(temporary);
  return refuse(error, path, "cannot be written; %s", strerror(cause));
}
