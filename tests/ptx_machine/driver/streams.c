/* Streams and events. */
#include "driver.h"

#include <stdlib.h>

typedef struct {
    Stream *stream; /* NULL until it is recorded */
    u64 mark;
    int gone; /* destroyed */
} Event;

static int make_stream(Stream **made) {
    need_context();
    Stream *s = calloc(1, sizeof *s);
    s->next = streams, streams = s;
    return *made = s, OK;
}
static int cuStreamCreate(Stream **made, unsigned flags) CALL(make_stream(made))

/* The queued work of a destroyed stream is still done. */
static int destroy_stream(void *handle) {
    Stream *s = stream_of(handle);
    return s ? s->gone = 1, OK : INVALID_HANDLE;
}
static int cuStreamDestroy(void *handle) CALL(destroy_stream(handle))

static int synchronize(void *handle) {
    Stream *s = stream_of(handle);
    if (s == &legacy) run_all();
    if (s) run_until(s, s->queued);
    return s ? OK : INVALID_HANDLE;
}
static int cuStreamSynchronize(void *handle) CALL(synchronize(handle))
static int cuCtxSynchronize(void) CALL((run_all(), OK))

static int query(void *handle) {
    Stream *s = stream_of(handle);
    return !s ? INVALID_HANDLE : s->done < s->queued ? NOT_READY : OK;
}
static int cuStreamQuery(void *handle) CALL(query(handle))

static int cuEventCreate(Event **made, unsigned flags) { return *made = calloc(1, sizeof(Event)), OK; }

static int is_there(const Event *e) {
    if (e->gone) find("INVALID EVENT", "%s: an event that was destroyed", called());
    return !e->gone;
}
static int destroy_event(Event *e) { return is_there(e) ? e->gone = 1, OK : INVALID_HANDLE; }
static int cuEventDestroy(Event *e) CALL(destroy_event(e))

static int record(Event *e, void *handle) {
    Stream *s = stream_of(handle);
    if (!s || !is_there(e)) return INVALID_HANDLE;
    if (s == &legacy) run_all(); /* it follows all work that is queued on other streams */
    return e->stream = s, e->mark = s->queued, OK;
}
static int cuEventRecord(Event *e, void *handle) CALL(record(e, handle))

static int wait_for(void *handle, Event *e) {
    if (!is_there(e)) return INVALID_HANDLE;
    if (!e->stream) return stream_of(handle) ? OK : INVALID_HANDLE;
    return queue(handle, (Op){.work = WAIT_FOR, .other = e->stream, .mark = e->mark});
}
static int cuStreamWaitEvent(void *handle, Event *e, unsigned flags) CALL(wait_for(handle, e))

static int wait_here(Event *e) {
    if (is_there(e) && e->stream) run_until(e->stream, e->mark);
    return OK;
}
static int cuEventSynchronize(Event *e) CALL(wait_here(e))
static int cuEventQuery(Event *e) CALL(e->stream && e->stream->done < e->mark ? NOT_READY : OK)
static int elapsed(float *milliseconds, Event *a, Event *b) { return *milliseconds = 1, OK; }

const Function STREAM_FUNCTIONS[] = {
    {"cuStreamCreate", cuStreamCreate}, {"cuStreamDestroy", cuStreamDestroy}, {"cuStreamQuery", cuStreamQuery},
    {"cuStreamSynchronize", cuStreamSynchronize}, {"cuCtxSynchronize", cuCtxSynchronize},
    {"cuStreamWaitEvent", cuStreamWaitEvent}, {"cuEventCreate", cuEventCreate}, {"cuEventDestroy", cuEventDestroy},
    {"cuEventRecord", cuEventRecord}, {"cuEventSynchronize", cuEventSynchronize}, {"cuEventQuery", cuEventQuery},
    {"cuEventElapsedTime", elapsed}, {NULL, NULL},
};
