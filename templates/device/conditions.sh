# State the conditions of this board; with a COMMAND, before and after it. POSIX sh, busybox suffices.
#
#   sh -c SCRIPT conditions NONCE ROOT [COMMAND ...]
#
# ROOT stands before /sys and /proc. Lines that begin with "=NONCE " part the output; what the
# command prints lies between two of them. Every other line is a fact: a name, then words.
nonce=$1 root=$2
shift 2

mark() { printf '\n=%s %s\n' "$nonce" "$*"; }

fact() { # NAME FILE: the file's first line; unreadable and empty ones are no fact
  line=
  { IFS= read -r line < "$2"; } 2> /dev/null
  [ -z "$line" ] || printf '%s %s\n' "$1" "$line"
}

clocks() {
  for core in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    number=${core##*/cpu}
    fact "core $number governor" "$core/cpufreq/scaling_governor"
    fact "core $number current" "$core/cpufreq/scaling_cur_freq"
    fact "core $number min" "$core/cpufreq/scaling_min_freq"
    fact "core $number max" "$core/cpufreq/scaling_max_freq"
    fact "core $number limit" "$core/cpufreq/cpuinfo_max_freq"
  done
  device_clocks "$root" | while read -r line; do echo "clock $line"; done
}

load() { # the processor time of each core that is not idle, in ticks since boot
  while read -r name user nice system _ _ irq softirq steal _; do
    case $name in
      cpu) ;;
      cpu*) echo "core ${name#cpu} busy $((user + nice + system + irq + softirq + ${steal:-0}))" ;;
      *) break ;;
    esac
  done < "$root/proc/stat"
  fact uptime "$root/proc/uptime"
} 2> /dev/null

heat() {
  for zone in "$root"/sys/class/thermal/thermal_zone*; do
    kind=
    { IFS= read -r kind < "$zone/type"; } 2> /dev/null
    degrees=
    { IFS= read -r degrees < "$zone/temp"; } 2> /dev/null
    [ -z "$degrees" ] || printf 'zone %s %s\n' "$degrees" "$kind"
  done
}

throttling() {
  for device in "$root"/sys/class/thermal/cooling_device*; do
    kind=
    { IFS= read -r kind < "$device/type"; } 2> /dev/null
    level=
    { IFS= read -r level < "$device/cur_state"; } 2> /dev/null
    case $kind in # a fan that turns throttles nothing
      *cpu* | *CPU* | Processor | *gpu* | *emc*) printf 'level %s %s\n' "$level" "$kind" ;;
    esac
  done
  for core in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    for counter in core package; do
      count=
      { IFS= read -r count < "$core/thermal_throttle/${counter}_throttle_count"; } 2> /dev/null
      [ -z "$count" ] || echo "counter $count ${core##*/} $counter throttle count"
    done
  done
  word=$(throttle_word "$root")
  [ -z "$word" ] || echo "firmware $word get_throttled"
}

power() {
  mode=$(power_mode)
  [ -z "$mode" ] || echo "power-mode $mode"
  if command -v dumpsys > /dev/null; then
    dumpsys thermalservice 2> /dev/null | while read -r first second value _; do
      [ "$first $second" != 'Thermal Status:' ] || echo "level $value thermal service"
    done
    dumpsys battery 2> /dev/null | while read -r key value _; do
      case $key$value in status:3) echo 'on-battery 1' ;; status:[25]) echo 'on-battery 0' ;; esac
    done
  fi
  for supply in "$root"/sys/class/power_supply/*; do
    state=
    { IFS= read -r state < "$supply/status"; } 2> /dev/null
    case $state in Discharging) echo 'on-battery 1' ;; Charging | Full) echo 'on-battery 0' ;; esac
  done
}

still() { # what does not change while the command runs
  fact boot-id "$root/proc/sys/kernel/random/boot_id"
  echo "ticks $(getconf CLK_TCK 2> /dev/null || echo 100)"
  while read -r name value; do
    [ "$name" != Cpus_allowed_list: ] || echo "allowed $value"
  done 2> /dev/null < "$root/proc/self/status"
  for core in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    fact "core ${core##*/cpu} group" "$core/topology/thread_siblings_list"
  done
}

identity() {
  echo "machine $(uname -m)"
  echo "kernel $(uname -r)"
  if [ -r "$root/proc/device-tree/model" ]; then
    echo "cpu $(tr -d '\000' < "$root/proc/device-tree/model")"
  else
    while IFS=: read -r name value; do
      case $name in 'model name'*) echo "cpu $value" && break ;; esac
    done 2> /dev/null < "$root/proc/cpuinfo"
  fi
}

mark before
[ $# -gt 0 ] || identity
still
power
throttling
heat
clocks
load # last before the command and first after it, so that only the command lies between
[ $# -gt 0 ] || { mark end && exit; }
mark output
"$@" < /dev/null
status=$?
mark "status $status"
mark after
load
clocks
heat
throttling
power
still
mark end
