/* Guarded memory by mmap and mprotect. */
#define _GNU_SOURCE
#include "guarded_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* How far beyond a tensor an access still is told to be near it. 32 bits have few addresses. */
enum { REACH = sizeof(void *) == 8 ? 16 << 20 : 1 << 20 };

static guarded *opened;

static uint64_t rounded(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

void guarded_open(guarded *memory, const char *what, uint64_t bytes, guarded_edge edge,
                  uint8_t filling) {
  const uint64_t held = rounded(bytes, BW_ALIGNMENT);
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  const uint64_t page_bytes = rounded(held != 0 ? held : 1, page);
  uint8_t *mapping = mmap(NULL, (size_t)(page_bytes + 2 * REACH), PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED ||
      mprotect(mapping + REACH, (size_t)page_bytes, PROT_READ | PROT_WRITE) != 0) {
    fprintf(stderr, "no memory for guard pages\n");
    exit(1);
  }
  *memory = (guarded){.bytes = bytes,
                      .pages = mapping + REACH,
                      .page_bytes = page_bytes,
                      .filling = filling,
                      .what = what,
                      .next = opened};
  memory->start = memory->pages + (edge == AT_END ? page_bytes - held : 0);
  memset(memory->pages, memory->filling, (size_t)page_bytes);
  opened = memory;
}

void guarded_make_read_only(guarded *memory) {
  mprotect(memory->pages, (size_t)memory->page_bytes, PROT_READ);
}

bool guarded_is_intact(const guarded *memory) {
  for (const uint8_t *byte = memory->pages; byte < memory->pages + memory->page_bytes; byte++) {
    if (byte == memory->start)
      byte += memory->bytes;
    if (byte < memory->pages + memory->page_bytes && *byte != memory->filling)
      return false;
  }
  return true;
}

void guarded_close(guarded *memory) {
  guarded **link = &opened;
  while (*link != memory)
    link = &(*link)->next;
  *link = memory->next;
  munmap(memory->pages - REACH, (size_t)(memory->page_bytes + 2 * REACH));
}

const guarded *guarded_nearest(const uint8_t *address) {
  for (const guarded *memory = opened; memory != NULL; memory = memory->next) {
    if (address >= memory->pages - REACH && address < memory->pages + memory->page_bytes + REACH)
      return memory;
  }
  return NULL;
}
