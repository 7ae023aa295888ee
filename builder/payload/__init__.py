"""The program that performs one step, locally or in a container: the only one that imports TVM.

Started as ``python -m builder.payload JOB.json`` (``builder.wire``). It wires the pure compiler,
toolchain and bundle packages and is the only place that runs zig and qemu.
"""
