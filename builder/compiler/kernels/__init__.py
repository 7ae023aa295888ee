"""Kernel families: for each, what it computes (TE) and how it is scheduled for a vector unit.

A schedule is a function of the kernel's shape and of the vector unit alone. A kernel belongs to the
family whose anchor block it holds; fusion may have put anything after the anchor. Whatever goes
wrong in a family's schedule, the plain one takes over: slower, never wrong.
"""
