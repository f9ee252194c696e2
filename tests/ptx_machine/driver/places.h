/* The memory of a thread's loads and stores: each address is checked before it is used. */
#include "machine.h"
#include "touches.h"

static u8 nowhere[64]; /* memory of accesses that are out of bounds */

static u8 *lost(Thread *t, u64 address, int line, const char *space) {
    report(t, "OUT OF BOUNDS", line, address, space);
    return memset(nowhere, 0, sizeof nowhere);
}

static inline int all_written(const u8 *state, int n) {
    u32 four;
    u64 eight;
    if (n == 4) return memcpy(&four, state, 4), four == 0x02020202u;
    if (n == 8) return memcpy(&eight, state, 8), eight == 0x0202020202020202ull;
    for (int i = 0; i < n; i++)
        if (state[i] != WRITTEN) return 0;
    return 1;
}

/* Check the states of the n bytes of an access; return 0 if there is no memory. */
static inline int enter(Thread *t, u8 *state, u64 address, int n, int write, int line, const char *space) {
    if (all_written(state, n)) return 1;
    if (memchr(state, GUARD, n)) return 0;
    if (write)
        memset(state, WRITTEN, n);
    else
        report(t, "UNWRITTEN memory is read", line, address, space);
    return 1;
}

static u8 *local_place(Thread *t, u64 address, int n, int write, int line) {
    u64 size = t->of->kernel->local_bytes;
    if (address >= size || address + n > size) return lost(t, address, line, "local");
    if (!enter(t, t->local_state + address, address, n, write, line, "local")) return lost(t, address, line, "local");
    return t->local + address;
}

static u8 *memory_place(Thread *t, Memory *m, u64 address, int n, int write, const void *value, int line) {
    int shared = m == t->of->shared;
    const char *space = shared ? "shared" : "global";
    u64 at = address - m->base;
    if (at >= m->size || at + n > m->size) return lost(t, address, line, space);
    if (!enter(t, m->state + at, address, n, write, line, space)) return lost(t, address, line, space);
    if (shared || t->of->global_races) touch(t, m, at, n, write, value, line, shared);
    return m->bytes + at;
}

/* Return the memory of the n bytes of a load (value is NULL), or of a store of a value. */
__attribute__((noinline)) static u8 *place(Thread *t, int space, u64 address, int n, const void *value, int line) {
    static const char *const NAMES[] = {"generic", "global", "shared", "local"};
    if (space == GENERIC) {
        u64 window = address & ~IN_WINDOW;
        space = window == SHARED_WINDOW ? SHARED : window == LOCAL_WINDOW ? LOCAL : GLOBAL;
        if (space != GLOBAL) address &= IN_WINDOW;
    }
    t->of->accesses++;
    if (address & (n - 1)) report(t, "MISALIGNED", line, address, NAMES[space]);
    if (space == LOCAL) return local_place(t, address, n, value != NULL, line);
    return memory_place(t, space == SHARED ? t->of->shared : t->of->global, address, n, value != NULL, value, line);
}
