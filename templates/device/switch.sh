# Make a release the current one, check it in its place, and go back where that fails.
# ARGUMENTS: TICKET RELEASE NAME RETIRED   RELEASE is renamed to NAME first, unless they are the
# same; RETIRED is the name that the release left behind goes by from then on, or nothing.
# Once begun it ends, with or without the one who asked for it.
trap '' HUP INT TERM PIPE
enter
[ -d "releases/$2" ] && [ ! -L "releases/$2" ] || refuse missing "releases/$2"

# A link that bears the final name, to be moved into its folder: the one way to rename(2) over a
# link to a folder that every mv knows.
prepare() { # WAY RELEASE
  try mkdir -p ".switch/$1"
  try ln -s "releases/$2" ".switch/$1/current"
}

go_back() {
  if [ -n "$before" ]; then
    mv -f .switch/back/current .
  else
    rm -f current
  fi
}

advance "$1"
read_current
before=$release
rm -rf .switch
prepare on "$3"
# Beforehand, for the check may leave no room, and then there must still be a way back.
[ -z "$before" ] || prepare back "$before"
if [ "$2" != "$3" ]; then
  [ -e "releases/$3" ] && refuse failed "releases/$3 is there already"
  try mv "releases/$2" "releases/$3"
fi
# Without this a power cut could leave `current` pointing to a name that is not there.
settle releases
try mv -f .switch/on/current .
output=$(current/bin/run --check 2>&1 > /dev/null < /dev/null)
status=$?
say check "$status" "$output"
if [ "$status" -eq 0 ]; then
  [ -z "$4" ] || [ -z "$before" ] || [ "$before" = "$3" ] || mv "releases/$before" "releases/$4"
elif go_back 2> /dev/null; then
  mv "releases/$3" "releases/00000000-${3#*-}"
  say back "$before"
else
  say stuck "$3"
fi
rm -rf .switch
settle . releases
finish
