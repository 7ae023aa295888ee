/* --cold-start: from exec to the first output, each time in a new process. */
#define _POSIX_C_SOURCE 200809L
#include "modes.h"
#include "paths.h"
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a new process ends with that the system does not start: a shell's word for it. */
enum { CANNOT_START = 126 };

typedef struct reply {
  char text[4096];
  size_t length;
} reply;

/* The same command line for a process that runs once and says when it was done. */
static char **first_run_arguments(char **own, char *program) {
  size_t count = 0;
  while (own[count] != NULL)
    count++;
  char **arguments = allocate(count + 1, sizeof *arguments);
  for (size_t i = 0; i < count; i++)
    arguments[i] = strcmp(own[i], "--cold-start") == 0 ? "--first-run" : own[i];
  arguments[0] = program;
  return arguments;
}

static pid_t start(char **arguments, int pipe_ends[2]) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    execv(arguments[0], arguments);
    fprintf(stderr, "run: cannot start %s; %s\n", arguments[0], strerror(errno));
    _exit(CANNOT_START);
  }
  return child;
}

static reply read_all(int file) {
  reply all = {.length = 0};
  while (all.length < sizeof all.text - 1) {
    const ssize_t bytes = read(file, all.text + all.length, sizeof all.text - 1 - all.length);
    if (bytes > 0)
      all.length += (size_t)bytes;
    else if (bytes == 0 || errno != EINTR)
      break;
  }
  return all;
}

/* The new process has said what failed: pass it on and exit as it did. */
static void expect_success(pid_t child, const reply *said) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFSIGNALED(status))
    fail(EXIT_RUN, "a new process died of signal %d", WTERMSIG(status));
  if (WEXITSTATUS(status) != EXIT_OK) {
    fwrite(said->text, 1, said->length, stdout);
    exit(WEXITSTATUS(status));
  }
}

static double time_process(char **arguments) {
  int ends[2];
  fflush(stdout);
  if (pipe(ends) != 0)
    fail(EXIT_RUN, "cannot make a pipe; %s", strerror(errno));
  const uint64_t start_ns = stats_now_ns();
  const pid_t child = start(arguments, ends);
  if (child < 0)
    fail(EXIT_RUN, "cannot start a process; %s", strerror(errno));
  close(ends[1]);
  const reply said = read_all(ends[0]);
  close(ends[0]);
  expect_success(child, &said);
  const uint64_t done_ns = strtoull(said.text, NULL, 10); /* all processes share this clock */
  return done_ns > start_ns ? (double)(done_ns - start_ns) / 1e3 : 0;
}

static void print_json(const session *s, const samples *all) {
  const summary total = samples_summary(all);
  json document = session_json(s);
  json_integer(&document, "runs", (int64_t)all->count);
  json_object(&document, "cold_start_us");
  json_number(&document, "median", total.median);
  json_number(&document, "min", total.min);
  json_array(&document, "samples");
  for (size_t i = 0; i < all->count; i++)
    json_number(&document, NULL, all->values[i]);
  json_end(&document);
  json_end(&document);
  json_close(&document);
}

exit_code mode_cold_start(session *s) {
  char *program = path_of_program();
  char **arguments = first_run_arguments(s->options.arguments, program);
  samples all = {0};
  for (int32_t i = 0; i < s->options.runs; i++)
    samples_add(&all, time_process(arguments));
  if (s->options.json)
    print_json(s, &all);
  else
    printf("cold start: median %.1f us (%zu processes)\n", samples_summary(&all).median, all.count);
  samples_free(&all);
  free(arguments);
  free(program);
  return EXIT_OK;
}

exit_code mode_first_run(session *s) {
  session_load_sample_inputs(s);
  session_run(s);
  printf("%" PRIu64 "\n", stats_now_ns());
  return EXIT_OK;
}
