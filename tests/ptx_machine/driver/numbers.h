/* Arithmetic of PTX that C's operators lack or leave undefined. */
#include <math.h>

#include "machine.h"

static inline u32 bits_f32(f32 x) { u32 y; return memcpy(&y, &x, 4), y; }
static inline f32 f32_bits(u32 x) { f32 y; return memcpy(&y, &x, 4), y; }
static inline u64 bits_f64(f64 x) { u64 y; return memcpy(&y, &x, 8), y; }
static inline f64 f64_bits(u64 x) { f64 y; return memcpy(&y, &x, 8), y; }

/* The NaN of f32 instructions, which do not keep the bits of another one. */
static inline f32 number(f32 x) { return x == x ? x : f32_bits(0x7fffffff); }
/* Subnormal numbers become 0. */
static inline f32 ftz(f32 x) { return (bits_f32(x) & 0x7f800000) ? x : f32_bits(bits_f32(x) & 0x80000000); }

/* ---- approximate instructions: with the largest errors allowed, which depend on the exact result */

extern int machine_ulps; /* the error, in units in the last place, of instructions that are exact to two units */

static inline f64 chance(f64 x) { /* a number from -1 to 1 */
    u64 noise = bits_f64(x) * 0x9e3779b97f4a7c15ull;
    noise = (noise ^ noise >> 29) * 0xbf58476d1ce4e5b9ull;
    return (f64)(noise >> 12) * 0x1p-51 - 1;
}
static inline f32 near_ulps(f64 exact, f64 share) { /* share: the error allowed, in multiples of two units */
    f32 y = (f32)exact;
    u32 bits = bits_f32(y), exponent = bits & 0x7f800000;
    if (!exponent || exponent == 0x7f800000) return number(y);
    return f32_bits(bits + (s32)rint(chance(exact) * share * machine_ulps));
}
static inline f32 near_absolute(f64 exact, f64 bound) {
    return number((f32)(exact + chance(exact) * bound * machine_ulps / 2));
}
static inline f32 sqrt_approx(f32 x) { return near_ulps(sqrt((f64)x), 1); }
static inline f32 rcp_approx(f32 x) { return near_ulps(1 / (f64)x, 1); }
static inline f32 rsqrt_approx(f32 x) { return near_ulps(1 / sqrt((f64)x), 1); }
static inline f32 ex2_approx(f32 x) { return near_ulps(exp2((f64)x), 1); }
static inline f32 lg2_approx(f32 x) {
    return x >= 0.5f && x <= 2 ? near_absolute(log2((f64)x), 0x1p-22) : near_ulps(log2((f64)x), 1);
}
static inline f32 sin_approx(f32 x) { return near_absolute(sin((f64)x), 0x1p-20); }
static inline f32 cos_approx(f32 x) { return near_absolute(cos((f64)x), 0x1p-20); }
static inline f32 tanh_approx(f32 x) { return near_ulps(tanh((f64)x), 0x1p11); }
static inline f32 div_full(f32 a, f32 b) { return near_ulps((f64)a / b, 1); }
static inline f32 div_approx(f32 a, f32 b) {
    if (fabsf(b) > 0x1p126f && !isinf(b)) /* the only case that is not exact to two units */
        return isinf(a) || a != a ? f32_bits(0x7fffffff) : copysignf(0, a) * copysignf(1, b);
    return div_full(a, b);
}
/* instructions of f64 that read and make only upper halves */
#define UPPER(x) f64_bits(bits_f64(x) & 0xffffffff00000000ull)
static inline f64 rcp_gross(f64 x) { return UPPER(1 / UPPER(x)); }
static inline f64 rsqrt_gross(f64 x) { return UPPER(1 / sqrt(UPPER(x))); }

/* ---- NaN loses, and -0 is less than 0 */

#define EXTREMES(T) \
    static inline T min_##T(T a, T b) { \
        return a != a ? b : b != b ? a : a < b ? a : b < a ? b : signbit(a) ? a : b; \
    } \
    static inline T max_##T(T a, T b) { \
        return a != a ? b : b != b ? a : a > b ? a : b > a ? b : signbit(a) ? b : a; \
    }
EXTREMES(f32)
EXTREMES(f64)

/* ---- conversions to integers: the nearest one, and `none` for NaN */

#define TO_INTEGER(T, LOW, HIGH) \
    static inline T to_##T(f64 x, T none) { \
        return x != x ? none : x <= (f64)(LOW) ? (LOW) : x >= (f64)(HIGH) ? (HIGH) : (T)x; \
    }
TO_INTEGER(s8, INT8_MIN, INT8_MAX)
TO_INTEGER(s16, INT16_MIN, INT16_MAX)
TO_INTEGER(s32, INT32_MIN, INT32_MAX)
TO_INTEGER(s64, INT64_MIN, INT64_MAX)
TO_INTEGER(u8, 0, UINT8_MAX)
TO_INTEGER(u16, 0, UINT16_MAX)
TO_INTEGER(u32, 0, UINT32_MAX)
TO_INTEGER(u64, 0, UINT64_MAX)

/* ---- shifts by more than all bits, and integer divisions */

#define INTEGERS(BITS) \
    static inline u##BITS shl_b##BITS(u##BITS a, u32 n) { return n > BITS - 1 ? 0 : (u##BITS)(a << n); } \
    static inline u##BITS shr_u##BITS(u##BITS a, u32 n) { return n > BITS - 1 ? 0 : a >> n; } \
    static inline s##BITS shr_s##BITS(s##BITS a, u32 n) { return a >> (n > BITS - 1 ? BITS - 1 : n); } \
    DIVISIONS(u##BITS, 0) \
    DIVISIONS(s##BITS, INT##BITS##_MIN)
#define DIVISIONS(T, LEAST) \
    static inline T div_##T(Thread *t, T a, T b, int line) { \
        if (!b) return report(t, "DIVISION of an integer by 0", line, 0, NULL), (T)-1; \
        return (LEAST) && a == (T)(LEAST) && b == (T)-1 ? a : a / b; \
    } \
    static inline T rem_##T(Thread *t, T a, T b, int line) { \
        if (!b) return report(t, "DIVISION of an integer by 0", line, 0, NULL), a; \
        return (LEAST) && a == (T)(LEAST) && b == (T)-1 ? 0 : a % b; \
    }
INTEGERS(16)
INTEGERS(32)
INTEGERS(64)
