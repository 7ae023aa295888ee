/* XXH64 with seed 0: the checksum of the weights. */
#ifndef BOARDWRIGHT_XXH64_H
#define BOARDWRIGHT_XXH64_H

#include "platform.h"

BW_HIDDEN uint64_t bw_xxh64(const uint8_t *data, uint64_t bytes);

#endif
