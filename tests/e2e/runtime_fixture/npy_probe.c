/* Reads each file named on the command line as a (4, 256) float32 tensor and prints what npy.c
 * makes of it, one line a file. */
#include "npy.h"

#include <stdint.h>

int main(int argc, char **argv) {
  static float elements[4 * 256];
  static const int64_t shape[] = {4, 256};
  const bw_tensor_info info = {"x", "x", BW_FLOAT32, 2, shape, sizeof elements};
  for (int i = 1; i < argc; i++) {
    npy_file file;
    npy_error error;
    const bool whole = npy_open(&file, argv[i], &info, &error) &&
                       npy_read(&file, elements, sizeof elements) && npy_close(&file, true);
    printf("%s\n", whole ? "read" : error.text);
  }
  return 0;
}
