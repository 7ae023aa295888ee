"""Any ONNX file -> a static, simplified model with external weights, its signature and check data.

``SKELETON_PASSES`` is the list to extend: each takes and returns a model whose large initialisers
have been moved out of the protobuf, so that every pass works on a few kilobytes whatever the
model's size.
"""
