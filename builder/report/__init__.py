"""What the user sees of a build: reports take events and write to a stream. No decisions here."""
