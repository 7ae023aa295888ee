"""The compiler: a static ONNX model in; kernels, packed weights and a static plan out.

TVM is imported here and nowhere else. The floors inside, each importing only what is below it::

    prepare/      any ONNX file -> a static, simplified one with reference outputs (no TVM)
    importing     ONNX -> Relax, each binding named after the ONNX node it came from
    checks/       which operands are indices, lengths or divisors, and what may be in them
    passes        the optimisation pipeline: a list of named passes, among them
      blocking/   channel blocks and packed weights, rule by rule
      kernels/    what each kernel family computes and how it is scheduled
    lowering      Relax main -> StaticPlan, with arena (memory planning)
    codegen       scheduled TIR -> objects of kernels, for each CPU
    plan          the StaticPlan nouns
"""
