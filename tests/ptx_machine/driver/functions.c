/* The only function that libcuda.so.1 exports by name: it finds all others.
 *
 * Functions that the machine does not have succeed and do nothing; a note says that they were called.
 */
#include "driver.h"

#include <sys/mman.h>

#define STUB 32 /* bytes of the code of a missing function */
#define MOST_STUBS 4096

static int missing(const char *name) { return find("note: NOT THERE", "%s does nothing", name), OK; }

static int nothing(void) { return OK; }

/* Make the code of a function that calls missing(name). */
static void *stub(const char *name) {
    static u8 *code;
    static int made;
    enter_call("cuGetProcAddress");
    if (!code) code = mmap(NULL, STUB * MOST_STUBS, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u8 *at = code == MAP_FAILED || made == MOST_STUBS ? NULL : code + STUB * made++;
    leave_call();
    if (!at) return nothing;
    const void *kept = strdup(name), *target = missing;
    memcpy(at, "\x48\xbf", 2), memcpy(at + 2, &kept, 8);    /* mov rdi, name */
    memcpy(at + 10, "\x48\xb8", 2), memcpy(at + 12, &target, 8); /* mov rax, missing */
    memcpy(at + 20, "\xff\xe0", 2);                         /* jmp rax */
    return at;
}

int cuGetProcAddress_v2(const char *name, void **function, int version, u64 flags, int *status) {
    const Function *const tables[] = {DEVICE_FUNCTIONS, STREAM_FUNCTIONS, MEMORY_FUNCTIONS, KERNEL_FUNCTIONS};
    if (status) *status = OK;
    for (int i = 0; i < 4; i++)
        for (const Function *f = tables[i]; f->name; f++)
            if (!strcmp(f->name, name)) return *function = f->function, OK;
    return *function = stub(name), OK;
}
