/* Whether this CPU has what the kernels were compiled for. */
#ifndef BOARDWRIGHT_CPU_H
#define BOARDWRIGHT_CPU_H

#include "platform.h"

/* `feature` is spelled as in /proc/cpuinfo. A name this file does not know counts as missing:
 * better a refusal that names it than a SIGILL. */
BW_HIDDEN bool bw_cpu_has(const char *feature);

#endif
