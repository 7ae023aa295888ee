/* What the runner can do with a started model; each prints its report and returns the exit code. */
#ifndef BOARDWRIGHT_MODES_H
#define BOARDWRIGHT_MODES_H

#include "fail.h"
#include "session.h"

exit_code mode_check(session *s);
exit_code mode_infer(session *s);
exit_code mode_bench(session *s);
exit_code mode_cold_start(session *s);
exit_code mode_first_run(session *s);
exit_code mode_profile(session *s);
exit_code mode_dump(session *s);
exit_code mode_info(session *s);

#endif
