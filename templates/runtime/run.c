/* bin/run: inference, check, bench and profile of a model with no Python on the device. */
#include "modes.h"

#include <errno.h>
#include <string.h>

static exit_code perform(session *s) {
  switch (s->options.mode) {
  case MODE_CHECK:
    return mode_check(s);
  case MODE_INFER:
    return mode_infer(s);
  case MODE_BENCH:
    return mode_bench(s);
  case MODE_COLD_START:
    return mode_cold_start(s);
  case MODE_FIRST_RUN:
    return mode_first_run(s);
  case MODE_PROFILE:
    return mode_profile(s);
  case MODE_DUMP:
    return mode_dump(s);
  case MODE_INFO:
    return mode_info(s);
  case MODE_NONE:
    break;
  }
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  session s = session_open(options_parse(argc, argv));
  const exit_code code = perform(&s);
  session_close(&s);
  if (fflush(stdout) != 0 || ferror(stdout))
    fail(EXIT_RUN, "cannot write to standard output; %s", strerror(errno));
  return (int)code;
}
