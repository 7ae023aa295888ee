/* CPU features from the CPU itself (x86) or from the kernel's auxiliary vector (Arm). */
#include "cpu.h"

#if defined(__x86_64__)

typedef struct cpuid {
  uint32_t registers[4]; /* eax, ebx, ecx, edx */
} cpuid;

enum { EAX, EBX, ECX, EDX };

/* Register state the kernel must save on a context switch, as bits of XCR0. */
enum { ANY = 0, YMM = 0x06, ZMM = 0xe6, TILE = 0x60000 };

/* Intel SDM volume 2 (CPUID) and AMD APM volume 3, appendix E; names from Linux's cpufeatures.h. */
static const struct feature {
  const char *name;
  uint32_t leaf;
  uint8_t subleaf, where, bit;
  uint32_t state;
} FEATURES[] = {
    {"cx8", 1, 0, EDX, 8, ANY},
    {"cmov", 1, 0, EDX, 15, ANY},
    {"mmx", 1, 0, EDX, 23, ANY},
    {"fxsr", 1, 0, EDX, 24, ANY},
    {"sse", 1, 0, EDX, 25, ANY},
    {"sse2", 1, 0, EDX, 26, ANY},
    {"pni", 1, 0, ECX, 0, ANY},
    {"pclmulqdq", 1, 0, ECX, 1, ANY},
    {"ssse3", 1, 0, ECX, 9, ANY},
    {"fma", 1, 0, ECX, 12, YMM},
    {"cx16", 1, 0, ECX, 13, ANY},
    {"sse4_1", 1, 0, ECX, 19, ANY},
    {"sse4_2", 1, 0, ECX, 20, ANY},
    {"movbe", 1, 0, ECX, 22, ANY},
    {"popcnt", 1, 0, ECX, 23, ANY},
    {"aes", 1, 0, ECX, 25, ANY},
    {"xsave", 1, 0, ECX, 26, ANY},
    {"avx", 1, 0, ECX, 28, YMM},
    {"f16c", 1, 0, ECX, 29, YMM},
    {"rdrand", 1, 0, ECX, 30, ANY},
    {"fsgsbase", 7, 0, EBX, 0, ANY},
    {"bmi1", 7, 0, EBX, 3, ANY},
    {"avx2", 7, 0, EBX, 5, YMM},
    {"bmi2", 7, 0, EBX, 8, ANY},
    {"avx512f", 7, 0, EBX, 16, ZMM},
    {"avx512dq", 7, 0, EBX, 17, ZMM},
    {"adx", 7, 0, EBX, 19, ANY},
    {"avx512ifma", 7, 0, EBX, 21, ZMM},
    {"avx512cd", 7, 0, EBX, 28, ZMM},
    {"sha_ni", 7, 0, EBX, 29, ANY},
    {"avx512bw", 7, 0, EBX, 30, ZMM},
    {"avx512vl", 7, 0, EBX, 31, ZMM},
    {"avx512vbmi", 7, 0, ECX, 1, ZMM},
    {"avx512_vbmi2", 7, 0, ECX, 6, ZMM},
    {"gfni", 7, 0, ECX, 8, ANY},
    {"vaes", 7, 0, ECX, 9, YMM},
    {"vpclmulqdq", 7, 0, ECX, 10, YMM},
    {"avx512_vnni", 7, 0, ECX, 11, ZMM},
    {"avx512_bitalg", 7, 0, ECX, 12, ZMM},
    {"avx512_vpopcntdq", 7, 0, ECX, 14, ZMM},
    {"avx512_vp2intersect", 7, 0, EDX, 8, ZMM},
    {"amx_bf16", 7, 0, EDX, 22, TILE},
    {"avx512_fp16", 7, 0, EDX, 23, ZMM},
    {"amx_tile", 7, 0, EDX, 24, TILE},
    {"amx_int8", 7, 0, EDX, 25, TILE},
    {"avx_vnni", 7, 1, EAX, 4, YMM},
    {"avx512_bf16", 7, 1, EAX, 5, ZMM},
    {"avx_ifma", 7, 1, EAX, 23, YMM},
    {"lahf_lm", 0x80000001, 0, ECX, 0, ANY},
    {"abm", 0x80000001, 0, ECX, 5, ANY},
    {"sse4a", 0x80000001, 0, ECX, 6, ANY},
};

static cpuid ask(uint32_t leaf, uint32_t subleaf) {
  cpuid answer;
  uint32_t *r = answer.registers;
  __asm__ __volatile__("cpuid"
                       : "=a"(r[EAX]), "=b"(r[EBX]), "=c"(r[ECX]), "=d"(r[EDX])
                       : "a"(leaf), "c"(subleaf));
  return answer;
}

static uint32_t saved_state(void) {
  const uint32_t osxsave = UINT32_C(1) << 27;
  if ((ask(1, 0).registers[ECX] & osxsave) == 0)
    return 0;
  uint32_t low, high;
  __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static bool has_leaf(uint32_t leaf, uint32_t subleaf) {
  const uint32_t group = leaf & UINT32_C(0x80000000);
  if (ask(group, 0).registers[EAX] < leaf)
    return false;
  return subleaf == 0 || ask(leaf, 0).registers[EAX] >= subleaf;
}

bool bw_cpu_has(const char *feature) {
  for (size_t i = 0; i < sizeof FEATURES / sizeof FEATURES[0]; i++) {
    const struct feature *f = &FEATURES[i];
    if (strcmp(f->name, feature) != 0)
      continue;
    return has_leaf(f->leaf, f->subleaf) && (saved_state() & f->state) == f->state &&
           (ask(f->leaf, f->subleaf).registers[f->where] >> f->bit & 1) != 0;
  }
  return false;
}

#else

enum { AUXILIARY_HWCAP = 16, AUXILIARY_HWCAP2 = 26 };
extern unsigned long getauxval(unsigned long type);

/* Bit i of each word is the i-th name (Linux's uapi/asm/hwcap.h). */
#if defined(__aarch64__)
static const char *const HWCAP[] = {
    "fp",      "asimd", "evtstrm", "aes",   "pmull",    "sha1",   "sha2", "crc32",
    "atomics", "fphp",  "asimdhp", "cpuid", "asimdrdm", "jscvt",  "fcma", "lrcpc",
    "dcpop",   "sha3",  "sm3",     "sm4",   "asimddp",  "sha512", "sve",  "asimdfhm",
    "dit",     "uscat", "ilrcpc",  "flagm", "ssbs",     "sb",     "paca", "pacg",
};
static const char *const HWCAP2[] = {
    "dcpodp",    "sve2",      "sveaes",  "svepmull",  "svebitperm", "svesha3",  "svesm4",
    "flagm2",    "frint",     "svei8mm", "svef32mm",  "svef64mm",   "svebf16",  "i8mm",
    "bf16",      "dgh",       "rng",     "bti",       "mte",        "ecv",      "afp",
    "rpres",     "mte3",      "sme",     "smei16i64", "smef64f64",  "smei8i32", "smef16f32",
    "smeb16f32", "smef32f32", "smefa64", "wfxt",
};
#else
static const char *const HWCAP[] = {
    "swp",      "half", "thumb",   "26bit",   "fastmult", "fpa",       "vfp",
    "edsp",     "java", "iwmmxt",  "crunch",  "thumbee",  "neon",      "vfpv3",
    "vfpv3d16", "tls",  "vfpv4",   "idiva",   "idivt",    "vfpd32",    "lpae",
    "evtstrm",  "fphp", "asimdhp", "asimddp", "asimdfhm", "asimdbf16", "i8mm",
};
static const char *const HWCAP2[] = {"aes", "pmull", "sha1", "sha2", "crc32", "sb", "ssbs"};
#endif

static bool has_bit(unsigned long word, const char *const *names, size_t count,
                    const char *feature) {
  for (size_t bit = 0; bit < count; bit++) {
    if (strcmp(names[bit], feature) == 0)
      return (word >> bit & 1) != 0;
  }
  return false;
}

bool bw_cpu_has(const char *feature) {
  return has_bit(getauxval(AUXILIARY_HWCAP), HWCAP, sizeof HWCAP / sizeof HWCAP[0], feature) ||
         has_bit(getauxval(AUXILIARY_HWCAP2), HWCAP2, sizeof HWCAP2 / sizeof HWCAP2[0], feature);
}

#endif
