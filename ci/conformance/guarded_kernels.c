/* Stands between the library and its kernels, as a variant of them. */
#define _GNU_SOURCE
#include "guarded_kernels.h"
#include "guarded_memory.h"
#include "guarded_workspace.h"
#include "instance.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_VIEWS = 1024, MOST_CALLS = 65536, FAULT_STACK_BYTES = 65536 };

static const bw_plan *plan; /* whose kernels run */
static const char *run;
static bw_model *guarded_model;
static const bw_call *running;
static guarded tensors[MOST_VIEWS];

/* What a kernel leaves of these it has not written: its scratch memory within a result. */
static const uint8_t UNWRITTEN[] = {[AT_END] = 0xa5, [AT_BEGIN] = 0x5a};

/* --- Telling ---------------------------------------------------------------------------------- */

static _Noreturn void end_with(const char *verdict, const char *what) {
  char nodes[256];
  snprintf(nodes, sizeof nodes, "%s", running != NULL ? running->nodes : "none");
  for (char *node = nodes; *node != '\0'; node++)
    *node = *node == '\n' ? ' ' : *node;
  dprintf(STDOUT_FILENO, "%s %s kernel %s of %s: %s\n", run, verdict,
          running != NULL ? running->name : "none", nodes, what);
  _exit(1);
}

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  const uint8_t *at = info->si_addr;
  const guarded *near = guarded_nearest(at);
  char what[256];
  if (number != SIGSEGV && number != SIGBUS)
    end_with("crashed", strsignal(number));
  if (near == NULL)
    end_with("strayed", "an access far from every tensor");
  if (at < near->start)
    snprintf(what, sizeof what, "%lld bytes before %s", (long long)(near->start - at), near->what);
  else if (at < near->start + near->bytes)
    snprintf(what, sizeof what, "writes to %s, which it is to read", near->what);
  else
    snprintf(what, sizeof what, "%lld bytes behind %s",
             (long long)(at - near->start - (ptrdiff_t)near->bytes), near->what);
  end_with("strayed", what);
}

static void catch_faults(void) {
  static uint8_t stack[FAULT_STACK_BYTES]; /* the kernel's own may be what is full */
  const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternative, NULL);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
    sigaction(caught[i], &action, NULL);
}

/* --- Calling ---------------------------------------------------------------------------------- */

static bool is_result(uint32_t argument) {
  return argument >= running->view_count - running->result_count;
}

static const char *name_of(uint32_t argument) {
  static char names[MOST_VIEWS][24];
  snprintf(names[argument], sizeof *names, "its %s %u", is_result(argument) ? "result" : "operand",
           is_result(argument) ? argument - (running->view_count - running->result_count)
                               : argument);
  return names[argument];
}

static void lay_out(const bw_any *arguments, guarded_edge edge, bw_dl_tensor *copies,
                    bw_any *handed) {
  for (uint32_t i = 0; i < running->view_count; i++) {
    const bw_dl_tensor *tensor = arguments[i].value.pointer;
    const uint64_t bytes = plan->views[running->views[i]].size_bytes;
    const uint8_t filling = is_result(i) ? UNWRITTEN[edge] : FILLINGS[edge];
    guarded_open(&tensors[i], name_of(i), bytes, edge, filling);
    if (!is_result(i) && bytes != 0) {
      memcpy(tensors[i].start, tensor->data, (size_t)bytes);
      guarded_make_read_only(&tensors[i]);
    }
    copies[i] = *tensor;
    copies[i].data = tensors[i].start;
    handed[i] = arguments[i];
    handed[i].value.pointer = &copies[i];
  }
}

static void check_surroundings(void) {
  char what[64];
  for (uint32_t i = 0; i < running->view_count; i++) {
    if (guarded_is_intact(&tensors[i]))
      continue;
    snprintf(what, sizeof what, "writes beside %s", tensors[i].what);
    end_with("strayed", what);
  }
  if (!guarded_workspaces_are_intact())
    end_with("strayed", "writes beside its scratch memory");
}

/* Say whether what both calls wrote is the same. */
static bool agree(const uint8_t *at_end, const uint8_t *at_begin, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    const bool unwritten = at_end[i] == UNWRITTEN[AT_END] && at_begin[i] == UNWRITTEN[AT_BEGIN];
    if (at_end[i] != at_begin[i] && !unwritten)
      return false;
  }
  return true;
}

static void keep_results(const bw_any *arguments, guarded_edge edge) {
  char what[64];
  for (uint32_t i = running->view_count - running->result_count; i < running->view_count; i++) {
    const bw_dl_tensor *tensor = arguments[i].value.pointer;
    const size_t bytes = (size_t)tensors[i].bytes;
    if (edge == AT_BEGIN && !agree(tensor->data, tensors[i].start, bytes)) {
      snprintf(what, sizeof what, "%s follows from what lies outside of its tensors",
               tensors[i].what);
      end_with("strayed", what);
    }
    if (bytes != 0)
      memcpy(tensor->data, tensors[i].start, bytes);
  }
}

static int call_at(guarded_edge edge, const bw_any *arguments, bw_any *result) {
  static bw_dl_tensor copies[MOST_VIEWS];
  static bw_any handed[MOST_VIEWS];
  guarded_workspaces_at(edge);
  lay_out(arguments, edge, copies, handed);
  const int failed = running->kernel(NULL, handed, (int32_t)running->view_count, result);
  check_surroundings();
  if (failed == 0)
    keep_results(arguments, edge);
  for (uint32_t i = 0; i < running->view_count; i++)
    guarded_close(&tensors[i]);
  return failed;
}

/* Return the call whose list of arguments this is: they lie one behind the other. */
static const bw_call *call_of(const bw_any *arguments) {
  const bw_any *list = guarded_model->arguments;
  const bw_call *call = plan->calls;
  for (; list != arguments; call++)
    list += call->view_count;
  return call;
}

static int call_twice(void *self, const bw_any *arguments, int32_t count, bw_any *result) {
  (void)self, (void)count;
  running = call_of(arguments);
  if (running->view_count > MOST_VIEWS)
    end_with("crashed", "too many views for this driver");
  const int failed = call_at(AT_END, arguments, result);
  return failed != 0 ? failed : call_at(AT_BEGIN, arguments, result);
}

void guard_kernels(bw_model *model, const char *name) {
  static bw_kernel kernels[MOST_CALLS];
  static const bw_variant variant = {.name = "guarded", .kernels = kernels};
  plan = &bw_model_plan;
  run = name;
  guarded_model = model;
  running = NULL;
  for (uint32_t i = 0; i < plan->call_count && i < MOST_CALLS; i++)
    kernels[i] = call_twice;
  model->variant = &variant;
  catch_faults();
}
