/* One started model with its buffers, as the command line asked for it. */
#ifndef BOARDWRIGHT_SESSION_H
#define BOARDWRIGHT_SESSION_H

#include "options.h"
#include "tensors.h"

typedef struct session {
  options options;
  char *bundle;
  model_api api;
  bw_model *model;
  tensors inputs, outputs;
  double init_us; /* from loading the library to being ready to run */
} session;

/* Exits with EXIT_START when the model cannot start. */
session session_open(options asked);
void session_close(session *s);

/* Run once; exits with EXIT_VALUE or EXIT_RUN when that fails. */
void session_run(session *s);

/* A folder of the bundle's check data, for free(): check/<name>. */
char *session_check_folder(const session *s, const char *name);

/* The bundle's check inputs where there are any, else leave zeros. */
void session_load_sample_inputs(session *s);

/* Open a JSON document on standard output that names model, target and threads. */
json session_json(const session *s);

#endif
