"""Deploying as values: what a board says in, what is to be done on it out. No I/O."""
