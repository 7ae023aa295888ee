# Say the SHA-256 of files.  ARGUMENTS: their paths, relative to the store.
enter
cd store || refuse no-folder store
for name in "$@"; do
  [ -L "$name" ] && refuse planted-link "$name"
done
say_hashes "$@"
finish
