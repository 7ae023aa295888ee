"""The compiler: a static ONNX model in; kernels, packed weights and a static plan out.

TVM is imported here and nowhere else. The floors inside, each importing only what is below it::

    prepare/      any ONNX file -> a static, simplified one with reference outputs (no TVM)
    importing     ONNX -> Relax, each binding named after the ONNX node it came from
    passes        the optimisation pipeline: a list of named passes
    lowering      Relax main -> StaticPlan, with arena (memory planning)
    codegen       scheduled TIR -> kernels.o
    plan          the StaticPlan nouns
"""
