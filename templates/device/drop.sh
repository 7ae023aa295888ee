# Remove what is damaged, so that it is made anew, and what is in the way.  ARGUMENT: TICKET
# Standard input, a line each: object NAME, release NAME, scrap NAME.
enter
advance "$1"
read_current
while read -r verb name; do
  case $verb-$name in
    *- | */* | "release-$release") continue ;;
    scrap-.part-* | scrap-.new-* | scrap-.gone-*) rm -rf "store/$name" "releases/$name" ;;
    *-.*) continue ;;
    object-*) rm -f "store/$name" "store/$name.parts" ;;
    release-*) mv "releases/$name" "releases/.gone-$name" && rm -rf "releases/.gone-$name" ;;
  esac
done
finish
