# Say what the board is and touch nothing.  Unknown things are left out.
locate
say machine "$(uname -m)"
say kernel "$(uname -sr)"
say uptime_s "$(cut -d. -f1 /proc/uptime)"
say date "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
boot_id
say boot "$boot"
# Not id -u: some boards have no id, and whose folders are safe depends on it.
while read -r name real uid rest; do
  [ $name = Uid: ] && say uid $uid && break
done < /proc/self/status
say user "$(id -un 2>&- || echo $uid)"

file_line() { # KEY FILE
  line=
  [ -r "$2" ] && IFS= read -r line < "$2" 2> /dev/null
  [ -n "$line" ] && say "$1" "$line"
}

while read -r name; do
  case $name in
    PRETTY_NAME=*) say os "${name#PRETTY_NAME=}" ;;
  esac
done < /etc/os-release 2> /dev/null
[ -r /proc/device-tree/model ] && say board "$(tr -d '\000' < /proc/device-tree/model)"
file_line l4t /etc/nv_tegra_release

# The C library: one that can be asked, else the loaders that are there.
say glibc "$(getconf GNU_LIBC_VERSION 2> /dev/null)"
for library in /lib/libc.so.6 /lib/*/libc.so.6 /lib64/libc.so.6 /usr/lib/libc.so.6 /usr/lib/*/libc.so.6; do
  [ -x "$library" ] && say libc "$("$library" 2> /dev/null)"
done
for loader in /lib/ld-linux* /lib64/ld-linux* /lib/ld-musl-* /system/bin/linker /system/bin/linker64; do
  [ -e "$loader" ] && say loader "$loader"
done
if command -v getprop > /dev/null 2>&1; then
  say android "$(getprop ro.build.version.sdk)"
  say abis "$(getprop ro.product.cpu.abilist)"
fi

cores=0 spelling= features=
while IFS=: read -r name words; do
  case $name in
    processor*) cores=$((cores + 1)) ;;
    Features* | flags*) spelling=${name%%[!A-Za-z]*} features=$words ;;
  esac
done < /proc/cpuinfo
say cores "$cores"
[ -n "$features" ] && say features "$spelling$features"
while read -r name amount unit; do
  case $name in
    MemTotal: | MemAvailable:) say "${name%:}" "$amount" ;;
  esac
done < /proc/meminfo

for policy in /sys/devices/system/cpu/cpufreq/policy* /sys/devices/system/cpu/cpu0/cpufreq; do
  file_line governor "$policy/scaling_governor"
  file_line current_khz "$policy/scaling_cur_freq"
  file_line least_khz "$policy/scaling_min_freq"
  file_line most_khz "$policy/scaling_max_freq"
done
for zone in /sys/class/thermal/thermal_zone*; do
  type= temperature=
  read -r type < "$zone/type" && read -r temperature < "$zone/temp" &&
    say sensor "$temperature" "$type"
done 2> /dev/null
say throttled "$(throttle_word "")"
say nvpmodel "$(power_mode)"
device_clocks "" | while read -r line; do say clock "$line"; done

for tool in flock taskset; do
  command -v "$tool" > /dev/null 2>&1 && say tool "$tool"
done
find_hasher
[ -n "$hasher" ] && say tool "$hasher"

# Where bundles go: the folder, or the nearest one above it that there is.
say root "$root"
[ -L "$root" ] && say root_state link
place=$root
while [ ! -d "$place" ]; do
  place=${place%/*}
  [ -n "$place" ] || place=/
done
place=$(cd "$place" 2> /dev/null && pwd -P) || place=/
say place "$place"
[ -w "$place" ] && say writable yes || say writable no
[ -O "$place" ] && say owned yes || say owned no
[ -d "$root" ] && say root_state there
# Not those of the root as it is written: a link in it leads past the folders that matter.
at=$place/
while [ "$at" ]; do
  at=${at%/*}
  say up $(ls -ldn "${at:-/}")
done
best= options=
while read -r source at kind words rest; do
  case $place/ in
    "${at%/}"/*) [ "${#at}" -ge "${#best}" ] && best=$at options="$kind $words" ;;
  esac
done < /proc/mounts
say mount "$best" "$options"
say_free "$place"
finish
