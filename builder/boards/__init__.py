"""What is done to a board, through a transport and the scripts of ``templates/device``."""
