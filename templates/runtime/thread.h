/* Which instance a thread is working for: TVM's hooks are called without any context. */
#ifndef BOARDWRIGHT_THREAD_H
#define BOARDWRIGHT_THREAD_H

#include "workspace.h"

/* One participant of an instance's runs: the caller of bw_run, or a worker. */
typedef struct bw_thread {
  _Alignas(BW_ALIGNMENT) struct bw_model *model;
  bw_workspace workspace;
  bool in_task; /* inside a parallel region: another one nested in it runs serially */
} bw_thread;

/* Each instance holds the process-wide key from create to destroy; false when the system has none.
 */
BW_HIDDEN bool bw_thread_key_hold(void);
BW_HIDDEN void bw_thread_key_drop(void);

BW_HIDDEN bw_thread *bw_thread_current(void); /* NULL outside of runs */

/* Make `thread` the calling thread's; false when the system has no memory for that. */
BW_HIDDEN bool bw_thread_enter(bw_thread *thread);

#endif
