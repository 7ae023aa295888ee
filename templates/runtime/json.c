/* A JSON document (RFC 8259), written as it is known. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 sequence at `text`, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *text) {
  static const struct {
    unsigned char first, last, second_low, second_high;
    size_t bytes;
  } FORMS[] = {
      {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
      {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
    if (text[0] < FORMS[i].first || text[0] > FORMS[i].last)
      continue;
    for (size_t j = 1; j < FORMS[i].bytes; j++) {
      const unsigned char low = j == 1 ? FORMS[i].second_low : 0x80;
      const unsigned char high = j == 1 ? FORMS[i].second_high : 0xbf;
      if (text[j] < low || text[j] > high)
        return 0;
    }
    return FORMS[i].bytes;
  }
  return 0;
}

void json_quote(FILE *out, const char *text) {
  fputc('"', out);
  while (*text != '\0') {
    const size_t length = utf8_length((const unsigned char *)text);
    if (length == 0)
      fputs("\\ufffd", out);
    else if (*text == '"' || *text == '\\')
      fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < ' ' || *text == 0x7f)
      fprintf(out, "\\u%04x", (unsigned)(unsigned char)*text);
    else
      fwrite(text, 1, length, out);
    text += length != 0 ? length : 1;
  }
  fputc('"', out);
}

static void put_key(json *document, const char *key) {
  if (!document->first)
    fputc(',', document->out);
  document->first = false;
  if (key != NULL) {
    json_quote(document->out, key);
    fputc(':', document->out);
  }
}

static void nest(json *document, char opener, char closer) {
  fputc(opener, document->out);
  document->closers[document->depth++] = closer;
  document->first = true;
}

json json_open(FILE *out) {
  json document = {.out = out};
  nest(&document, '{', '}');
  return document;
}

void json_close(json *document) {
  json_end(document);
  fputc('\n', document->out);
}

void json_object(json *document, const char *key) {
  put_key(document, key);
  nest(document, '{', '}');
}

void json_array(json *document, const char *key) {
  put_key(document, key);
  nest(document, '[', ']');
}

void json_end(json *document) {
  fputc(document->closers[--document->depth], document->out);
  document->first = false;
}

void json_string(json *document, const char *key, const char *text) {
  put_key(document, key);
  json_quote(document->out, text);
}

void json_number(json *document, const char *key, double number) {
  put_key(document, key);
  if (isfinite(number))
    fprintf(document->out, "%.12g", number);
  else
    fputs("null", document->out);
}

void json_integer(json *document, const char *key, int64_t number) {
  put_key(document, key);
  fprintf(document->out, "%" PRId64, number);
}

void json_bool(json *document, const char *key, bool value) {
  put_key(document, key);
  fputs(value ? "true" : "false", document->out);
}
