/* Memory between pages that nobody may touch: what strays from it is a fault, not an accident. */
#ifndef CONFORMANCE_GUARDED_MEMORY_H
#define CONFORMANCE_GUARDED_MEMORY_H

#include "platform.h"

/* AT_END: the last byte lies before an inaccessible page where the size is a multiple of 64.
 * Otherwise up to 63 bytes of filling lie between, for kernels rely on aligned starts.
 * AT_BEGIN: the first byte lies behind an inaccessible page. */
typedef enum guarded_edge { AT_END, AT_BEGIN } guarded_edge;

/* Not-a-number in every float, -1 in every integer; and large numbers in float32 and integers. */
static const uint8_t FILLINGS[] = {[AT_END] = 0xff, [AT_BEGIN] = 0x7f};

typedef struct guarded {
  uint8_t *start; /* aligned to 64 bytes */
  uint64_t bytes;
  uint8_t *pages; /* accessible, around start */
  uint64_t page_bytes;
  uint8_t filling;
  const char *what; /* for reports */
  struct guarded *next;
} guarded;

/* All of it, and what lies around it up to the inaccessible pages, holds this byte. */
void guarded_open(guarded *memory, const char *what, uint64_t bytes, guarded_edge edge,
                  uint8_t filling);
void guarded_make_read_only(guarded *memory);
bool guarded_is_intact(const guarded *memory); /* the filling around it is */
void guarded_close(guarded *memory);

/* Return what is open and nearest to an address within reach of its guards, or NULL. */
const guarded *guarded_nearest(const uint8_t *address);

#endif
