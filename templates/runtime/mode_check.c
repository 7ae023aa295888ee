/* --check: the bundle's own inputs must give the bundle's expected outputs. */
#include "compare.h"
#include "dtype.h"
#include "modes.h"
#include "npy.h"
#include "paths.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 32768 /* of expected values at a time, to stay small in memory */ };

/* One output's verdict. */
typedef struct verdict {
  tolerance allowed;
  int64_t may_differ; /* elements: of an output that jumps where scores all but tie */
  bool has_tolerance;
  comparison found;
} verdict;

static int32_t output_of_file(const tensors *outputs, const char *file) {
  for (int32_t i = 0; i < outputs->count; i++) {
    if (strcmp(outputs->infos[i].file, file) == 0)
      return i;
  }
  return -1;
}

/* Within an infinite tolerance everything is right, and NaN compares with nothing. */
static bool is_tolerance(double number) { return isfinite(number) && number >= 0; }

static void parse_tolerance(const char *path, const char *line, const tensors *outputs,
                            verdict *verdicts) {
  char file[512], extra;
  tolerance allowed;
  int64_t may_differ = 0;
  int fields = sscanf(line, "%511s %lf %lf %c", file, &allowed.absolute, &allowed.relative, &extra);
  if (fields == 4)
    fields = sscanf(line, "%511s %lf %lf %" SCNd64 " %c", file, &allowed.absolute,
                    &allowed.relative, &may_differ, &extra) == 4
                 ? 3
                 : 0;
  if (fields != 3 || may_differ < 0 ||
      !(is_tolerance(allowed.absolute) && is_tolerance(allowed.relative)))
    fail(EXIT_USAGE,
         "%s: '%s' is not a file stem, an absolute and a relative tolerance, and perhaps how many "
         "elements may differ",
         path, line);
  const int32_t index = output_of_file(outputs, file);
  if (index < 0)
    fail(EXIT_USAGE, "%s: the model has no output with the file %s", path, file);
  verdicts[index].allowed = allowed;
  verdicts[index].may_differ = may_differ;
  verdicts[index].has_tolerance = true;
}

static void read_tolerances(session *s, verdict *verdicts) {
  char line[1024];
  char *path = session_check_folder(s, "tolerance.txt");
  FILE *stream = fopen(path, "r");
  if (stream == NULL)
    fail(EXIT_USAGE, "%s: cannot be opened; %s", path, strerror(errno));
  while (fgets(line, sizeof line, stream) != NULL) {
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] != '\0')
      parse_tolerance(path, line, &s->outputs, verdicts);
  }
  fclose(stream);
  for (int32_t i = 0; i < s->outputs.count; i++) {
    if (!verdicts[i].has_tolerance)
      fail(EXIT_USAGE, "%s: no tolerance for the output %s", path, s->outputs.infos[i].file);
  }
  free(path);
}

static bool compare_with_file(const char *path, const bw_tensor_info *info, const char *actual,
                              verdict *result, npy_error *error) {
  char expected[CHUNK_BYTES];
  npy_file file;
  if (!npy_open(&file, path, info, error))
    return false;
  uint64_t left = info->size_bytes;
  while (left != 0) {
    const size_t bytes = left < sizeof expected ? (size_t)left : sizeof expected;
    if (!npy_read(&file, expected, bytes))
      return false;
    compare(&result->found, info->dtype, result->allowed, actual, expected,
            bytes / dtype_bytes(info->dtype));
    actual += bytes;
    left -= bytes;
  }
  return npy_close(&file, true);
}

static void compare_outputs(session *s, verdict *verdicts) {
  char *folder = session_check_folder(s, "expected");
  for (int32_t i = 0; i < s->outputs.count; i++) {
    npy_error error;
    char *path = tensor_path(folder, &s->outputs.infos[i]);
    if (!compare_with_file(path, &s->outputs.infos[i], s->outputs.buffers[i], &verdicts[i], &error))
      fail(EXIT_USAGE, "%s", error.text);
    free(path);
  }
  free(folder);
}

static bool passes(const verdict *v) { 
  return v->found.mismatches <= (uint64_t)v->may_differ;
 }

static void print_verdict(json *document, const bw_tensor_info *info, const verdict *v) {
  json_object(document, NULL);
  json_string(document, "name", info->name);
  json_string(document, "file", info->file);
  json_bool(document, "ok", passes(v));
  json_number(document, "max_abs_error", v->found.max_abs_error);
  json_number(document, "max_rel_error", v->found.max_rel_error);
  json_integer(document, "mismatches", (int64_t)v->found.mismatches);
  json_integer(document, "may_differ", (int64_t)v->may_differ);
  json_integer(document, "elements", (int64_t)v->found.elements);
  json_number(document, "atol", v->allowed.absolute);
  json_number(document, "rtol", v->allowed.relative);
  json_end(document);
}

static double worst_error(const session *s, const verdict *verdicts) {
  double worst = 0;
  for (int32_t i = 0; i < s->outputs.count; i++) {
    if (verdicts[i].found.max_abs_error > worst)
      worst = verdicts[i].found.max_abs_error;
  }
  return worst;
}

static void print_json(const session *s, const verdict *verdicts, bool ok) {
  json document = session_json(s);
  json_bool(&document, "ok", ok);
  json_array(&document, "outputs");
  for (int32_t i = 0; i < s->outputs.count; i++)
    print_verdict(&document, &s->outputs.infos[i], &verdicts[i]);
  json_end(&document);
  json_number(&document, "max_abs_error", worst_error(s, verdicts));
  json_close(&document);
}

static void print_text(const session *s, const verdict *verdicts) {
  for (int32_t i = 0; i < s->outputs.count; i++) {
    const verdict *v = &verdicts[i];
    printf("%s %s: max abs error %g, max rel error %g (allowed %g + %g * |expected|)\n",
           passes(v) ? "ok   " : "WRONG", s->outputs.infos[i].file, v->found.max_abs_error,
           v->found.max_rel_error, v->allowed.absolute, v->allowed.relative);
    if (v->may_differ != 0)
      printf("      its results jump: %" PRIu64 " of %" PRIu64 " elements differ, %" PRId64 " may\n",
             v->found.mismatches, v->found.elements, v->may_differ);
  }
}

static bool all_pass(const session *s, const verdict *verdicts) {
  for (int32_t i = 0; i < s->outputs.count; i++) {
    if (!passes(&verdicts[i]))
      return false;
  }
  return true;
}

static void run_on_check_inputs(session *s) {
  char *folder = session_check_folder(s, "inputs");
  tensors_load(&s->inputs, folder);
  free(folder);
  session_run(s);
  if (s->options.outputs != NULL)
    tensors_store(&s->outputs, s->options.outputs);
}

exit_code mode_check(session *s) {
  verdict *verdicts = allocate((size_t)s->outputs.count, sizeof *verdicts);
  read_tolerances(s, verdicts);
  run_on_check_inputs(s);
  compare_outputs(s, verdicts);
  const bool ok = all_pass(s, verdicts);
  if (s->options.json)
    print_json(s, verdicts, ok);
  else
    print_text(s, verdicts);
  free(verdicts);
  return ok ? EXIT_OK : EXIT_WRONG;
}
