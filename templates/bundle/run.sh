#!/bin/sh
# Start bin/run of this bundle from any folder, also through a symbolic link to this script.
set -eu
self=$(readlink -f -- "$0")
exec "${self%/*}/bin/run" "$@"
