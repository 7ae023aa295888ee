/* bw_run as one that always fails, slowly: its message is the first number of the first input. */
#include <stdio.h>
#include <unistd.h>

#include "model.h"

static char message[64];

bw_status bw_run(bw_model *model, const void *const *inputs, void *const *outputs) {
  (void)model, (void)outputs;
  snprintf(message, sizeof message, "run %d.", (int)*(const float *)inputs[0]);
  usleep(2000);
  return BW_ERROR_VALUE;
}

const char *bw_last_error(const bw_model *model) {
  (void)model;
  return message;
}
