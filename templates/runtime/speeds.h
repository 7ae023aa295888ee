/* Whether the cores that threads run on are equally fast: big.LITTLE and its kin. */
#ifndef BOARDWRIGHT_SPEEDS_H
#define BOARDWRIGHT_SPEEDS_H

#include "platform.h"

/* Tell whether the fastest of these cores is faster than the slowest by a quarter or more, as far as
 * the system says. */
BW_HIDDEN bool bw_speeds_differ(const bw_cores *cores);

#endif
