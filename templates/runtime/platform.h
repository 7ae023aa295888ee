/* What the runtime needs of the system, without the system's headers.
 *
 * One source must be right on glibc, musl and bionic, so the few libc functions it calls are
 * declared here with types whose size is the same on all three (pthread_t is one machine word, a
 * pthread key is 32 bits), and whatever involves off_t, struct stat or time64 goes through system
 * calls whose ABI is the kernel's. Synchronisation is C11 atomics and futexes.
 */
#ifndef BOARDWRIGHT_PLATFORM_H
#define BOARDWRIGHT_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BW_ALIGNMENT 64
#define BW_HIDDEN __attribute__((visibility("hidden")))

extern void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
extern void *memmove(void *to, const void *from, size_t bytes);
extern void *memset(void *to, int value, size_t bytes);
extern int strcmp(const char *left, const char *right);
extern void free(void *pointer);

extern int __libc_current_sigrtmin(void);
extern int pthread_create(unsigned long *thread, const void *attributes, void *(*start)(void *),
                          void *argument);
extern int pthread_join(unsigned long thread, void **result);
extern int pthread_key_create(unsigned int *key, void (*destructor)(void *));
extern int pthread_key_delete(unsigned int key);
extern void *pthread_getspecific(unsigned int key);
extern int pthread_setspecific(unsigned int key, const void *value);

/* Memory aligned to BW_ALIGNMENT, for free(); never NULL for 0 bytes. NULL when there is none. */
BW_HIDDEN void *bw_allocate(uint64_t bytes);
BW_HIDDEN void *bw_allocate_zeroed(uint64_t bytes);

BW_HIDDEN uint64_t bw_clock_ns(void); /* monotonic */

/* Sleep while *word is `expected`; may return early. Wake at most `count` sleepers. */
BW_HIDDEN void bw_futex_wait(_Atomic uint32_t *word, uint32_t expected);
BW_HIDDEN void bw_futex_wake(_Atomic uint32_t *word, uint32_t count);

/* A mutex; all zeros is unlocked. */
typedef struct bw_lock {
  _Atomic uint32_t state;
} bw_lock;

BW_HIDDEN void bw_lock_acquire(bw_lock *lock);
BW_HIDDEN void bw_lock_release(bw_lock *lock);

/* Tell the core that this is a spin loop. */
static inline void bw_pause(void) {
#if defined(__x86_64__)
  __asm__ __volatile__("pause");
#elif defined(__aarch64__)
  __asm__ __volatile__("isb" ::: "memory"); /* yield is a no-op on cores without SMT */
#else
  __asm__ __volatile__("yield");
#endif
}

/* Block the signals that a process gets from outside, for the calling thread and those it starts.
 * Left alone are faults of the thread itself and what the C library keeps for its own use. Return
 * what was blocked before. */
BW_HIDDEN uint64_t bw_signals_block(void);
BW_HIDDEN void bw_signals_restore(uint64_t blocked);

BW_HIDDEN int32_t bw_process(void); /* the process's number: another one in a forked child */

/* The set of cores a thread may run on. */
enum { BW_CORE_LIMIT = 8192, BW_CORE_WORDS = BW_CORE_LIMIT / (8 * (int)sizeof(unsigned long)) };

typedef struct bw_cores {
  unsigned long words[BW_CORE_WORDS];
} bw_cores;

BW_HIDDEN bool bw_cores_of_thread(bw_cores *cores);      /* of the calling thread */
BW_HIDDEN bool bw_cores_restrict(const bw_cores *cores); /* the calling thread to these */
BW_HIDDEN void bw_cores_add(bw_cores *cores, int32_t core);
BW_HIDDEN bool bw_cores_has(const bw_cores *cores, int32_t core);
BW_HIDDEN int32_t bw_cores_count(const bw_cores *cores);

/* Return the decimal number that a file begins with; 0 where there is none. */
BW_HIDDEN uint64_t bw_read_number(const char *path);

/* Map a whole regular file read-only. Return 0, or the errno of what failed; an empty file maps to
 * NULL. `*bytes` is the file's length as soon as it is known, also where mapping it failed. */
BW_HIDDEN int bw_map_file(const char *path, const uint8_t **data, uint64_t *bytes);
BW_HIDDEN void bw_unmap(const uint8_t *data, uint64_t bytes);
BW_HIDDEN const char *bw_errno_text(int error);

#endif
