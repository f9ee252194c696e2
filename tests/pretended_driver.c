/* A CUDA driver without a device, which runs all of the host's code: device memory is the host's and full of ones
 * (of float64), copies copy, and the launch of a kernel is logged, but does nothing. The driver refuses launches and
 * allocations that a device refuses. Functions that are not here succeed and do nothing.
 *
 * PRETENDED_LOG names a file with a line for each launch, with PRETENDED_WORDS of its arguments, each order of two
 * streams, each wait of the host, and each use of a destroyed stream. PRETENDED_MEMORY limits the bytes of an
 * allocation, PRETENDED_DEVICE the bytes of the device; with PRETENDED_NO_POOLS the device has no pools. Copies from
 * pinned memory are made when the host waits.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;
typedef struct {
    char name[256];
    unsigned dynamic; /* the requested bytes of shared memory */
} kernel;
typedef struct {
    unsigned grid[3], block[3], shared;
    void *stream;
} config;

enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_SUPPORTED = 801, HEAD = 256, MOST = 4096 };

static _Atomic long live = 0; /* the number of allocations, which several threads change */
/* bytes in use; freed bytes that a stream may still use, and freed bytes that the pool keeps */
static _Atomic long used = 0, pending = 0, kept = 0;
static void *gone[MOST]; /* destroyed streams */
static int n_gone = 0;
static struct { void *target, *source; size_t size; } waiting[MOST]; /* copies from pinned memory */
static int n_waiting = 0;
static char *pinned = NULL;
static size_t n_pinned = 0;

static void note(const char *line) {
    const char *file = getenv("PRETENDED_LOG");
    FILE *log = file ? fopen(file, "a") : NULL;
    if (log) fprintf(log, "%s\n", line), fclose(log);
}

static int nothing(void) { return OK; }
static int version(int *v) { return *v = 13000, OK; }
static int one(int *v) { return *v = 1, OK; }
static int zero(int *v) { return *v = 0, OK; }
static int ordinal(int *device, int n) { return *device = n, OK; }
static int device_name(char *name, int n) { return snprintf(name, n, "pretended"), OK; }
static int context(void **p) { return *p = (void *)1, OK; }
static int retained(void **p, int device) { return *p = (void *)1, OK; }

static int attribute(int *value, int which, int device) {
    switch (which) { /* numbers of CUdevice_attribute */
    case 1: case 2: case 3: *value = 1024; break;   /* threads of a block */
    case 4: *value = 64; break;
    case 5: case 6: case 7: *value = 65535; break;  /* blocks of a grid */
    case 8: *value = 48 << 10; break;               /* shared memory of a block */
    case 10: *value = 32; break;                    /* threads of a warp */
    case 16: *value = 132; break;                   /* multiprocessors */
    case 41: case 115: *value = 1; break;           /* one address space; pools of memory */
    case 75: *value = 9; break;                     /* compute capability 9.0 */
    case 97: *value = 227 << 10; break;             /* shared memory of a block on request */
    default: *value = 0;
    }
    return OK;
}

static int memory(size_t *free, size_t *total) { return *free = *total = (size_t)1 << 30, OK; }
static int handle(void **p) { return *p = malloc(16), OK; }

static int allocate(address *p, size_t size) {
    const char *limit = getenv("PRETENDED_MEMORY"), *device = getenv("PRETENDED_DEVICE");
    void *found;
    if (limit && size > strtoull(limit, NULL, 10)) return OUT_OF_MEMORY;
    if (device && used + pending + kept + size > strtoull(device, NULL, 10)) return OUT_OF_MEMORY;
    if (posix_memalign(&found, 256, HEAD + size + 8)) return OUT_OF_MEMORY;
    *(size_t *)found = size;
    for (size_t i = 0; i < size / 8 + 1; i++) ((double *)((char *)found + HEAD))[i] = 1.0;
    live++, used += size;
    return *p = (address)found + HEAD, OK;
}
static int allocate_of_pool(address *p, size_t size, void *pool, void *stream) { return allocate(p, size); }
static int pool(void **p) { return getenv("PRETENDED_NO_POOLS") ? NOT_SUPPORTED : handle(p); }
static int release(address p) {
    void *found = (void *)(p - HEAD);
    return live--, used -= *(size_t *)found, free(found), OK;
}
static int release_to_pool(address p, void *stream) {
    for (int i = 0; i < n_gone; i++)
        if (gone[i] == stream) note("freed on a stream that was destroyed");
    return pending += *(size_t *)(p - HEAD), release(p);
}
static int trim(void *pool, size_t least) { return kept = 0, OK; }
static int destroy(void *stream) {
    if (n_gone < MOST) gone[n_gone++] = stream;
    return OK;
}

static int synchronize(void) {
    note("synchronize");
    for (int i = 0; i < n_waiting; i++) memmove(waiting[i].target, waiting[i].source, waiting[i].size);
    n_waiting = 0;
    return kept += pending, pending = 0, OK;
}
static int is_pinned(void *p) { return (char *)p >= pinned && (char *)p < pinned + n_pinned; }
static int kind_of_memory(unsigned *kind, int which, void *p) {
    return *kind = 1, is_pinned(p) ? OK : INVALID;
}
static int copy(void *target, void *source, size_t size) { return memmove(target, source, size), OK; }
static int copy_in(void *target, void *source, size_t size) {
    if (!is_pinned(source) || n_waiting == MOST) return copy(target, source, size);
    waiting[n_waiting].target = target, waiting[n_waiting].source = source, waiting[n_waiting].size = size;
    return n_waiting++, OK;
}
static int copy_out(void *target, void *source, size_t size) {
    return synchronize(), copy(target, source, size);
}

static int noted(const char *what, void *stream, void *event) {
    char line[64];
    snprintf(line, sizeof line, "%s %p %p", what, stream, event);
    return note(line), OK;
}
static int order(void *stream, void *event) { return noted("wait", stream, event); }
static int record(void *event, void *stream) { return noted("record", stream, event); }

static int kernel_of(kernel **k, void *library, const char *name) {
    *k = calloc(1, sizeof(kernel));
    return snprintf((*k)->name, sizeof (*k)->name, "%s", name), OK;
}
static int function_of(void **f, void *k) { return *f = k, OK; }
static int set(int which, int value, kernel *k, int device) {
    if (which == 8) k->dynamic = value;
    return OK;
}

static int launch(const config *c, kernel *k, void **arguments) {
    const unsigned *grid = c->grid, *block = c->block;
    const char *words = getenv("PRETENDED_WORDS");
    char line[4096];
    int n;
    if (!grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535) return INVALID;
    if (!block[0] || block[0] * block[1] * block[2] > 1024) return INVALID;
    if (c->shared > 48 << 10 && c->shared > k->dynamic) return INVALID;
    n = snprintf(line, sizeof line, "launch %s %u,%u,%u %u,%u,%u %u", k->name, grid[0], grid[1], grid[2],
                 block[0], block[1], block[2], c->shared);
    for (int i = 0; words && i < atoi(words); i++)
        n += snprintf(line + n, sizeof line - n, " %llx", *(address *)arguments[i]);
    return note(line), OK;
}
static int launch_flat(kernel *k, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz,
                       unsigned shared, void *stream, void **arguments) {
    config c = {{x, y, z}, {bx, by, bz}, shared, stream};
    return launch(&c, k, arguments);
}
static int text(int error, const char **s) { return *s = "pretended", OK; }

long pretended_allocations(void) { return live; }
void pretended_pin(void *p, size_t size) { pinned = p, n_pinned = size; }

static const struct {
    const char *name;
    void *function;
} FUNCTIONS[] = {
    {"cuDriverGetVersion", version}, {"cuDeviceGetCount", one}, {"cuDeviceGet", ordinal},
    {"cuDeviceGetName", device_name}, {"cuDeviceGetAttribute", attribute}, {"cuCtxGetDevice", zero},
    {"cuCtxGetCurrent", context}, {"cuCtxPopCurrent", context}, {"cuDevicePrimaryCtxRetain", retained},
    {"cuStreamGetCtx", function_of}, {"cuMemGetInfo", memory}, {"cuMemAlloc", allocate},
    {"cuMemAllocFromPoolAsync", allocate_of_pool}, {"cuMemPoolCreate", pool}, {"cuMemFree", release},
    {"cuMemFreeAsync", release_to_pool}, {"cuMemPoolTrimTo", trim},
    {"cuPointerGetAttribute", kind_of_memory},
    {"cuMemcpyHtoDAsync", copy_in}, {"cuMemcpyDtoHAsync", copy_out}, {"cuMemcpyDtoDAsync", copy},
    {"cuStreamCreate", handle}, {"cuEventCreate", handle}, {"cuStreamDestroy", destroy},
    {"cuStreamSynchronize", synchronize}, {"cuCtxSynchronize", synchronize},
    {"cuEventRecord", record}, {"cuStreamWaitEvent", order}, {"cuLibraryLoadData", handle},
    {"cuLibraryGetKernel", kernel_of}, {"cuKernelGetFunction", function_of}, {"cuKernelSetAttribute", set},
    {"cuLaunchKernelEx", launch}, {"cuLaunchKernel", launch_flat}, {"cuGetErrorName", text},
    {"cuGetErrorString", text},
};

int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    *function = (void *)nothing;
    if (status) *status = OK;
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        if (!strcmp(FUNCTIONS[i].name, name)) *function = FUNCTIONS[i].function;
    return OK;
}
