"""Driving one board through its transport: deploying, holding its lock, measuring."""
