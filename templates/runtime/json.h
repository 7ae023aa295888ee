/* A JSON document, written as it is known: always valid, whatever names it is given. */
#ifndef BOARDWRIGHT_JSON_H
#define BOARDWRIGHT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_DEPTH = 8 };

typedef struct json {
  FILE *out;
  int depth;
  char closers[JSON_DEPTH]; /* of the objects and arrays that are open */
  bool first;               /* nothing written yet at this depth */
} json;

/* The document itself is an object. */
json json_open(FILE *out);
void json_close(json *document);

/* `key` is NULL inside an array. */
void json_object(json *document, const char *key);
void json_array(json *document, const char *key);
void json_end(json *document); /* of the innermost object or array */

/* `text` in quotes and escaped, for any place where it must stay one harmless word. */
void json_quote(FILE *out, const char *text);

void json_string(json *document, const char *key, const char *text); /* bad UTF-8 becomes U+FFFD */
void json_number(json *document, const char *key, double number);    /* null where not finite */
void json_integer(json *document, const char *key, int64_t number);
void json_bool(json *document, const char *key, bool value);

#endif
