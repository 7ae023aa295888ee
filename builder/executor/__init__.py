"""The only place that acts: it walks a plan from its goals and asks ports to do the work."""
