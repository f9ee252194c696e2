/* Memory: allocated and freed, copied and filled. PTX_MEMORY limits the bytes of an allocation; with PTX_NO_POOLS=1
 * the device has no pools. */
#include "driver.h"

#include <stdlib.h>

static int give(address *a, size_t size, void *stream) {
    int error = allocate(a, size);
    return error ? error : queue(stream, (Op){.work = ALLOCATE, .target = *a, .size = size});
}
static int take(address a, void *stream) {
    if (!a) return OK;
    if (!stream_of(stream)) return INVALID_HANDLE; /* the memory is lost */
    u64 size = forget(a);
    if (!size) return find("INVALID MEMORY", "%s: given back twice, or never given", called()), INVALID;
    return queue(stream, (Op){.work = RELEASE, .target = a, .size = size});
}
static int cuMemAlloc(address *a, size_t size) CALL(give(a, size, NULL))
static int cuMemFree(address a) CALL(take(a, NULL))
static int cuMemAllocAsync(address *a, size_t size, void *stream) CALL(give(a, size, stream))
static int cuMemAllocFromPoolAsync(address *a, size_t size, void *pool, void *stream) CALL(give(a, size, stream))
static int cuMemFreeAsync(address a, void *stream) CALL(take(a, stream))

static int make_pool(void **pool, const int *p) {
    /* the properties: pinned memory (1), no handles, of the device (1) 0 */
    if (p[0] != 1 || p[2] != 1 || p[3] != 0) find("INVALID", "the properties of a pool: %d, %d, %d", p[0], p[2], p[3]);
    return *pool = malloc(16), getenv("PTX_NO_POOLS") ? NOT_SUPPORTED : OK;
}
static int cuMemPoolCreate(void **pool, const int *properties) CALL(make_pool(pool, properties))
static int nothing(void) { return OK; }

/* ---- memory of the host that is pinned: copies do not wait for it */

typedef struct Pinned {
    u8 *at;
    size_t size;
    struct Pinned *next;
} Pinned;
static Pinned *pinned;

static int pin(void *at, size_t size) {
    Pinned *p = malloc(sizeof *p);
    return *p = (Pinned){at, size, pinned}, pinned = p, OK;
}
static int is_pinned(const void *at) {
    for (Pinned *p = pinned; p; p = p->next)
        if ((u8 *)at >= p->at && (u8 *)at < p->at + p->size) return 1;
    return 0;
}
static int unpin(void *at) {
    for (Pinned **p = &pinned; *p; p = &(*p)->next)
        if ((*p)->at == at) return *p = (*p)->next, OK;
    return find("INVALID MEMORY", "%s: not pinned", called()), INVALID;
}
static int cuMemHostAlloc(void **p, size_t size, unsigned flags) CALL((*p = malloc(size), pin(*p, size)))
static int cuMemAllocHost(void **p, size_t size) CALL((*p = malloc(size), pin(*p, size)))
static int cuMemFreeHost(void *p) CALL((run_all(), unpin(p) ? INVALID : (free(p), OK)))
static int cuMemHostRegister(void *p, size_t size, unsigned flags) CALL(pin(p, size))
static int cuMemHostUnregister(void *p) CALL((run_all(), unpin(p)))
static int kind_of(unsigned *value, int which, address a) {
    int ours = arena.bytes && a - arena.base < arena.size;
    if (which != 2) return NOT_SUPPORTED; /* the attribute CU_POINTER_ATTRIBUTE_MEMORY_TYPE */
    return *value = ours ? 2 : 1, ours || is_pinned((void *)a) ? OK : INVALID;
}
static int cuPointerGetAttribute(unsigned *value, int which, address a) CALL(kind_of(value, which, a))

/* ---- copies */

static int copy_in(address target, const void *source, size_t size, void *stream) {
    Op op = {.work = COPY_IN, .target = target, .size = size, .host = (void *)source};
    if (!is_pinned(source)) op.staged = memcpy(malloc(size + 1), source, size);
    return queue(stream, op);
}
static int copy_out(void *target, address source, size_t size, void *stream) {
    int error = queue(stream, (Op){.work = COPY_OUT, .host = target, .source = source, .size = size});
    Stream *s = error ? NULL : stream_of(stream);
    if (s && !is_pinned(target)) run_until(s, s->queued);
    return error;
}
static int copy_within(address target, address source, size_t size, void *stream) {
    return queue(stream, (Op){.work = COPY_WITHIN, .target = target, .source = source, .size = size});
}
static int fill(address target, u8 value, size_t size, void *stream) {
    return queue(stream, (Op){.work = FILL, .target = target, .source = value, .size = size});
}
static int cuMemcpyHtoD(address t, const void *s, size_t n) CALL(copy_in(t, s, n, NULL))
static int cuMemcpyDtoH(void *t, address s, size_t n) CALL(copy_out(t, s, n, NULL))
static int cuMemcpyDtoD(address t, address s, size_t n) CALL(copy_within(t, s, n, NULL))
static int cuMemsetD8(address t, u8 value, size_t n) CALL(fill(t, value, n, NULL))
static int cuMemcpyHtoDAsync(address t, const void *s, size_t n, void *stream) CALL(copy_in(t, s, n, stream))
static int cuMemcpyDtoHAsync(void *t, address s, size_t n, void *stream) CALL(copy_out(t, s, n, stream))
static int cuMemcpyDtoDAsync(address t, address s, size_t n, void *stream) CALL(copy_within(t, s, n, stream))
static int cuMemsetD8Async(address t, u8 value, size_t n, void *stream) CALL(fill(t, value, n, stream))

const Function MEMORY_FUNCTIONS[] = {
    {"cuMemAlloc", cuMemAlloc}, {"cuMemFree", cuMemFree}, {"cuMemAllocAsync", cuMemAllocAsync},
    {"cuMemAllocFromPoolAsync", cuMemAllocFromPoolAsync}, {"cuMemFreeAsync", cuMemFreeAsync},
    {"cuMemPoolCreate", cuMemPoolCreate}, {"cuMemPoolDestroy", nothing}, {"cuMemPoolSetAttribute", nothing},
    {"cuMemPoolTrimTo", nothing}, {"cuMemHostAlloc", cuMemHostAlloc}, {"cuMemAllocHost", cuMemAllocHost},
    {"cuMemFreeHost", cuMemFreeHost}, {"cuMemHostRegister", cuMemHostRegister},
    {"cuMemHostUnregister", cuMemHostUnregister}, {"cuPointerGetAttribute", cuPointerGetAttribute},
    {"cuMemcpyHtoD", cuMemcpyHtoD}, {"cuMemcpyDtoH", cuMemcpyDtoH}, {"cuMemcpyDtoD", cuMemcpyDtoD},
    {"cuMemcpyHtoDAsync", cuMemcpyHtoDAsync}, {"cuMemcpyDtoHAsync", cuMemcpyDtoHAsync},
    {"cuMemcpyDtoDAsync", cuMemcpyDtoDAsync}, {"cuMemsetD8", cuMemsetD8}, {"cuMemsetD8Async", cuMemsetD8Async},
    {NULL, NULL},
};
