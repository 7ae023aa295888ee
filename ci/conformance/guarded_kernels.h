/* Kernels of a model whose tensors all lie in guarded memory of their own. */
#ifndef CONFORMANCE_GUARDED_KERNELS_H
#define CONFORMANCE_GUARDED_KERNELS_H

#include "model.h"

/* From now on each kernel call of `model` works on copies between guard pages, twice: ending at
 * one, then beginning at one. A stray access ends the process with a line on standard output that
 * starts with `run` and "strayed". */
void guard_kernels(bw_model *model, const char *run);

#endif
