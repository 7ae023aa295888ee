"""Boards behind SSH: the way there, who is trusted, and the three verbs over it."""
