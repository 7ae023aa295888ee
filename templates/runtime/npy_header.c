/* A parser for exactly the dict literals that .npy headers may hold; everything else is refused. */
#include "npy_header.h"

#include <string.h>

typedef struct cursor {
  const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
  while (c->at < c->end && strchr(" \t\r\n", *c->at) != NULL && *c->at != '\0')
    c->at++;
}

static bool take(cursor *c, char wanted) {
  skip_space(c);
  if (c->at == c->end || *c->at != wanted)
    return false;
  c->at++;
  return true;
}

static bool take_word(cursor *c, const char *word) {
  const size_t length = strlen(word);
  skip_space(c);
  if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
    return false;
  c->at += length;
  return true;
}

/* A quoted string without escapes, into `text`. */
static bool take_string(cursor *c, char *text, size_t room) {
  skip_space(c);
  const char quote = take(c, '\'') ? '\'' : '"';
  if (quote == '"' && !take(c, '"'))
    return false;
  size_t length = 0;
  while (c->at < c->end && *c->at != quote) {
    if (*c->at == '\\' || *c->at < ' ' || *c->at > '~' || length + 1 >= room)
      return false;
    text[length++] = *c->at++;
  }
  text[length] = '\0';
  return take(c, quote);
}

static bool take_extent(cursor *c, int64_t *extent) {
  skip_space(c);
  const char *start = c->at;
  *extent = 0;
  for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
    if (__builtin_mul_overflow(*extent, 10, extent) ||
        __builtin_add_overflow(*extent, *c->at - '0', extent))
      return false;
  }
  return c->at != start;
}

static const char *take_shape(cursor *c, npy_header *header) {
  header->ndim = 0;
  if (!take(c, '('))
    return "its shape is not a tuple";
  while (!take(c, ')')) {
    if (header->ndim == NPY_NDIM_LIMIT)
      return "its shape has too many dimensions";
    if (!take_extent(c, &header->shape[header->ndim++]))
      return "its shape holds something other than plain numbers";
    if (take(c, ','))
      continue;
    /* (3) is a number in Python, not a tuple */
    return header->ndim > 1 && take(c, ')') ? NULL : "its shape is not a tuple";
  }
  return NULL;
}

static const char *take_order(cursor *c, npy_header *header) {
  header->fortran_order = take_word(c, "True");
  return header->fortran_order || take_word(c, "False") ? NULL
                                                        : "fortran_order is neither True nor False";
}

enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };

static const char *take_entry(cursor *c, npy_header *header, int *seen) {
  char key[NPY_DESCR_BYTES];
  if (!take_string(c, key, sizeof key) || !take(c, ':'))
    return "it is not a dict of known keys";
  const int entry = strcmp(key, "descr") == 0           ? DESCR
                    : strcmp(key, "fortran_order") == 0 ? ORDER
                    : strcmp(key, "shape") == 0         ? SHAPE
                                                        : 0;
  if (entry == 0 || (*seen & entry) != 0)
    return "it has an unknown or repeated key";
  *seen |= entry;
  if (entry == SHAPE)
    return take_shape(c, header);
  if (entry == ORDER)
    return take_order(c, header);
  return take_string(c, header->descr, sizeof header->descr) ? NULL
                                                             : "its dtype is not a simple one";
}

const char *npy_parse_header(npy_header *header, const char *text, size_t bytes) {
  cursor c = {.at = text, .end = text + bytes};
  int seen = 0;
  if (!take(&c, '{'))
    return "it is not a dict";
  while (!take(&c, '}')) {
    const char *problem = take_entry(&c, header, &seen);
    if (problem != NULL)
      return problem;
    if (take(&c, ','))
      continue;
    if (!take(&c, '}'))
      return "it is not a dict";
    break;
  }
  skip_space(&c);
  if (c.at != c.end)
    return "something follows the dict";
  return seen == ALL ? NULL : "descr, fortran_order or shape is missing";
}
