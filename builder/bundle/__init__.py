"""What is handed to the board: the bundle's layout, its manifest, its archive and its ELF audit."""
