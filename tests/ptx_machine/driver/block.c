/* A block: its threads are coroutines that run from barrier to barrier, one after the other. */
#include "driver.h"
#include "switch.h"

#include <stdlib.h>

#define STACK (512 << 10)
#define SHARED_ROOM (1 << 20) /* bytes for static arrays with guards, and dynamic arrays */
#define WARP 32
#define NO_NUMBER 0x7fa0deadu

static Memory shared;
static u64 shared_end; /* the end of the part that blocks have used */
static u8 *stacks;
static Thread threads[MOST_THREADS], *starting;

static void first_turn(void) {
    starting->of->kernel->run(starting);
    abort(); /* unreachable: a kernel ends by the end of its turn */
}

static void start(Launch *l, u32 number, u8 *locals) {
    const Kernel *k = l->kernel;
    Thread *t = &threads[number];
    *t = (Thread){.of = l, .number = number, .local = locals, .local_state = locals + k->local_bytes};
    t->id[0] = number % l->block[0], number /= l->block[0];
    t->id[1] = number % l->block[1], t->id[2] = number / l->block[1];
    if (locals) memset(t->local, 0xA5, k->local_bytes), memset(t->local_state, GUARD, k->local_bytes);
    for (int i = 0; i < k->local_arrays; i++)
        memset(t->local_state + k->local[i].start, FRESH, k->local[i].end - k->local[i].start);
    void **top = (void **)(stacks + (u64)(t->number + 1) * STACK - 64);
    *--top = NULL; /* the stack is 8 off a multiple of 16 when a function begins */
    *--top = (void *)first_turn;
    for (int i = 0; i < 6; i++) *--top = NULL; /* registers, see machine_switch */
    t->stack = top;
}

static void fresh_shared_memory(Launch *l) {
    const Kernel *k = l->kernel;
    u64 end = k->dynamic_at + l->dynamic;
    if (end > shared_end) shared_end = end;
    memset(shared.state, GUARD, shared_end);
    for (u64 i = 0; i < (end + 3) / 4; i++) ((u32 *)shared.bytes)[i] = NO_NUMBER;
    for (int i = 0; i < k->shared_arrays; i++)
        memset(shared.state + k->shared[i].start, FRESH, k->shared[i].end - k->shared[i].start);
    memset(shared.state + k->dynamic_at, FRESH, l->dynamic);
    l->shared = &shared;
}

/* Let each thread run to its next barrier, every other time the last one first; return how many ended. */
static u32 run_to_barrier(Launch *l, u32 n) {
    u32 over = 0, reversed = (l->epoch + l->block_number) % 2;
    for (u32 turn = 0; turn < n; turn++) {
        Thread *t = &threads[reversed ? n - 1 - turn : turn];
        if (t->state == OVER) continue;
        starting = t;
        machine_switch(&t->back, t->stack);
        over += t->state == OVER;
    }
    return over;
}

/* Check that all threads that have not ended wait at the same barrier. */
static void compare_barriers(Launch *l, u32 n) {
    const Thread *first = NULL, *of_warp = NULL;
    const char *kind = NULL;
    u32 where = 0;
    for (u32 i = 0; i < n; i++) {
        const Thread *t = &threads[i];
        if (i % WARP == 0) of_warp = NULL;
        if (t->state == OVER) continue;
        if (!first) first = t;
        if (!of_warp) of_warp = t;
        if (t->barrier != first->barrier && !kind) kind = "BARRIER differs between warps", where = i;
        if (t->barrier != of_warp->barrier) kind = "BARRIER differs within a warp", where = i;
    }
    if (kind) find_in_kernel(l, kind, threads[where].barrier, where, 0, NULL);
}

/* Report a barrier where some threads wait although others have ended. */
static void note_missing(Launch *l, u32 n) {
    for (u32 i = 0; i < n; i++)
        if (threads[i].state == WAITS) {
            find_in_kernel(l, "note: a barrier without threads that are over", threads[i].barrier, i, 0, NULL);
            return;
        }
}

static void start_block(Launch *l, u32 n, u8 *locals) {
    if (!stacks) stacks = reserve((u64)MOST_THREADS * STACK), make_memory(&shared, SHARED_ROOM, 0);
    l->epoch = 0;
    l->block_number++, counts.blocks++;
    fresh_shared_memory(l);
    for (u32 i = 0; i < n; i++) start(l, i, locals ? locals + i * 2ull * l->kernel->local_bytes : NULL);
}

void run_block(Launch *l) {
    u32 n = l->block[0] * l->block[1] * l->block[2], over = 0;
    u64 local = 2ull * l->kernel->local_bytes; /* a thread's bytes and their states */
    u8 *locals = local ? malloc(n * local) : NULL;
    start_block(l, n, locals);
    while (over < n) {
        u32 ended = run_to_barrier(l, n);
        over += ended;
        compare_barriers(l, n);
        if (ended) note_missing(l, n);
        l->epoch++;
        counts.barriers += over < n;
    }
    free(locals);
}
