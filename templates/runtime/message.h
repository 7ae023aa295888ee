/* Sentences of bounded length, without stdio. */
#ifndef BOARDWRIGHT_MESSAGE_H
#define BOARDWRIGHT_MESSAGE_H

#include "platform.h"

#include <stdarg.h>

enum { BW_MESSAGE_BYTES = 1024 };

typedef struct bw_message {
  char text[BW_MESSAGE_BYTES]; /* always terminated; what does not fit is cut off */
  size_t length;
} bw_message;

BW_HIDDEN void bw_message_clear(bw_message *message);
BW_HIDDEN void bw_message_add(bw_message *message, const char *text);
BW_HIDDEN void bw_message_add_integer(bw_message *message, int64_t number);

/* Replace the text. `format` knows %s, %d (int) and %llu (unsigned long long) only. */
BW_HIDDEN void bw_message_set(bw_message *message, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
