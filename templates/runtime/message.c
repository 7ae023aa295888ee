/* Sentences of bounded length, without stdio. */
#include "message.h"

void bw_message_clear(bw_message *message) {
  message->length = 0;
  message->text[0] = '\0';
}

static void add_character(bw_message *message, char character) {
  if (message->length + 1 >= BW_MESSAGE_BYTES)
    return;
  message->text[message->length++] = character;
  message->text[message->length] = '\0';
}

void bw_message_add(bw_message *message, const char *text) {
  while (*text != '\0')
    add_character(message, *text++);
}

static void add_number(bw_message *message, unsigned long long number) {
  char digits[21];
  size_t start = sizeof digits - 1;
  digits[start] = '\0';
  do {
    digits[--start] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  bw_message_add(message, digits + start);
}

void bw_message_add_integer(bw_message *message, int64_t number) {
  if (number < 0)
    add_character(message, '-');
  add_number(message, number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number);
}

/* Add the value that the conversion at `format` (after its %) asks for; return what follows it. */
static const char *add_conversion(bw_message *message, const char *format, va_list *values) {
  if (*format == 's')
    bw_message_add(message, va_arg(*values, const char *));
  else if (*format == 'd')
    bw_message_add_integer(message, va_arg(*values, int));
  else {
    add_number(message, va_arg(*values, unsigned long long));
    format += 2; /* the ll of %llu */
  }
  return format + 1;
}

void bw_message_set(bw_message *message, const char *format, ...) {
  va_list values;
  va_start(values, format);
  bw_message_clear(message);
  while (*format != '\0') {
    if (*format == '%')
      format = add_conversion(message, format + 1, &values);
    else
      add_character(message, *format++);
  }
  va_end(values);
}
