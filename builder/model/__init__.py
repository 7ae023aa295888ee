"""The nouns: frozen, keyword-only values that every other package speaks in. No I/O."""
