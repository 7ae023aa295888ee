/* Scratch memory of one thread of one instance, kept from run to run. */
#ifndef BOARDWRIGHT_WORKSPACE_H
#define BOARDWRIGHT_WORKSPACE_H

#include "platform.h"

/* All zeros is an empty workspace. Only its own thread may use it while a run is on. */
typedef struct bw_workspace {
  struct bw_block *blocks;
} bw_workspace;

/* Return 64-byte aligned memory, or NULL. Blocks are given back in any order. */
BW_HIDDEN void *bw_workspace_take(bw_workspace *workspace, uint64_t bytes);
BW_HIDDEN void bw_workspace_give(void *memory);

/* Give back what a failed kernel still held. */
BW_HIDDEN void bw_workspace_reclaim(bw_workspace *workspace);

BW_HIDDEN void bw_workspace_release(bw_workspace *workspace);

#endif
