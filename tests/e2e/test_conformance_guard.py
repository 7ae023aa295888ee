"""Kernels that stray from their tensors, run between guard pages: each must be told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from builder.payload.tools import Zig
from ci.conformance.__main__ import one_cpu
from ci.conformance.batch import Batch

PLAN = """
#include "plan.h"
typedef void *(*allocation)(int, int, uint64_t, int, int);
extern const allocation __TVMBackendAllocWorkspace;
static volatile int zero;
static int kernel(void *self, const bw_any *views, int32_t count, bw_any *result) {
  volatile float *x = ((bw_dl_tensor *)views[0].value.pointer)->data;
  volatile float *y = ((bw_dl_tensor *)views[1].value.pointer)->data;
  (void)self, (void)count, (void)result;
  for (int i = zero; i < ELEMENTS; i++)
    y[i] = x[i];
  BODY
  return zero;
}
static const int64_t shape[] = {ELEMENTS};
static const bw_tensor_info tensors[] = {
    {"x", "x", BW_FLOAT32, 1, shape, 4 * ELEMENTS}, {"y", "y", BW_FLOAT32, 1, shape, 4 * ELEMENTS}};
static const bw_view views[] = {{BW_INPUT, 2, 32, 1, 0, 0, 4 * ELEMENTS, shape},
                                {BW_OUTPUT, 2, 32, 1, 0, 0, 4 * ELEMENTS, shape}};
static const uint32_t arguments[] = {0, 1};
static const bw_call calls[] = {{kernel, "copy", "node", arguments, 2, 1}};
static const char *const features[] = {0};
static const uint8_t weights[1];
const bw_plan bw_model_plan = {
    .model = "m", .target = "t", .inputs = tensors, .outputs = tensors + 1, .views = views,
    .calls = calls, .cpu = "generic", .cpu_features = features, .embedded_weights = weights,
    .weights_xxh64 = 0xef46db3751d8e999u, .arena_bytes = 64, .input_count = 1, .output_count = 1,
    .view_count = 2, .call_count = 1};
"""
ODD, FULL = 5, 16
"""Floats: 20 bytes leave a gap before the guard page, 64 end at it."""

BODIES = [
    (ODD, "", "ok"),
    (FULL, "", "ok"),
    (ODD, "y[5] = 1;", "strayed kernel copy of node: writes beside its result 0"),
    (FULL, "y[16] = 1;", "strayed kernel copy of node: 0 bytes behind its result 0"),
    (ODD, "y[-1] = 1;", "strayed kernel copy of node: "),
    (FULL, "y[2] = x[17];", "strayed kernel copy of node: 4 bytes behind its operand 0"),
    (ODD, "y[2] = x[5];", "strayed kernel copy of node: its result 0 follows from what lies"),
    (ODD, "y[2] = x[-2];", "strayed kernel copy of node: "),
    (FULL, "y[2] = x[-2];", "strayed kernel copy of node: 8 bytes before its operand 0"),
    (FULL, "y[2] = x[1ull << 40];", "strayed kernel copy of node: an access far from"),
    (ODD, "x[0] = 1;", "strayed kernel copy of node: writes to its operand 0"),
    (ODD, "float *scratch = __TVMBackendAllocWorkspace(1, 0, 64, 2, 32); y[0] = scratch[16];",
     "strayed kernel copy of node: 0 bytes behind its scratch memory"),
    (ODD, "y[0] = 7 / zero;", "crashed kernel copy of node: "),
    (ODD, "while (!zero) {}", "crashed kernel copy of node: "),
    (ODD, "return -1;", "failed kernel copy of node failed: it did not say why"),
]  # fmt: skip


@pytest.mark.slow
def test_every_stray_access_is_told(tmp_path: Path) -> None:
    for number, (elements, body, _) in enumerate(BODIES):
        compiled = tmp_path / str(number) / "compiled"
        compiled.mkdir(parents=True)
        text = PLAN.replace("BODY", body).replace("ELEMENTS", str(elements))
        (compiled / "plan.c").write_text(text)
        (tmp_path / str(number) / "given").mkdir()
        data = np.arange(elements, dtype=np.float32)
        (tmp_path / str(number) / "given" / "in0.bin").write_bytes(data.tobytes())
    batch = Batch(
        folder=tmp_path,
        platform=one_cpu("x86_64-linux").platform,
        emulator=None,
        zig=Zig(cache=tmp_path / "zig", log=lambda _: None),
        guarded=True,
        limit_s=1,
    )
    outcomes = batch.run([(number, "given") for number in range(len(BODIES))])
    for number, (_, body, expected) in enumerate(BODIES):
        assert outcomes[number, "given"].startswith(expected), (body, outcomes[number, "given"])
    assert (tmp_path / "0/given/out0.bin").read_bytes() == np.arange(5, dtype=np.float32).tobytes()
