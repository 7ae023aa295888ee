# Hold the board until standard input ends or falls silent.  ARGUMENTS: HOLDER SECONDS
who=$1
patience=$2
locate
# Only what is ours is private: others may keep something in the folders above it.
above=${root%"${root##*[!/]}"}
above=${above%/*}
complaint=$( (umask 022 && mkdir -p "${above:-/}" && umask 077 && mkdir -p "$root") 2>&1) ||
  refuse failed "$complaint"
own_folder "$root"
cd "$root" || refuse no-permission "$root"
for folder in store releases locks results; do
  [ -L "$folder" ] || try mkdir -p "$folder" # -p: somebody else may make it at the same time
done
enter

boot_id
identify $$ || refuse failed "cannot read /proc/$$/stat"
me=$boot,$who,$process
while :; do
  if held; then
    say_busy
    [ "$patience" -gt 0 ] || finish
    patience=$((patience - 1))
  elif take_after "$top" "$me"; then
    break
  fi
  sleep 1
done
for ticket in locks/ticket-*; do
  [ "$ticket" = "locks/ticket-$fence" ] || rm -f "$ticket"
done
say lock "$fence" "$(pwd -P)"

# Each line that arrives is a sign of life. A machine that vanished closes no connection, so silence
# ends the lock too. Signal 9, for mksh puts any other off until the sleep has ended.
silence() {
  # A shell of its own: mksh's subshells keep a copy of the client's pipes, even after an exec.
  sh -c 'sleep 30; kill -9 "$1"' sh $$ > /dev/null 2>&1 < /dev/null &
  watch=$!
}
silence
while read -r beat; do
  kill -9 "$watch"
  silence
done
kill -9 "$watch"
finish
