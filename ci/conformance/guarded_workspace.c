/* Implements workspace.h: every block in guarded memory of its own, for one thread. */
#include "guarded_workspace.h"
#include "workspace.h"

#include <stdlib.h>

typedef struct bw_block {
  guarded memory;
  struct bw_block *next;
} bw_block;

static bw_block *taken;
static guarded_edge edge;
static bool intact = true;

void guarded_workspaces_at(guarded_edge wanted) { edge = wanted; }

bool guarded_workspaces_are_intact(void) {
  for (const bw_block *block = taken; block != NULL; block = block->next)
    intact = intact && guarded_is_intact(&block->memory);
  const bool found = intact;
  intact = true;
  return found;
}

void *bw_workspace_take(bw_workspace *workspace, uint64_t bytes) {
  (void)workspace;
  bw_block *block = malloc(sizeof *block);
  if (block == NULL)
    return NULL;
  guarded_open(&block->memory, "its scratch memory", bytes, edge, FILLINGS[edge]);
  block->next = taken;
  taken = block;
  return block->memory.start;
}

void bw_workspace_give(void *memory) {
  bw_block **link = &taken;
  while (*link != NULL && (*link)->memory.start != memory)
    link = &(*link)->next;
  bw_block *block = *link;
  if (block == NULL)
    return;
  *link = block->next;
  intact = intact && guarded_is_intact(&block->memory);
  guarded_close(&block->memory);
  free(block);
}

void bw_workspace_reclaim(bw_workspace *workspace) {
  (void)workspace;
  while (taken != NULL)
    bw_workspace_give(taken->memory.start);
}

void bw_workspace_release(bw_workspace *workspace) { bw_workspace_reclaim(workspace); }
