"""What a deployment is: releases in a content-addressed store on the board, and what it needs."""
