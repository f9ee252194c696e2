/* Kernels: a cubin is loaded by the file name of its translation, which follows it, and launched if a device would
 * launch it. PTX_ULPS: the error of approximate instructions (default 2). */
#include "driver.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>

#define MARK "PTX MACHINE " /* stands before the file name, close behind the cubin */
#define MOST_PADDING 64

typedef struct { /* a module, and its only kernel */
    const Kernel *kernel;
    int most_dynamic; /* the requested bytes of shared memory */
} Loaded;

static u64 end_of(const u8 *cubin) {
    const Elf64_Ehdr *head = (const void *)cubin;
    const Elf64_Shdr *sections = (const void *)(cubin + head->e_shoff);
    u64 end = head->e_shoff + (u64)head->e_shnum * head->e_shentsize;
    u64 programs = head->e_phoff + (u64)head->e_phnum * head->e_phentsize;
    for (int i = 0; i < head->e_shnum; i++) {
        u64 last = sections[i].sh_type == SHT_NOBITS ? 0 : sections[i].sh_offset + sections[i].sh_size;
        if (last > end) end = last;
    }
    return end > programs ? end : programs;
}

static const char *file_of(const u8 *cubin) {
    if (memcmp(cubin, ELFMAG, 4)) return NULL;
    const u8 *end = cubin + end_of(cubin);
    for (int skip = 0; skip < MOST_PADDING; skip++)
        if (!memcmp(end + skip, MARK, strlen(MARK))) return (const char *)end + skip + strlen(MARK);
    return NULL;
}

static int load(Loaded **made, const u8 *cubin) {
    const char *file = file_of(cubin), *ulps = getenv("PTX_ULPS");
    void *found = file ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!found) return find("INVALID MODULE", "%s", file ? dlerror() : "no cubin with a translation"), INVALID_IMAGE;
    *(int *)dlsym(found, "machine_ulps") = ulps ? atoi(ulps) : 2;
    *made = calloc(1, sizeof **made);
    return (*made)->kernel = dlsym(found, "machine_kernel"), OK;
}
static int cuLibraryLoadData(Loaded **made, const u8 *cubin, void *a, void *b, unsigned c, void *d, void *e, unsigned f)
    CALL(load(made, cubin))
static int cuLibraryGetKernel(Loaded **k, Loaded *library, const char *name) {
    return *k = library, strcmp(library->kernel->name, name) ? NOT_FOUND : OK;
}
static int cuKernelGetFunction(Loaded **f, Loaded *k) { return *f = k, OK; }
static int nothing(void) { return OK; }

static int get(int *value, int which, const Loaded *k) {
    switch (which) { /* numbers of CUfunction_attribute */
    case 0: *value = k->kernel->most_threads; break;
    case 1: *value = k->kernel->static_shared; break;
    case 3: *value = k->kernel->stack; break;
    case 4: *value = k->kernel->registers; break;
    case 8: *value = k->most_dynamic; break;
    default: *value = 0;
    }
    return OK;
}
static int refuse(const Kernel *k, const char *why, int error) {
    return find("REFUSED", "%s: %s", short_name(k->name), why), error;
}
static int set(int which, int value, Loaded *k) {
    if (which != 8) return OK;
    if (value < 0 || value + k->kernel->static_shared > MOST_SHARED)
        return refuse(k->kernel, "more shared memory is asked for than there is", INVALID);
    return k->most_dynamic = value, OK;
}
static int cuKernelGetAttribute(int *value, int which, Loaded *k, int device) CALL(get(value, which, k))
static int cuFuncGetAttribute(int *value, int which, Loaded *k) CALL(get(value, which, k))
static int cuKernelSetAttribute(int which, int value, Loaded *k, int device) CALL(set(which, value, k))
static int cuFuncSetAttribute(Loaded *k, int which, int value) CALL(set(which, value, k))

typedef struct { /* the first fields of CUlaunchConfig */
    u32 grid[3], block[3], shared;
    void *stream;
} Config;

/* Refuse the launches that a device refuses. */
static int check_launch(const Config *c, const Loaded *l) {
    const Kernel *k = l->kernel;
    const u32 *grid = c->grid, *block = c->block;
    u64 threads = (u64)block[0] * block[1] * block[2], warps = (threads + 31) / 32;
    u64 registers = (u64)(k->registers * 32 + 255) / 256 * 256 * warps; /* warps get multiples of 256 */
    u64 all_shared = (u64)c->shared + k->static_shared;
    if (!grid[0] || !grid[1] || !grid[2] || grid[0] > MOST_BLOCKS || grid[1] > MOST_HIGH_BLOCKS ||
        grid[2] > MOST_HIGH_BLOCKS)
        return refuse(k, "the size of the grid", INVALID);
    if (!threads || threads > MOST_THREADS || block[2] > MOST_DEEP_THREADS)
        return refuse(k, "the size of the block", INVALID);
    if (threads > (u64)k->most_threads) return refuse(k, "more threads than it was compiled for", INVALID);
    if (registers > REGISTERS) return refuse(k, "more registers than there are", OUT_OF_RESOURCES);
    if (all_shared > MOST_SHARED) return refuse(k, "more shared memory than there is", INVALID);
    if (all_shared > USUAL_SHARED && c->shared > (u32)l->most_dynamic)
        return refuse(k, "shared memory that was not asked for", INVALID);
    return OK;
}

static int launch(const Config *c, const Loaded *l, void **arguments) {
    const Kernel *k = l->kernel;
    int error = check_launch(c, l);
    if (error) return error;
    Op op = {.work = LAUNCH, .kernel = k, .dynamic = c->shared, .staged = malloc(k->param_bytes + 1)};
    memcpy(op.grid, c->grid, sizeof op.grid), memcpy(op.block, c->block, sizeof op.block);
    for (int i = 0; i < k->params; i++)
        memcpy((u8 *)op.staged + k->param[i].start, arguments[i], k->param[i].end - k->param[i].start);
    counts.launches++;
    if (with_launches)
        write_log("LAUNCH %s grid %u,%u,%u block %u,%u,%u shared %d + %u registers %d\n", short_name(k->name),
                  c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], k->static_shared,
                  c->shared, k->registers);
    return queue(c->stream, op);
}
static int cuLaunchKernelEx(const Config *c, Loaded *k, void **arguments) CALL(launch(c, k, arguments))
static int cuLaunchKernel(Loaded *k, u32 x, u32 y, u32 z, u32 bx, u32 by, u32 bz, u32 shared, void *stream, void **given)
    CALL(launch(&(Config){{x, y, z}, {bx, by, bz}, shared, stream}, k, given))

const Function KERNEL_FUNCTIONS[] = {
    {"cuLibraryLoadData", cuLibraryLoadData}, {"cuLibraryUnload", nothing}, {"cuLibraryGetKernel", cuLibraryGetKernel},
    {"cuKernelGetFunction", cuKernelGetFunction}, {"cuKernelGetAttribute", cuKernelGetAttribute},
    {"cuKernelSetAttribute", cuKernelSetAttribute}, {"cuFuncGetAttribute", cuFuncGetAttribute},
    {"cuFuncSetAttribute", cuFuncSetAttribute}, {"cuLaunchKernelEx", cuLaunchKernelEx},
    {"cuLaunchKernel", cuLaunchKernel}, {NULL, NULL},
};
