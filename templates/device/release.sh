# Take new objects into the store and lay out a release of them.  ARGUMENTS: TICKET RELEASE
# Standard input, a line each:
#   store FROM OBJECT MODE     a file that was verified becomes an object
#   folder PATH                a folder of the release
#   link PATH OBJECT           a file of the release
#   whole                      nothing is missing: a dying link ends this list anywhere
enter
still "$1"
new=.new-$1-$2
[ -e "releases/$2" ] && refuse failed "releases/$2 is there already"
rm -rf "releases/$new"
try mkdir "releases/$new"

link() { # OBJECT PATH
  ln "$1" "$2" 2> /dev/null || {
    complaint=$(cp -p "$1" "$2" 2>&1) || refuse failed "$complaint"
  }
}

new_files="releases/$new"
whole=
while read -r verb a b c; do
  case $verb in
    store)
      try chmod "$c" "store/$a"
      try mv -f "store/$a" "store/$b"
      new_files="$new_files store/$b"
      ;;
    folder)
      try mkdir "releases/$new/$a"
      new_files="$new_files releases/$new/$a"
      ;;
    link)
      [ -L "store/$b" ] && refuse planted-link "store/$b"
      link "store/$b" "releases/$new/$a"
      ;;
    whole) whole=yes ;;
  esac
done
[ -n "$whole" ] || refuse failed 'the list of files is cut short'
# Without this a power cut could leave a whole release of empty files.
settle store releases $new_files
still "$1"
try mv "releases/$new" "releases/$2"
finish
