# Every script for a board begins with this. POSIX sh: boards have busybox, toybox or dash.
#   sh -c SCRIPT boardwright NONCE ROOT ARGUMENT...
# Each line of an answer begins with the nonce; `NONCE end` closes it. Nothing is ever eval-ed.
set -u
# What is made here holds somebody's weights. What is there already keeps its mode.
umask 077
LC_ALL=C
export LC_ALL
unset CDPATH
nonce=$1
root=$2
shift 2
newline='
'

say() {
  said=$*
  printf "%s %s\n" "$nonce" "${said%%"$newline"*}"
}

finish() {
  say end
  exit 0
}

refuse() { # REASON TEXT
  say refused "$@"
  finish
}

# Refuse what a command cannot do, in its own words.
try() {
  complaint=$("$@" 2>&1 > /dev/null) || refuse failed "${complaint:-$1}"
}

# Wait until these files and folders are on the disk; older boards wait for all there is to write.
settle() { # PATH...
  sync "$@" 2> /dev/null || sync
}

locate() {
  case $root in
    '~') root=${HOME:-/} ;;
    '~/'*) root=${HOME:-}/${root#??} ;;
  esac
}

# A folder that is this user's own and no link: nobody else can lead us astray through it.
own_folder() {
  [ -L "$1" ] && refuse planted-link "$1"
  [ -d "$1" ] || refuse no-folder "$1"
  [ -O "$1" ] || refuse foreign-folder "$1"
}

enter() {
  locate
  own_folder "$root"
  cd "$root" || refuse no-permission "$root"
  for folder in store releases locks results; do
    own_folder "$folder"
  done
}

# Sets entry to what a link says; fails where it is gone. ls is on boards where readlink is not.
text_of() {
  entry=$(ls -ln "$1" 2> /dev/null)
  case $entry in
    '') return 1 ;;
    l*' -> '*) entry=${entry#*' -> '} ;;
    *) refuse planted-link "$1" ;;
  esac
}

# Sets release to the name that `current` points to, or to nothing, also where that is gone.
read_current() {
  release=
  [ -L current ] || [ -e current ] || return 0
  text_of current
  release=${entry#releases/}
  case $entry in
    releases/*) ;;
    *) refuse planted-link current ;;
  esac
  case $release in
    '' | .* | */*) refuse planted-link current ;;
  esac
  [ -d "releases/$release" ] || release=
}

# Say who holds the board, and for how long in seconds; the board's date plays no part.
say_busy() {
  read -r uptime idle < /proc/uptime
  say busy "$holder" "$((${uptime%%.*} - ${since%??}))"
}

# Say how much room is left where a folder lies.
say_free() { # FOLDER
  df -Pk "$1" 2> /dev/null | while read -r source total used free rest; do
    case $free in
      *[!0-9]* | '') ;;
      *) say free_kib "$free" ;;
    esac
  done
}

# Sets hasher to the command that prints SHA-256 sums, or to nothing.
find_hasher() {
  hasher=
  for one in sha256sum "busybox sha256sum" "toybox sha256sum" "shasum -a 256" "openssl dgst -r -sha256"; do
    command -v "${one%% *}" > /dev/null 2>&1 || continue
    case $($one /dev/null 2> /dev/null) in
      e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855*) hasher=$one && return ;;
    esac
  done
}

# Say the SHA-256 of files, where the board can tell.
say_hashes() { # FILE...
  find_hasher
  [ -n "$hasher" ] || return 0
  $hasher "$@" 2> /dev/null | while read -r digest file; do
    say hash "${file#\*}" "$digest"
  done
}

# ---- the lock: tickets, which are links that cannot be overwritten and say who took them ----
# Their text is BOOT,HOLDER,PROCESS[,PROCESS] and a process is PID-START. The highest number is the
# one that counts, for as long as one of its processes lives in this boot of the board.

boot_id() {
  boot=none
  read -r boot < /proc/sys/kernel/random/boot_id
} 2> /dev/null

# Sets process to PID-START; fails when there is no such process. Always through cat: an emulator
# shows a process another /proc/PID/stat of itself than its neighbours see.
identify() { # PID
  process=
  stat=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
  set -- "$1" ${stat##*) }
  case ${2:-X} in
    [ZX]) return 1 ;;
  esac
  process=$1-${21}
}

# Sets top to the highest ticket's number, holder to who has it, since to when its process began.
# Succeeds while that one lives.
held() {
  top=00000000 holder= since=
  for ticket in locks/ticket-*; do
    :
  done
  case $ticket in
    'locks/ticket-*') return 1 ;;
    locks/ticket-*[!0-9]*) refuse planted-link "$ticket" ;;
    locks/ticket-????????) ;;
    *) refuse planted-link "$ticket" ;; # names of other lengths are in no order with ours
  esac
  top=${ticket#locks/ticket-}
  # Its taker may have made way for a higher one since.
  text_of "$ticket" || {
    held
    return
  }
  case $entry in
    "$boot",*,*) ;;
    *) return 1 ;;
  esac
  entry=${entry#*,}
  holder=${entry%%,*}
  entry=${entry#*,},
  while [ -n "$entry" ]; do
    one=${entry%%,*}
    entry=${entry#*,}
    case $one in
      *[!0-9-]* | '' | *-*-*) continue ;;
    esac
    identify "${one%-*}" && [ "$process" = "$one" ] && since=${one#*-} && return 0
  done
  return 1
}

# Take the ticket after TOP. Fails when somebody else has been faster. Tickets below the highest
# may be removed at any time, so one that was just made counts only while it is the highest.
take_after() { # TOP TEXT
  fence=${1#"${1%%[!0]*}"}
  fence=$(printf '%08d' $((${fence:-0} + 1)))
  # Longer names would sort before shorter ones.
  [ "${#fence}" -eq 8 ] || refuse failed "no tickets are left in locks"
  complaint=$(ln -s "$2" "locks/ticket-$fence" 2>&1) || case $complaint in
    *exists*) return 1 ;;
    *) refuse failed "$complaint" ;;
  esac
  for ticket in locks/ticket-*; do
    :
  done
  [ "$ticket" = "locks/ticket-$fence" ] && return 0
  rm -f "locks/ticket-$fence"
  return 1
}

# Refuse to go on with a ticket that is no longer the highest.
still() { # TICKET
  for ticket in locks/ticket-*; do
    :
  done
  [ "$ticket" = "locks/ticket-$1" ] || refuse lock-lost "ticket $1"
}

# Go from the lock's ticket to the next one, which this process shares with the lock's holder: from
# here on nobody else can have taken the board in between.
advance() { # TICKET
  boot_id
  text_of "locks/ticket-$1"
  identify $$ || refuse failed "cannot read /proc/$$/stat"
  case $entry in
    "$boot",*) take_after "$1" "$entry,$process" || refuse lock-lost "ticket $1" ;;
    *) refuse lock-lost "ticket $1" ;;
  esac
  say fence "$fence"
}
