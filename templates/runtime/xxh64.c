/* XXH64 as its specification gives it (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), seed 0. */
#include "xxh64.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

static const uint64_t PRIME_1 = 0x9E3779B185EBCA87;
static const uint64_t PRIME_2 = 0xC2B2AE3D27D4EB4F;
static const uint64_t PRIME_3 = 0x165667B19E3779F9;
static const uint64_t PRIME_4 = 0x85EBCA77C2B2AE63;
static const uint64_t PRIME_5 = 0x27D4EB2F165667C5;

enum { STRIPE_BYTES = 32 };

static uint64_t rotate(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }

static uint64_t read64(const uint8_t *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

static uint64_t read32(const uint8_t *data) {
  uint32_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

static uint64_t mix(uint64_t lane, uint64_t word) {
  return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

static uint64_t merge(uint64_t hash, uint64_t lane) {
  return (hash ^ mix(0, lane)) * PRIME_1 + PRIME_4;
}

/* Four independent lanes over whole stripes; the lanes' own names keep them in registers. */
static uint64_t hash_stripes(const uint8_t *data, uint64_t stripes) {
  uint64_t a = PRIME_1 + PRIME_2, b = PRIME_2, c = 0, d = 0 - PRIME_1;
  for (; stripes != 0; stripes--, data += STRIPE_BYTES) {
    a = mix(a, read64(data));
    b = mix(b, read64(data + 8));
    c = mix(c, read64(data + 16));
    d = mix(d, read64(data + 24));
  }
  uint64_t hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  return merge(merge(merge(merge(hash, a), b), c), d);
}

static uint64_t hash_tail(uint64_t hash, const uint8_t *data, uint64_t bytes) {
  for (; bytes >= 8; bytes -= 8, data += 8)
    hash = rotate(hash ^ mix(0, read64(data)), 27) * PRIME_1 + PRIME_4;
  for (; bytes >= 4; bytes -= 4, data += 4)
    hash = rotate(hash ^ read32(data) * PRIME_1, 23) * PRIME_2 + PRIME_3;
  for (; bytes != 0; bytes--, data++)
    hash = rotate(hash ^ *data * PRIME_5, 11) * PRIME_1;
  return hash;
}

static uint64_t avalanche(uint64_t hash) {
  hash = (hash ^ hash >> 33) * PRIME_2;
  hash = (hash ^ hash >> 29) * PRIME_3;
  return hash ^ hash >> 32;
}

uint64_t bw_xxh64(const uint8_t *data, uint64_t bytes) {
  const uint64_t stripes = bytes / STRIPE_BYTES;
  const uint64_t start = stripes != 0 ? hash_stripes(data, stripes) : PRIME_5;
  const uint8_t *tail = bytes != 0 ? data + (size_t)(stripes * STRIPE_BYTES) : data;
  return avalanche(hash_tail(start + bytes, tail, bytes % STRIPE_BYTES));
}
