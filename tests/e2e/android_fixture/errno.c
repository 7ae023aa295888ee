/* The one function of bionic's that no other C library has: a stand-in for its libc.so. */
extern int *__errno_location(void);
int *__errno(void) { return __errno_location(); }
