/* Queued work is done as late as the interface allows: when the host waits for it, or for work that waits for it.
 * PTX_EAGER=1: at once. */
#include "driver.h"

#include <stdlib.h>

#define MOST_KERNELS 4096 /* kernels that are counted */

Stream legacy, per_thread, *streams;

static void run_kernel(const Op *op) {
    static u64 number, blocks;
    static const Kernel *seen[MOST_KERNELS];
    if (++number > 0xffff) forget_touches(), number = 1; /* see touches.h */
    Launch l = {
        .kernel = op->kernel, .params = op->staged, .dynamic = op->dynamic, .number = number,
        .block_number = blocks, .global = &arena, .global_races = with_races, .report = find_in_kernel,
    };
    memcpy(l.grid, op->grid, sizeof l.grid), memcpy(l.block, op->block, sizeof l.block);
    for (l.at[2] = 0; l.at[2] < l.grid[2]; l.at[2]++)
        for (l.at[1] = 0; l.at[1] < l.grid[1]; l.at[1]++)
            for (l.at[0] = 0; l.at[0] < l.grid[0]; l.at[0]++) run_block(&l);
    blocks = l.block_number;
    counts.accesses += l.accesses;
    write_counts(0);
    int i = 0;
    while (i < MOST_KERNELS && seen[i] && seen[i] != op->kernel) i++;
    if (i < MOST_KERNELS && !seen[i]) seen[i] = op->kernel, counts.kernels++;
}

static void copy_within(const Op *op) {
    u64 to = op->target - arena.base, from = op->source - arena.base;
    if (!check("a copy within the device, target", op->target, op->size, 0)) return;
    if (!check("a copy within the device, source", op->source, op->size, 1)) return;
    if (op->target < op->source + op->size && op->source < op->target + op->size)
        find("OVERLAP", "a copy within the device");
    memmove(arena.bytes + to, arena.bytes + from, op->size);
    memmove(arena.state + to, arena.state + from, op->size);
}

void execute(Op *op) {
    u64 to = op->target - arena.base, from = op->source - arena.base;
    switch (op->work) {
    case LAUNCH: run_kernel(op); break;
    case ALLOCATE: set_state(op->target, op->size, FRESH); break;
    case RELEASE: set_state(op->target, op->size, GUARD); break;
    case COPY_IN:
        if (!check("a copy to the device", op->target, op->size, 0)) break;
        memcpy(arena.bytes + to, op->staged ? op->staged : op->host, op->size);
        memset(arena.state + to, WRITTEN, op->size);
        break;
    case COPY_OUT:
        if (check("a copy to the host", op->source, op->size, 1)) memcpy(op->host, arena.bytes + from, op->size);
        break;
    case COPY_WITHIN: copy_within(op); break;
    case FILL:
        if (!check("a fill", op->target, op->size, 0)) break;
        memset(arena.bytes + to, (int)op->source, op->size);
        memset(arena.state + to, WRITTEN, op->size);
        break;
    case WAIT_FOR: run_until(op->other, op->mark); break;
    }
}

void run_until(Stream *s, u64 mark) {
    while (s->done < mark && s->first) {
        Op *op = s->first;
        execute(op);
        s->first = op->next, s->done++;
        if (!s->first) s->last = NULL;
        free(op->staged), free(op);
    }
}

/* Do all queued work, then forget destroyed streams. */
void run_all(void) {
    for (Stream *s = streams; s; s = s->next) run_until(s, s->queued);
    run_until(&legacy, legacy.queued), run_until(&per_thread, per_thread.queued);
    for (Stream **at = &streams; *at;)
        if ((*at)->gone)
            *at = (*at)->next; /* its memory stays, because events may refer to it */
        else
            at = &(*at)->next;
}

Stream *stream_of(void *handle) {
    if (!handle || handle == (void *)1) return &legacy;
    if (handle == (void *)2) return &per_thread;
    for (Stream *s = streams; s; s = s->next)
        if (s == handle && !s->gone) return s;
    return find("INVALID STREAM", "%s: a stream that was destroyed, or never made", called()), NULL;
}

int queue(void *handle, Op op) {
    Stream *s = stream_of(handle);
    if (!s) return free(op.staged), INVALID_HANDLE;
    need_context();
    if (s == &legacy) run_all(); /* it waits for all other streams, and they wait for it */
    look_for_conflicts(s, &op);
    Op *copy = malloc(sizeof op);
    *copy = op, copy->next = NULL;
    if (s->last)
        s->last->next = copy;
    else
        s->first = copy;
    s->last = copy, s->queued++;
    const char *eager = getenv("PTX_EAGER");
    if (s == &legacy || (eager && atoi(eager))) run_until(s, s->queued);
    return OK;
}
