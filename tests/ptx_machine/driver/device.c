/* The device, contexts, and the frame of all calls: they hold a lock, and are known by name. */
#include "driver.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *call = "";
static __thread int has_context;

void enter_call(const char *name) { pthread_mutex_lock(&lock), call = name; }
void leave_call(void) { pthread_mutex_unlock(&lock); }
const char *called(void) { return call; }
void need_context(void) {
    if (!has_context) find("INVALID CONTEXT", "%s: by a thread of the program without a context", call);
}

static int nothing(void) { return OK; }
static int version(int *v) { return *v = 13000, OK; }
static int one(int *v) { return *v = 1, OK; }
static int zero(int *v) { return *v = 0, OK; }
static int ordinal(int *device, int n) { return *device = n, n ? INVALID_DEVICE : OK; }
static int device_name(char *name, int n) { return snprintf(name, n, "PTX machine"), OK; }
static int current(void **p) { return *p = has_context ? (void *)1 : NULL, OK; }
static int push(void *c) { return has_context = c != NULL, OK; }
static int pop(void **p) { return *p = (void *)1, has_context = 0, OK; }
static int retained(void **p, int device) { return *p = (void *)1, OK; }
static int context_of(void *stream, void **p) { return *p = (void *)1, OK; }
static int text(int error, const char **s) { return *s = "PTX machine", OK; }
static int memory(size_t *free, size_t *total) {
    return *total = TOLD_MEMORY, *free = TOLD_MEMORY - counts.bytes, OK;
}

static int attribute(int *value, int which, int device) {
    switch (which) { /* numbers of CUdevice_attribute */
    case 1: case 2: case 3: *value = which == 3 ? MOST_DEEP_THREADS : MOST_THREADS; break;
    case 4: *value = MOST_DEEP_THREADS; break;
    case 5: *value = MOST_BLOCKS; break;
    case 6: case 7: *value = MOST_HIGH_BLOCKS; break;
    case 8: *value = USUAL_SHARED; break;
    case 10: *value = 32; break; /* threads of a warp */
    case 12: *value = REGISTERS; break;
    case 16: *value = MULTIPROCESSORS; break;
    case 39: *value = 2048; break;       /* threads of a multiprocessor */
    case 41: case 115: *value = 1; break; /* one address space; pools of memory */
    case 75: *value = 9; break;          /* compute capability 9.0 */
    case 81: *value = 228 << 10; break;  /* shared memory of a multiprocessor */
    case 97: *value = MOST_SHARED; break;
    default: *value = 0;
    }
    return OK;
}

const Function DEVICE_FUNCTIONS[] = {
    {"cuInit", nothing}, {"cuDriverGetVersion", version}, {"cuDeviceGetCount", one}, {"cuDeviceGet", ordinal},
    {"cuDeviceGetName", device_name}, {"cuDeviceGetAttribute", attribute}, {"cuDeviceGetUuid", nothing},
    {"cuCtxGetDevice", zero}, {"cuCtxGetCurrent", current}, {"cuCtxPushCurrent", push}, {"cuCtxPopCurrent", pop},
    {"cuCtxSetCurrent", push}, {"cuDevicePrimaryCtxRetain", retained}, {"cuDevicePrimaryCtxRelease", nothing},
    {"cuStreamGetCtx", context_of}, {"cuMemGetInfo", memory}, {"cuGetErrorName", text}, {"cuGetErrorString", text},
    {NULL, NULL},
};
