"""Tuning records: their files, and which of them a build goes by."""
