/* Declarations that the files of the driver share. */
#ifndef DRIVER_H
#define DRIVER_H
#define _GNU_SOURCE

#include <stddef.h>
#include <stdio.h>

#include "machine.h"

typedef unsigned long long address; /* an address in the device's memory */

enum {
    OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_HANDLE = 400,
    NOT_FOUND = 500, NOT_READY = 600, OUT_OF_RESOURCES = 701, NOT_SUPPORTED = 801,
};

/* The device: an H200, as far as programs can see. */
#define MULTIPROCESSORS 132
#define MOST_THREADS 1024       /* threads of a block */
#define MOST_DEEP_THREADS 64    /* threads along z */
#define MOST_BLOCKS 0x7fffffff  /* blocks along x */
#define MOST_HIGH_BLOCKS 65535  /* blocks along y and z */
#define REGISTERS 65536         /* registers of a block */
#define USUAL_SHARED (48 << 10) /* bytes of a block without another request */
#define MOST_SHARED (227 << 10)
#define TOLD_MEMORY (140ull << 30)

/* ---- findings.c */
extern int with_launches; /* PTX_LAUNCHES=1: a line for each launch */
void find(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
void find_in_kernel(Launch *, const char *kind, int line, u32 thread, u64 at, const char *space);
void write_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void write_counts(int end);
const char *short_name(const char *mangled);
extern struct Counts { /* counts of the whole run */
    _Atomic long launches, kernels, blocks, barriers, accesses, allocations, bytes;
} counts;

/* ---- arena.c: the memory of the device */
extern Memory arena;
extern int with_races; /* PTX_RACES=0: races in global memory are ignored */
void *reserve(u64 size);
void make_memory(Memory *, u64 size, u64 base);
int allocate(address *, size_t size);
u64 forget(address); /* returns the bytes of an allocation, 0 if there is none */
void set_state(address, u64 size, int state);
void forget_touches(void);
int check(const char *what, address, u64 size, int reads);

/* ---- block.c */
void run_block(Launch *);

/* ---- work.c: queued work */
enum Work { LAUNCH, COPY_IN, COPY_OUT, COPY_WITHIN, FILL, ALLOCATE, RELEASE, WAIT_FOR };
typedef struct Op {
    enum Work work;
    address target, source;
    u64 size;
    void *host;   /* the program's pinned memory, read or written when the work is done */
    void *staged; /* a copy of the program's memory, or the parameters of a kernel */
    const Kernel *kernel;
    u32 grid[3], block[3], dynamic;
    struct Stream *other; /* WAIT_FOR: the stream of which `mark` works must be done */
    u64 mark;
    struct Op *next;
} Op;
typedef struct Stream {
    Op *first, *last;           /* work that is not done */
    u64 queued, done, reached;  /* numbers of works; reached: see conflicts.c */
    int gone;                   /* destroyed */
    struct Stream *next;
} Stream;
extern Stream legacy, per_thread, *streams;
int queue(void *handle, Op);
void execute(Op *);
void run_until(Stream *, u64 mark);
void run_all(void);
Stream *stream_of(void *handle); /* NULL, and a finding, if there is none */

/* ---- conflicts.c: memory that is freed while it is used */
void look_for_conflicts(Stream *, const Op *);

/* ---- device.c: each call holds the lock, and its name is known */
void enter_call(const char *name);
void leave_call(void);
const char *called(void);
void need_context(void);
#define CALL(...) \
    { \
        enter_call(__func__); \
        int result = __VA_ARGS__; \
        leave_call(); \
        return result; \
    }

/* ---- functions.c: tables of the functions of each file */
typedef struct {
    const char *name;
    void *function;
} Function;
extern const Function DEVICE_FUNCTIONS[], STREAM_FUNCTIONS[], MEMORY_FUNCTIONS[], KERNEL_FUNCTIONS[];

#endif
