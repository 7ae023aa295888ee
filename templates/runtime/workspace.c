/* Scratch memory of one thread of one instance, kept from run to run.
 *
 * A kernel asks for the same sizes in every run and holds only a few at once, so a short list with
 * best fit is enough. A free block that is too small is replaced by a larger one instead of being
 * kept beside it: there are never more blocks than were held at once, and once each is as large as
 * its largest use, runs no longer reach malloc.
 */
#include "workspace.h"

typedef struct bw_block {
  _Alignas(BW_ALIGNMENT) struct bw_block *next;
  uint64_t bytes; /* usable, after this header */
  bool taken;
} bw_block;

_Static_assert(sizeof(bw_block) == BW_ALIGNMENT, "what follows the header must stay aligned");

static bw_block *best_fit(bw_block *block, uint64_t bytes) {
  bw_block *best = NULL;
  for (; block != NULL; block = block->next) {
    if (!block->taken && block->bytes >= bytes && (best == NULL || block->bytes < best->bytes))
      best = block;
  }
  return best;
}

static void drop_largest_free(bw_workspace *workspace) {
  bw_block **largest = NULL;
  for (bw_block **link = &workspace->blocks; *link != NULL; link = &(*link)->next) {
    if (!(*link)->taken && (largest == NULL || (*link)->bytes > (*largest)->bytes))
      largest = link;
  }
  if (largest == NULL)
    return;
  bw_block *block = *largest;
  *largest = block->next;
  free(block);
}

static bw_block *add_block(bw_workspace *workspace, uint64_t bytes) {
  if (bytes > UINT64_MAX - sizeof(bw_block))
    return NULL;
  bw_block *block = bw_allocate(bytes + sizeof(bw_block));
  if (block == NULL)
    return NULL;
  *block = (bw_block){.next = workspace->blocks, .bytes = bytes};
  workspace->blocks = block;
  return block;
}

void *bw_workspace_take(bw_workspace *workspace, uint64_t bytes) {
  bw_block *block = best_fit(workspace->blocks, bytes);
  if (block == NULL) {
    drop_largest_free(workspace);
    block = add_block(workspace, bytes);
  }
  if (block == NULL)
    return NULL;
  block->taken = true;
  return block + 1;
}

void bw_workspace_give(void *memory) {
  if (memory != NULL)
    ((bw_block *)memory - 1)->taken = false;
}

void bw_workspace_reclaim(bw_workspace *workspace) {
  for (bw_block *block = workspace->blocks; block != NULL; block = block->next)
    block->taken = false;
}

void bw_workspace_release(bw_workspace *workspace) {
  while (workspace->blocks != NULL) {
    bw_block *block = workspace->blocks;
    workspace->blocks = block->next;
    free(block);
  }
}
