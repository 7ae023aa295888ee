# Hold the frequency governor of every core until standard input ends; then put back what was.
#
#   sh -c SCRIPT governor NONCE ROOT GOVERNOR SECONDS
#
# ROOT stands before /sys. Prints "=NONCE held", or "=NONCE refused FILE" and ends with 1. A client
# that dies closes its end of standard input; one whose machine vanishes says nothing for SECONDS.
# Either way what was comes back.
nonce=$1 root=$2 wanted=$3 patience=$4
saved=

put_back() {
  trap '' HUP INT TERM PIPE
  printf '%s\n' "$saved" | while read -r governor file; do
    [ -z "$file" ] || echo "$governor" > "$file"
  done 2> /dev/null
}

hold() {
  for file in "$root"/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
    [ -e "$file" ] || refuse 'it has no frequency governors'
    { IFS= read -r before < "$file"; } 2> /dev/null || refuse "$file"
    saved="$saved
$before $file"
    { echo "$wanted" > "$file"; } 2> /dev/null || refuse "$file"
    { IFS= read -r now < "$file"; } 2> /dev/null
    [ "$now" = "$wanted" ] || refuse "$file"
  done
}

refuse() {
  put_back
  printf '\n=%s refused %s\n' "$nonce" "$1"
  exit 1
}

watch_silence() {
  (
    sleep "$patience" &
    trap "kill $!; exit" TERM
    wait $!
    kill $$
  ) > /dev/null 2>&1 < /dev/null &
  watch=$!
}

watch=
trap 'put_back; [ -z "$watch" ] || kill "$watch"' EXIT
trap 'exit 1' HUP INT TERM PIPE
hold
printf '\n=%s held\n' "$nonce"
watch_silence
while read -r beat; do
  kill "$watch"
  watch_silence
done
