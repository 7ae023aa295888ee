/* The runner's command line. */
#include "options.h"
#include "fail.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: run MODE [OPTION...]\n"
    "\n"
    "Modes:\n"
    "  --check [--outputs DIR]     run the bundle's check data; exit 1 if the numbers are wrong\n"
    "  --inputs DIR --outputs DIR  run once on .npy files named after the tensors\n"
    "  --bench                     measure the latency\n"
    "  --cold-start                measure new processes, from exec to the first output\n"
    "  --profile                   measure each kernel\n"
    "  --dump DIR                  run once and write what every kernel computes\n"
    "  --info                      describe the model\n"
    "\n"
    "Options:\n"
    "  --json           print one JSON document\n"
    "  --threads N      threads to compute with (0, the default: one per usable core)\n"
    "  --cpu NAME       the kernels for this CPU (the best that this one runs)\n"
    "  --cores LIST     pin the threads to these cores, for example 0,2,4-7\n"
    "  --warmup N       unmeasured runs first (5)\n"
    "  --runs N         measured runs (bench 30, profile 10), or processes (cold start 10)\n"
    "  --min-seconds S  go on measuring for at least this long, up to 100,000 runs (0)\n"
    "  --weights PATH   the weights file (BUNDLE/share/weights.bin)\n"
    "  --library PATH   the model library (BUNDLE/lib/libmodel.so)\n"
    "  --bundle DIR     the bundle (the folder above this program's)\n"
    "  --help           print this\n"
    "\n"
    "Exit codes: 0 ok, 1 wrong numbers, 2 bad usage or input, 3 the model could not start,\n"
    "4 a run failed, 5 the inputs hold what the model cannot have.\n";

enum { THREAD_LIMIT = 1024, CORE_LIMIT = 8192, RUNS_LIMIT = 1000000 };
enum { BENCH_RUNS = 30, OTHER_RUNS = 10, WARMUP_RUNS = 5 };

static int32_t parse_count(const char *option, const char *text, int32_t least, int32_t most) {
  char *end;
  const long number = strtol(text, &end, 10);
  if (end == text || *end != '\0' || number < least || number > most)
    fail(EXIT_USAGE, "%s takes a whole number from %d to %d; '%s' is not one", option, (int)least,
         (int)most, text);
  return (int32_t)number;
}

static double parse_seconds(const char *option, const char *text) {
  char *end;
  const double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0 || seconds > 86400)
    fail(EXIT_USAGE, "%s takes seconds from 0 to 86400; '%s' is not that", option, text);
  return seconds;
}

/* Read "N" or "N-M" at `text` into first and last; return what follows, NULL if it is neither. */
static const char *parse_range(const char *text, long *first, long *last) {
  char *end;
  if (*text < '0' || *text > '9')
    return NULL;
  *first = *last = strtol(text, &end, 10);
  if (*end == '-') {
    text = end + 1;
    if (*text < '0' || *text > '9')
      return NULL;
    *last = strtol(text, &end, 10);
  }
  return *first <= *last && *last < CORE_LIMIT ? end : NULL;
}

/* Parse "0,2,4-7"; return how many cores that is. */
static int32_t parse_cores(const char *text, int32_t *cores) {
  const char *at = text;
  int32_t count = 0;
  for (;;) {
    long first, last;
    at = parse_range(at, &first, &last);
    if (at == NULL || last - first >= THREAD_LIMIT - count)
      fail(EXIT_USAGE, "--cores takes core numbers such as 0,2,4-7; '%s' is not that", text);
    for (long core = first; core <= last; core++)
      cores[count++] = (int32_t)core;
    if (*at == '\0')
      return count;
    if (*at++ != ',')
      fail(EXIT_USAGE, "--cores takes core numbers such as 0,2,4-7; '%s' is not that", text);
  }
}

static void set_mode(options *o, mode chosen) {
  if (o->mode != MODE_NONE && o->mode != chosen)
    fail(EXIT_USAGE, "--check, --bench, --cold-start, --profile, --dump and --info exclude each "
                     "other; choose one");
  o->mode = chosen;
}

static bool parse_flag(options *o, const char *option) {
  static const struct {
    const char *name;
    mode mode;
  } MODES[] = {{"--check", MODE_CHECK},           {"--bench", MODE_BENCH},
               {"--cold-start", MODE_COLD_START}, {"--first-run", MODE_FIRST_RUN},
               {"--profile", MODE_PROFILE},       {"--info", MODE_INFO}};
  for (size_t i = 0; i < sizeof MODES / sizeof MODES[0]; i++) {
    if (strcmp(option, MODES[i].name) == 0) {
      set_mode(o, MODES[i].mode);
      return true;
    }
  }
  return strcmp(option, "--json") == 0; /* looked for before all others */
}

typedef struct pinning {
  int32_t cores[THREAD_LIMIT], count;
} pinning;

static bool is(const char *option, const char *name, const char *value) {
  if (strcmp(option, name) != 0)
    return false;
  if (value == NULL)
    fail(EXIT_USAGE, "%s needs a value", name);
  return true;
}

/* Store the value of an option that has one; false for an unknown option. */
static bool parse_valued(options *o, pinning *pins, const char *option, const char *value) {
  const struct {
    const char *name;
    const char **text;
  } TEXTS[] = {{"--inputs", &o->inputs},   {"--outputs", &o->outputs}, {"--bundle", &o->bundle},
               {"--library", &o->library}, {"--weights", &o->weights}, {"--cpu", &o->cpu}};
  for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
    if (is(option, TEXTS[i].name, value)) {
      *TEXTS[i].text = value;
      return true;
    }
  }
  if (is(option, "--dump", value)) {
    set_mode(o, MODE_DUMP);
    o->dump = value;
  } else if (is(option, "--threads", value))
    o->threads = parse_count(option, value, 0, THREAD_LIMIT);
  else if (is(option, "--warmup", value))
    o->warmup = parse_count(option, value, 0, RUNS_LIMIT);
  else if (is(option, "--runs", value))
    o->runs = parse_count(option, value, 1, RUNS_LIMIT);
  else if (is(option, "--min-seconds", value))
    o->min_seconds = parse_seconds(option, value);
  else if (is(option, "--cores", value))
    pins->count = parse_cores(value, pins->cores);
  else
    return false;
  return true;
}

static bool given(int argc, char **argv, const char *option) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], option) == 0)
      return true;
  }
  return false;
}

static void settle_mode(options *o) {
  if (o->inputs != NULL)
    set_mode(o, o->mode == MODE_NONE ? MODE_INFER : o->mode);
  if (o->mode == MODE_NONE)
    fail(EXIT_USAGE, "nothing to do; give --check, --inputs, --bench, --cold-start, --profile, "
                     "--dump or --info (--help)");
  if (o->inputs != NULL && o->mode != MODE_INFER && o->mode != MODE_DUMP)
    fail(EXIT_USAGE, "--inputs goes with --outputs or --dump and no other mode");
  if (o->mode == MODE_INFER && o->outputs == NULL)
    fail(EXIT_USAGE, "--inputs needs --outputs DIR to write the results to");
  if (o->outputs != NULL && o->mode != MODE_INFER && o->mode != MODE_CHECK)
    fail(EXIT_USAGE, "--outputs goes with --inputs or --check only");
}

static void settle_cores(options *o, const pinning *pins) {
  if (pins->count == 0)
    return;
  if (o->threads != 0 && o->threads != pins->count)
    fail(EXIT_USAGE, "--threads is %d and --cores names %d; they must agree", (int)o->threads,
         (int)pins->count);
  o->threads = pins->count;
  o->cores = allocate((size_t)pins->count, sizeof *o->cores);
  memcpy(o->cores, pins->cores, (size_t)pins->count * sizeof *o->cores);
}

options options_parse(int argc, char **argv) {
  options o = {.json = given(argc, argv, "--json"), .warmup = WARMUP_RUNS, .arguments = argv};
  pinning pins = {.count = 0};
  if (o.json)
    fail_in_json();
  if (given(argc, argv, "--help")) {
    fputs(USAGE, stdout);
    exit(EXIT_OK);
  }
  for (int i = 1; i < argc; i++) { /* argv[argc] is NULL */
    if (parse_flag(&o, argv[i]))
      continue;
    if (!parse_valued(&o, &pins, argv[i], argv[i + 1]))
      fail(EXIT_USAGE, "unknown option '%s'; --help lists them", argv[i]);
    i++;
  }
  settle_mode(&o);
  settle_cores(&o, &pins);
  if (o.runs == 0)
    o.runs = o.mode == MODE_BENCH ? BENCH_RUNS : OTHER_RUNS;
  return o;
}
