"""Where the payload runs, as values: images that are rendered, never named by hand. Pure."""
