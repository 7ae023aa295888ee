/* speeds.h by what Linux knows of each core: its capacity on Arm, elsewhere its highest clock. */
#include "speeds.h"

#include "message.h"

#ifndef BW_CPU_FOLDER
#define BW_CPU_FOLDER "/sys/devices/system/cpu"
#endif

static uint64_t number_of(int32_t core, const char *file) {
  bw_message path;
  bw_message_set(&path, BW_CPU_FOLDER "/cpu%d/%s", core, file);
  return bw_read_number(path.text);
}

bool bw_speeds_differ(const bw_cores *cores) {
  static const char *const FILES[] = {"cpu_capacity", "cpufreq/cpuinfo_max_freq"};
  for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
    uint64_t least = UINT64_MAX, most = 0;
    for (int32_t core = 0; core < BW_CORE_LIMIT; core++) {
      const uint64_t speed = bw_cores_has(cores, core) ? number_of(core, FILES[i]) : 0;
      if (speed != 0) {
        least = speed < least ? speed : least;
        most = speed > most ? speed : most;
      }
    }
    if (most != 0)
      return most - least >= least / 4;
  }
  return false;
}
