/* A pthread key shared by all instances, counted. Not _Thread_local: Android gained ELF TLS with
 * API 29. Counted, because an unloaded library that kept its key would use up the few there are. */
#include "thread.h"

static bw_lock key_lock;
static uint32_t key_holders;
static unsigned int key;

bool bw_thread_key_hold(void) {
  bw_lock_acquire(&key_lock);
  const bool held = key_holders != 0 || pthread_key_create(&key, NULL) == 0;
  if (held)
    key_holders++;
  bw_lock_release(&key_lock);
  return held;
}

void bw_thread_key_drop(void) {
  bw_lock_acquire(&key_lock);
  if (--key_holders == 0)
    pthread_key_delete(key);
  bw_lock_release(&key_lock);
}

bw_thread *bw_thread_current(void) { return pthread_getspecific(key); }

bool bw_thread_enter(bw_thread *thread) { return pthread_setspecific(key, thread) == 0; }
