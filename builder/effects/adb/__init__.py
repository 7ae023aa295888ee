"""Boards behind the Android debug bridge: its server, its devices, and the three verbs over it."""
