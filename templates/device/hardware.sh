# What boards tell of their power and their clocks. ROOT stands before /sys; empty on real boards.

# Raspberry Pi's word of flags, as 0x50000.
throttle_word() { # ROOT
  word=
  { IFS= read -r word < "$1/sys/devices/platform/soc/soc:firmware/get_throttled"; } 2> /dev/null
  if [ -n "$word" ]; then
    echo "0x${word#0x}"
  elif command -v vcgencmd > /dev/null 2>&1; then
    word=$(vcgencmd get_throttled 2> /dev/null) && echo "${word#throttled=}"
  fi
}

# Jetson's power mode, as MAXN.
power_mode() {
  command -v nvpmodel > /dev/null 2>&1 || return 0
  nvpmodel -q 2> /dev/null | while IFS= read -r line; do
    case $line in *"Power Mode:"*) echo "${line#*: }" ;; esac
  done
}

# What has a clock beside the cores (memory, a GPU), a line each: its frequency in Hz, its name.
device_clocks() { # ROOT
  for device in "$1"/sys/class/devfreq/*; do
    rate=
    { IFS= read -r rate < "$device/cur_freq"; } 2> /dev/null
    [ -z "$rate" ] || echo "$rate ${device##*/}"
  done
}
