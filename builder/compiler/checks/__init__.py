"""No value of an input may break the process: indices, lengths and divisors, checked before use.

``operands`` knows which operands of which operators they are and what they may be, ``intervals``
which values need no check because their producer cannot make others, and ``checked`` is the mark
in Relax that lowering turns into a check of the plan.
"""
