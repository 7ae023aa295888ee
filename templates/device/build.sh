# Make new objects beside the store's own, from what was sent and what is there already, and say
# what they hash to.  ARGUMENT: TICKET
# Standard input, a line each; lengths are in blocks of 64 KiB and bytes beyond:
#   pack NAME                     the upload that `take` reads on from
#   file NAME                     begin a new object
#   take BLOCKS BYTES             its next bytes are the pack's
#   copy OBJECT SKIP SKIP BLOCKS BYTES    its next bytes are those of an object in the store
#   done                          it is whole
#   whole NAME                    an upload that is an object as it is
enter
still "$1"
cd store || refuse no-folder store

plain() {
  [ -L "$1" ] && refuse planted-link "store/$1"
  [ -f "$1" ] || refuse missing "store/$1"
}

pour() { # BLOCKS BYTES: from descriptor 3, where a pack goes on, or 5 to descriptor 4
  [ "$1" -eq 0 ] || dd bs=65536 count="$1" || return 1
  [ "$2" -eq 0 ] || dd bs="$2" count=1
}

checked() {
  [ "$1" -eq 0 ] || refuse failed "$complaint"
}

made=
while read -r verb a b c d e; do
  case $verb in
    pack)
      plain "$a"
      exec 3< "$a"
      ;;
    file)
      new=.new-$a
      rm -f "$new"
      complaint=$( (set -C && : > "$new") 2>&1) || refuse failed "${complaint:-$new}"
      exec 4>> "$new"
      made="$made $new"
      ;;
    take)
      complaint=$(pour "$a" "$b" 2>&1 <&3 >&4)
      checked $?
      ;;
    copy)
      plain "$a"
      exec 5< "$a"
      [ "$b" -eq 0 ] || dd bs=65536 skip=$((b - 1)) count=1 <&5 > /dev/null 2>&1
      [ "$c" -eq 0 ] || dd bs="$c" count=1 <&5 > /dev/null 2>&1
      complaint=$(pour "$d" "$e" 2>&1 <&5 >&4)
      checked $?
      ;;
    done) exec 4>&- ;;
    whole)
      plain "$a"
      made="$made $a"
      ;;
  esac
done
[ -z "$made" ] || say_hashes $made
finish
