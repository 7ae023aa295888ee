/* platform.h by system calls and the oldest corners of libc. */
#include "platform.h"

extern long syscall(long number, ...);
extern int posix_memalign(void **pointer, size_t alignment, size_t bytes);

#if defined(__ANDROID__)
extern int *__errno(void);
#define BW_ERRNO (*__errno())
#else
extern int *__errno_location(void);
#define BW_ERRNO (*__errno_location())
#endif

#if defined(__x86_64__) && defined(__LP64__)
enum { NR_READ = 0, NR_CLOSE = 3, NR_LSEEK = 8, NR_MMAP = 9, NR_MUNMAP = 11, NR_FUTEX = 202 };
enum { NR_SCHED_SETAFFINITY = 203, NR_SCHED_GETAFFINITY = 204, NR_OPENAT = 257 };
enum { NR_RT_SIGPROCMASK = 14, NR_GETPID = 39 };
#elif defined(__aarch64__) && defined(__LP64__)
enum { NR_READ = 63, NR_CLOSE = 57, NR_LSEEK = 62, NR_MMAP = 222, NR_MUNMAP = 215, NR_FUTEX = 98 };
enum { NR_SCHED_SETAFFINITY = 122, NR_SCHED_GETAFFINITY = 123, NR_OPENAT = 56 };
enum { NR_RT_SIGPROCMASK = 135, NR_GETPID = 172 };
#elif defined(__arm__)
enum { NR_READ = 3, NR_CLOSE = 6, NR_LLSEEK = 140, NR_MMAP = 192 /* mmap2 */, NR_MUNMAP = 91, NR_FUTEX = 240 };
enum { NR_SCHED_SETAFFINITY = 241, NR_SCHED_GETAFFINITY = 242, NR_OPENAT = 322 };
enum { NR_RT_SIGPROCMASK = 175, NR_GETPID = 20 };
#else
#error "no system call numbers for this architecture"
#endif

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };
enum { AT_CURRENT_DIRECTORY = -100, OPEN_NONBLOCK = 04000, OPEN_CLOEXEC = 02000000 };
enum { SEEK_TO_END = 2, PROTECTION_READ = 1, MAPPING_PRIVATE = 2 };
enum { ERRNO_NOENT = 2, ERRNO_NOMEM = 12, ERRNO_ACCES = 13 };
enum { ERRNO_NODEV = 19, ERRNO_INVAL = 22, ERRNO_SPIPE = 29 };
enum { CLOCK_IS_MONOTONIC = 1 };
enum { BLOCK_SIGNALS = 0, SET_SIGNALS = 2, FIRST_REAL_TIME_SIGNAL = 32 };
enum { SIGNAL_ILL = 4, SIGNAL_TRAP = 5, SIGNAL_BUS = 7, SIGNAL_FPE = 8, SIGNAL_SEGV = 11 };
enum { SIGNAL_SYS = 31 };

/* The symbol clock_gettime without a header's redirection takes two machine words on every libc. */
struct bw_timespec {
  long seconds, nanoseconds;
};
extern int clock_gettime(int clock, struct bw_timespec *now);

static long address(const volatile void *pointer) { return (long)(intptr_t)pointer; }

void *bw_allocate(uint64_t bytes) {
  void *pointer = NULL;
  if (bytes > SIZE_MAX / 2)
    return NULL;
  if (posix_memalign(&pointer, BW_ALIGNMENT, bytes != 0 ? (size_t)bytes : BW_ALIGNMENT) != 0)
    return NULL;
  return pointer;
}

void *bw_allocate_zeroed(uint64_t bytes) {
  void *pointer = bw_allocate(bytes);
  return pointer != NULL ? memset(pointer, 0, (size_t)bytes) : NULL;
}

uint64_t bw_clock_ns(void) {
  struct bw_timespec now;
  clock_gettime(CLOCK_IS_MONOTONIC, &now);
  return (uint64_t)now.seconds * UINT64_C(1000000000) + (uint64_t)now.nanoseconds;
}

void bw_futex_wait(_Atomic uint32_t *word, uint32_t expected) {
  syscall(NR_FUTEX, address(word), (long)FUTEX_WAIT_PRIVATE, (long)expected, 0L, 0L, 0L);
}

void bw_futex_wake(_Atomic uint32_t *word, uint32_t count) {
  syscall(NR_FUTEX, address(word), (long)FUTEX_WAKE_PRIVATE, (long)count, 0L, 0L, 0L);
}

enum { UNLOCKED = 0, LOCKED = 1, CONTENDED = 2 };

void bw_lock_acquire(bw_lock *lock) {
  uint32_t state = UNLOCKED;
  if (atomic_compare_exchange_strong(&lock->state, &state, LOCKED))
    return;
  while (atomic_exchange(&lock->state, CONTENDED) != UNLOCKED)
    bw_futex_wait(&lock->state, CONTENDED);
}

void bw_lock_release(bw_lock *lock) {
  if (atomic_exchange(&lock->state, UNLOCKED) == CONTENDED)
    bw_futex_wake(&lock->state, 1);
}

/* The kernel's set of signals is 64 bits on every architecture here. */
static uint64_t change_signals(long how, uint64_t set) {
  uint64_t before = 0;
  syscall(NR_RT_SIGPROCMASK, how, address(&set), address(&before), (long)sizeof set);
  return before;
}

static uint64_t signal_bit(int number) { return UINT64_C(1) << (number - 1); }

uint64_t bw_signals_block(void) {
  uint64_t kept = signal_bit(SIGNAL_ILL) | signal_bit(SIGNAL_TRAP) | signal_bit(SIGNAL_BUS) |
                  signal_bit(SIGNAL_FPE) | signal_bit(SIGNAL_SEGV) | signal_bit(SIGNAL_SYS);
  /* setuid() and thread cancellation wait for every thread to answer one of these. */
  for (int number = FIRST_REAL_TIME_SIGNAL; number < __libc_current_sigrtmin(); number++)
    kept |= signal_bit(number);
  return change_signals(BLOCK_SIGNALS, ~kept);
}

void bw_signals_restore(uint64_t blocked) { change_signals(SET_SIGNALS, blocked); }

int32_t bw_process(void) { return (int32_t)syscall(NR_GETPID); }

bool bw_cores_of_thread(bw_cores *cores) {
  memset(cores, 0, sizeof *cores);
  return syscall(NR_SCHED_GETAFFINITY, 0L, (long)sizeof *cores, address(cores)) > 0;
}

bool bw_cores_restrict(const bw_cores *cores) {
  return syscall(NR_SCHED_SETAFFINITY, 0L, (long)sizeof *cores, address(cores)) == 0;
}

void bw_cores_add(bw_cores *cores, int32_t core) {
  const int32_t bits = 8 * (int32_t)sizeof(unsigned long);
  cores->words[core / bits] |= 1UL << (core % bits);
}

bool bw_cores_has(const bw_cores *cores, int32_t core) {
  const int32_t bits = 8 * (int32_t)sizeof(unsigned long);
  return (cores->words[core / bits] >> (core % bits) & 1UL) != 0;
}

int32_t bw_cores_count(const bw_cores *cores) {
  int32_t count = 0;
  for (int32_t i = 0; i < BW_CORE_WORDS; i++)
    count += __builtin_popcountl(cores->words[i]);
  return count;
}

static bool file_length(long file, uint64_t *bytes) {
#if defined(__arm__)
  int64_t end = -1; /* lseek's offset is 32 bits here */
  if (syscall(NR_LLSEEK, file, 0L, 0L, address(&end), (long)SEEK_TO_END) != 0)
    return false;
#else
  long end = syscall(NR_LSEEK, file, 0L, (long)SEEK_TO_END);
#endif
  *bytes = (uint64_t)end;
  return end >= 0;
}

static int map_open_file(long file, const uint8_t **data, uint64_t *bytes) {
  if (!file_length(file, bytes))
    return BW_ERRNO;
  if (*bytes == 0)
    return 0;
  if (*bytes >= INT64_MAX) /* what some file systems call the length of a folder */
    return ERRNO_INVAL;
  if (*bytes > SIZE_MAX / 2)
    return ERRNO_NOMEM;
  long start =
      syscall(NR_MMAP, 0L, (long)*bytes, (long)PROTECTION_READ, (long)MAPPING_PRIVATE, file, 0L);
  if (start == -1)
    return BW_ERRNO;
  *data = (const uint8_t *)(intptr_t)start;
  return 0;
}

/* Non-blocking, so that a FIFO in the file's place is an error and not a wait for a writer. */
static long open_to_read(const char *path) {
  return syscall(NR_OPENAT, (long)AT_CURRENT_DIRECTORY, address(path),
                 (long)(OPEN_CLOEXEC | OPEN_NONBLOCK), 0L);
}

uint64_t bw_read_number(const char *path) {
  char digits[20] = {0};
  const long file = open_to_read(path);
  if (file < 0)
    return 0;
  const long length = syscall(NR_READ, file, address(digits), (long)sizeof digits - 1);
  syscall(NR_CLOSE, file);
  uint64_t number = 0;
  for (long i = 0; i < length && digits[i] >= '0' && digits[i] <= '9'; i++)
    number = 10 * number + (uint64_t)(digits[i] - '0');
  return number;
}

int bw_map_file(const char *path, const uint8_t **data, uint64_t *bytes) {
  *data = NULL;
  *bytes = 0;
  const long file = open_to_read(path);
  if (file < 0)
    return BW_ERRNO;
  int error = map_open_file(file, data, bytes);
  syscall(NR_CLOSE, file);
  return error;
}

void bw_unmap(const uint8_t *data, uint64_t bytes) {
  if (data != NULL)
    syscall(NR_MUNMAP, address(data), (long)bytes);
}

const char *bw_errno_text(int error) {
  switch (error) {
  case ERRNO_NOENT:
    return "no such file";
  case ERRNO_NOMEM:
    return "not enough memory or address space";
  case ERRNO_ACCES:
    return "permission denied";
  case ERRNO_NODEV:
  case ERRNO_INVAL:
  case ERRNO_SPIPE:
    return "it is not a regular file";
  default:
    return "the system refused";
  }
}
