# Say what is on the board and touch nothing.
locate
[ -L "$root" ] || [ -e "$root" ] || finish
own_folder "$root"
cd "$root" || refuse no-permission "$root"

list() { # FOLDER KIND-OF-ENTRY KEY
  [ -L "$1" ] || [ -e "$1" ] || return 0
  own_folder "$1"
  ls -lnA "$1" 2> /dev/null | while read -r mode links user group size rest; do
    name=${rest##* }
    case $mode in
      "$2"*) say "$3" "$name" "$size" ;;
      l*) say planted "$1/$name" ;;
    esac
  done
}

read_current
say current "$release"
list releases d release
list store - object
boot_id
[ -d locks ] && own_folder locks && held && say_busy
say_free .
say root "$(pwd -P)"
finish
