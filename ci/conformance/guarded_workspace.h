/* Scratch memory of kernels between guard pages, in the place of the library's own. */
#ifndef CONFORMANCE_GUARDED_WORKSPACE_H
#define CONFORMANCE_GUARDED_WORKSPACE_H

#include "guarded_memory.h"

void guarded_workspaces_at(guarded_edge edge); /* what is taken from now on */

/* The filling around what was taken since the last question is; given back or not. */
bool guarded_workspaces_are_intact(void);

#endif
