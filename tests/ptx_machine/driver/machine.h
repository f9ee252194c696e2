/* Types of the driver and the translated kernels: memory, a launch, a thread of a block, a kernel. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef __int128 s128;
typedef unsigned __int128 u128;
typedef float f32;
typedef double f64;

enum { GUARD = 0, FRESH = 1, WRITTEN = 2 };       /* the state of a byte: absent, without a value, with one */
enum { RUNS = 0, WAITS = 1, OVER = 2 };           /* the state of a thread */
enum { GENERIC = 0, GLOBAL = 1, SHARED = 2, LOCAL = 3 }; /* address spaces */
#define SHARED_WINDOW 0x0600000000000000ull       /* the start of a space among generic addresses */
#define LOCAL_WINDOW 0x0700000000000000ull
#define IN_WINDOW 0xffffffffffull

typedef struct {           /* the memory of the device, or the shared memory of a block */
    u8 *bytes, *state;     /* a state for each byte */
    u64 *writer, *reader;  /* the last writer and reader of each four bytes (touches.h) */
    u64 base, size;        /* its first address for kernels */
} Memory;

typedef struct {
    int start, end;
} Range;

typedef struct Thread Thread;

typedef struct { /* a translated kernel */
    const char *name;
    void (*run)(Thread *);
    const char *const *lines; /* the text of each instruction */
    int params;
    const Range *param;
    int param_bytes;
    int shared_arrays;
    const Range *shared; /* arrays of a fixed size, with guards between them */
    int dynamic_at;      /* the start of dynamic shared memory */
    int local_arrays;
    const Range *local;
    int local_bytes;
    int most_threads, registers, static_shared, stack; /* needs of the machine code */
} Kernel;

typedef struct Launch {
    const Kernel *kernel;
    const u8 *params;
    u32 grid[3], block[3], at[3], dynamic; /* at: the block that runs; bytes of dynamic shared memory */
    u64 number, block_number, epoch;       /* numbers of the launch, of the block in all, of the block's barriers */
    u64 accesses;                          /* memory accesses so far */
    Memory *global, *shared;
    int global_races; /* whether races are looked for */
    void (*report)(struct Launch *, const char *kind, int line, u32 thread, u64 address, const char *space);
} Launch;

struct Thread {
    void *stack; /* its stack pointer, while it waits */
    void *back;  /* the block's stack pointer */
    Launch *of;
    u32 id[3], number;
    int state, barrier; /* the line of the barrier where it waits */
    u8 *local, *local_state;
};

static inline void report(Thread *t, const char *kind, int line, u64 address, const char *space) {
    t->of->report(t->of, kind, line, t->number, address, space);
}

#endif
