/* The memory of the device: addresses that the host cannot read; none is used twice. */
#include "driver.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ARENA (256ull << 30) /* bytes of addresses; untouched ones take no memory */
#define BEGINNING 0x700000000000ull
#define LEAST_GUARD 4096ull
#define MOST_GUARD (256ull << 20)
#define PAGE 4095ull
#define BUCKETS 65536
#define NO_NUMBER 0x7fa0deadu /* a NaN in memory without a value */

typedef struct Piece {
    address at;
    u64 size;
    struct Piece *next;
} Piece;

Memory arena;
int with_races;
static u64 arena_end = LEAST_GUARD;
static Piece *pieces[BUCKETS];

void *reserve(u64 size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) perror("ptx machine"), abort();
    return p;
}

void make_memory(Memory *m, u64 size, u64 base) {
    m->size = size, m->base = base;
    m->bytes = reserve(size), m->state = reserve(size);
    m->writer = reserve(2 * size), m->reader = reserve(2 * size);
}

static Piece **piece_at(address a) {
    Piece **p = &pieces[(a >> 8) % BUCKETS];
    while (*p && (*p)->at != a) p = &(*p)->next;
    return p;
}

/* Return addresses at an odd multiple of 256 bytes, followed by a guard of the same size, within limits. */
int allocate(address *given, size_t size) {
    const char *limit = getenv("PTX_MEMORY"), *races = getenv("PTX_RACES");
    if (!arena.bytes) make_memory(&arena, ARENA, BEGINNING), with_races = !races || atoi(races);
    if (!size) return INVALID;
    if (limit && size > strtoull(limit, NULL, 10)) return OUT_OF_MEMORY;
    u64 at = (arena_end + 511) / 512 * 512 + 256;
    u64 guard = size < LEAST_GUARD ? LEAST_GUARD : size > MOST_GUARD ? MOST_GUARD : size;
    if (size > ARENA || at + size + guard > ARENA) return OUT_OF_MEMORY;
    arena_end = at + size + guard;
    Piece *piece = malloc(sizeof *piece);
    *given = arena.base + at;
    *piece = (Piece){*given, size, NULL};
    *piece_at(*given) = piece;
    counts.allocations += 1;
    counts.bytes += size;
    return OK;
}

u64 forget(address a) {
    Piece **p = piece_at(a), *piece = *p;
    if (!piece) return 0;
    u64 size = piece->size;
    *p = piece->next, free(piece);
    counts.allocations -= 1;
    counts.bytes -= size;
    return size;
}

static void drop(void *memory, u64 first, u64 last) { /* the pages become zeros */
    if (last > first) madvise((u8 *)memory + first, last - first, MADV_DONTNEED);
}

/* Mark memory as there, without values, or as absent. */
void set_state(address a, u64 size, int state) {
    u64 at = a - arena.base, first = (at + PAGE) & ~PAGE, last = (at + size) & ~PAGE;
    memset(arena.state + at, state, size);
    if (state == FRESH)
        for (u64 i = 0; i + 4 <= size; i += 4) *(u32 *)(arena.bytes + at + i) = NO_NUMBER;
    if (state == GUARD) {
        drop(arena.bytes, first, last), drop(arena.state, first, last);
        drop(arena.writer, 2 * first, 2 * last), drop(arena.reader, 2 * first, 2 * last);
    }
}

void forget_touches(void) { drop(arena.writer, 0, 2 * arena_end), drop(arena.reader, 0, 2 * arena_end); }

/* Whether so many bytes are memory of the device; a finding if they are not. */
int check(const char *what, address a, u64 size, int reads) {
    u64 at = a - arena.base;
    if (!arena.bytes || at >= arena.size || at + size > arena.size)
        return find("OUT OF BOUNDS", "%s: %llu bytes at 0x%llx", what, (address)size, a), 0;
    u8 *out = memchr(arena.state + at, GUARD, size);
    if (out)
        return find("OUT OF BOUNDS", "%s: byte %ld of %llu", what, (long)(out - arena.state - at), (address)size), 0;
    if (reads && memchr(arena.state + at, FRESH, size)) find("note: UNWRITTEN memory is copied", "%s", what);
    return 1;
}
