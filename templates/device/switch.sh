# Make a release the current one, check it in its place, and go back where that fails.
# ARGUMENTS: TICKET RELEASE NAME RETIRED   RELEASE is renamed to NAME first, unless they are the
# same; RETIRED is the name that the release left behind goes by from then on, or nothing.
# Once begun it ends, with or without the one who asked for it.
trap '' HUP INT TERM PIPE
enter
[ -d "releases/$2" ] && [ ! -L "releases/$2" ] || refuse missing "releases/$2"

point() { # RELEASE
  # A link that bears the final name, moved into its folder: the one way to rename(2) over a link to
  # a folder that every mv knows.
  rm -rf .switch
  try mkdir .switch
  try ln -s "releases/$1" .switch/current
  try mv -f .switch/current .
  rmdir .switch
}

advance "$1"
read_current
before=$release
if [ "$2" != "$3" ]; then
  [ -e "releases/$3" ] && refuse failed "releases/$3 is there already"
  try mv "releases/$2" "releases/$3"
fi
point "$3"
output=$(current/bin/run --check 2>&1 > /dev/null < /dev/null)
status=$?
say check "$status" "$output"
if [ "$status" -ne 0 ]; then
  if [ -n "$before" ]; then
    point "$before"
  else
    rm -f current
  fi
  mv "releases/$3" "releases/00000000-${3#*-}"
  say back "$before"
elif [ -n "$4" ] && [ -n "$before" ] && [ "$before" != "$3" ]; then
  mv "releases/$before" "releases/$4"
fi
settle . releases
finish
