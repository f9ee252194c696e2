/* Races: each four bytes of memory have their last writer and reader, as keys of 64 bits.
 *
 * Two touches are in order if they belong to two launches, to one thread, or to one block with a barrier between.
 *
 *     global: launch (16 bits), block (22), barriers of the block (15), thread (11)
 *     shared: block (32), barriers of the block (21), thread (11)
 *
 * A reader that stands for many has the number MANY of threads, or MANY_BLOCKS of blocks. Threads that write
 * different bytes of the same four count as a race, though a device keeps them apart.
 */
#include "machine.h"

#define MANY 0x7ffull /* no thread has this number */
#define MANY_BLOCKS 0x3fffffull

static inline u64 thread_of(u64 key) { return key & MANY; }
static inline u64 epoch_of(u64 key) { return key >> 11 & 0x7fff; }
static inline u64 block_of(u64 key) { return key >> 26 & MANY_BLOCKS; }
static inline u64 launch_of(u64 key) { return key >> 48; }

static inline u64 key_of(const Thread *t, int shared) {
    const Launch *l = t->of;
    if (shared) return l->block_number << 32 | (l->epoch & 0x1fffff) << 11 | t->number;
    return l->number << 48 | l->block_number % MANY_BLOCKS << 26 | (l->epoch & 0x7fff) << 11 | t->number;
}

/* Whether two touches have no order. */
static inline int clash(u64 a, u64 b, int shared) {
    if (shared) return a >> 11 == b >> 11 && thread_of(a) != thread_of(b);
    if (launch_of(a) != launch_of(b)) return 0;
    return block_of(a) != block_of(b) || (epoch_of(a) == epoch_of(b) && thread_of(a) != thread_of(b));
}

/* Return the key of all readers, from the earlier readers' and the last one's. */
static inline u64 readers(u64 before, u64 key, int shared) {
    if (!clash(before, key, shared)) return key;
    return key | (!shared && block_of(before) != block_of(key) ? MANY_BLOCKS << 26 : MANY);
}

static inline void touch(Thread *t, Memory *m, u64 at, int n, int write, const void *value, int line, int shared) {
    u64 key = key_of(t, shared);
    for (u64 word = at / 4; word < (at + n + 3) / 4; word++) {
        u64 writer = m->writer[word], reader = m->reader[word];
        const char *found = NULL;
        if (clash(writer, key, shared)) {
            found = write ? "RACE write after write" : "RACE read after write";
            if (write && n >= 4 && !memcmp(m->bytes + 4 * word, (const u8 *)value + 4 * (word - at / 4), 4))
                found = "note: two threads write the same value";
        } else if (write && clash(reader, key, shared))
            found = "RACE write after read";
        if (found) report(t, found, line, m->base + 4 * word, shared ? "shared" : "global");
        if (write)
            m->writer[word] = key;
        else
            m->reader[word] = readers(reader, key, shared);
    }
}
