# Remove releases, and what no release and no upload needs any more.  ARGUMENT: TICKET
# Standard input: a release to remove on each line.
enter
advance "$1"
read_current
while read -r name; do
  case $name in
    "$release" | '' | .* | */*) continue ;;
  esac
  mv "releases/$name" "releases/.gone-$name" && say removed "$name"
done
rm -rf releases/.gone-* releases/.new-* store/.new-* store/.part-* .switch
# Every manifest names the hashes of its release's files, all but its own.
wanted=" $(grep -hoE '"[0-9a-f]{64}"' releases/*/manifest.json /dev/null | tr -d '"' | tr '\n' ' ')"
for manifest in releases/*/manifest.json; do
  # Where none can be read, nothing is known to be needed no more.
  [ ! -e "$manifest" ] || [ -n "${wanted# }" ] || finish
done
for file in store/*; do
  object=${file#store/}
  object=${object%.parts}
  case $wanted in
    *" $object "*) continue ;;
  esac
  rm -f "$file"
done
finish
