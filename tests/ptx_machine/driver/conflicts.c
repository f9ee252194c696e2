/* Memory that is freed while queued work uses it, if nothing orders the work before that.
 *
 * A kernel uses the memory that words of its parameters point to.
 */
#include "driver.h"

static int within(const Op *release, address a) { return a - release->target < release->size; }

static int uses(const Op *op, const Op *release) {
    if (op->work == LAUNCH) {
        for (int i = 0; i + 8 <= op->kernel->param_bytes; i += 8) {
            u64 word;
            memcpy(&word, (u8 *)op->staged + i, 8);
            if (within(release, word)) return 1;
        }
        return 0;
    }
    int reads = op->work == COPY_OUT || op->work == COPY_WITHIN;
    int writes = op->work == COPY_IN || op->work == COPY_WITHIN || op->work == FILL;
    return (reads && within(release, op->source)) || (writes && within(release, op->target));
}

/* Mark all work that is done before the first `mark` works of a stream. */
static void reach(Stream *s, u64 mark) {
    u64 from = s->reached, number = s->done;
    if (mark <= from) return;
    s->reached = mark;
    for (Op *op = s->first; op && number < mark; op = op->next, number++)
        if (number >= from && op->work == WAIT_FOR) reach(op->other, op->mark);
}

/* Compare a new work of a stream with all queued work. */
void look_for_conflicts(Stream *stream, const Op *op) {
    if (op->work == ALLOCATE || op->work == WAIT_FOR) return;
    if (op->work == RELEASE) {
        for (Stream *s = streams; s; s = s->next) s->reached = s->done;
        reach(stream, stream->queued);
    }
    for (Stream *s = streams; s; s = s->next) {
        u64 number = s->done;
        for (Op *other = s->first; other; other = other->next, number++) {
            if (other->work == RELEASE && uses(op, other))
                find("FREED MEMORY", "%s: memory that was given back before", called());
            if (op->work == RELEASE && number >= s->reached && uses(other, op))
                find("FREED WHILE IN USE", "%s: by work of another stream, for which nothing waits", called());
        }
    }
}
