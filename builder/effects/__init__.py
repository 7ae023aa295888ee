"""Adapters to the world: disk, processes, engines, this machine. They know no one above them."""
