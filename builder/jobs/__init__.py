"""The job matrix of a project, for CI services: compile jobs anywhere, hardware jobs by board."""
