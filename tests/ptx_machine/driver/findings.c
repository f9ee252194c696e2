/* Findings: reported once for each place, and counted. PTX_LOG names the file of the report. */
#include "driver.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FEW_LAUNCHES 1000

typedef struct Finding {
    char key[400], text[600];
    long count;
    struct Finding *next;
} Finding;

struct Counts counts;
int with_launches;
static Finding *findings;
static FILE *log_file;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void write_log(const char *format, ...) {
    va_list values;
    if (!log_file) return;
    va_start(values, format);
    vfprintf(log_file, format, values);
    va_end(values);
    fflush(log_file);
}

static void count(const char *key, const char *text) {
    pthread_mutex_lock(&lock);
    Finding *f = findings;
    while (f && strcmp(f->key, key)) f = f->next;
    if (f)
        f->count++;
    else {
        f = calloc(1, sizeof *f);
        snprintf(f->key, sizeof f->key, "%s", key);
        snprintf(f->text, sizeof f->text, "%s", text);
        f->count = 1, f->next = findings, findings = f;
        write_log("FOUND %s\n", f->text);
    }
    pthread_mutex_unlock(&lock);
}

/* Report a finding in a call of the host. Kinds that begin with "note" are no errors. */
void find(const char *kind, const char *format, ...) {
    char more[380], text[400];
    va_list values;
    va_start(values, format);
    vsnprintf(more, sizeof more, format, values);
    va_end(values);
    snprintf(text, sizeof text, "%.40s | host | %.340s", kind, more);
    count(text, text);
}

/* Report a finding in an instruction of a kernel. */
void find_in_kernel(Launch *l, const char *kind, int line, u32 thread, u64 at, const char *space) {
    char key[400], text[600];
    snprintf(key, sizeof key, "%.40s %.300s %d", kind, l->kernel->name, line);
    int n = snprintf(text, sizeof text, "%s | %s | block %u,%u,%u thread %u | ", kind, short_name(l->kernel->name),
                     l->at[0], l->at[1], l->at[2], thread);
    if (space) n += snprintf(text + n, sizeof text - n, "%s 0x%llx | ", space, (address)at);
    snprintf(text + n, sizeof text - n, "%s", l->kernel->lines[line]);
    count(key, text);
}

/* Return the names in the mangled name of a kernel, joined by dots. */
const char *short_name(const char *mangled) {
    static __thread char name[200];
    size_t n = 0;
    if (strncmp(mangled, "_ZN", 3)) return mangled;
    for (const char *at = mangled + 3; isdigit(*at);) {
        char *rest;
        size_t length = strtoul(at, &rest, 10);
        if (length > strlen(rest) || n + length + 2 > sizeof name) break;
        if (n) name[n++] = '.';
        memcpy(name + n, rest, length), n += length;
        at = rest + length;
    }
    name[n] = 0;
    return n ? name : mangled;
}

/* Return the n-th finding from the end, or NULL; programs call this. */
const char *machine_finding(long n) {
    Finding *f = findings;
    while (f && n--) f = f->next;
    return f ? f->text : NULL;
}
void machine_forget(void) { findings = NULL; }
long machine_allocations(void) { return counts.allocations; }

/* Write the counts after each launch, because not every process ends in order; after many launches only once a
 * second, and at the end. */
void write_counts(int end) {
    static time_t last;
    time_t now = time(NULL);
    if (!end && counts.launches > FEW_LAUNCHES && now == last) return;
    last = now;
    write_log("COUNTS of %d: launches %ld kernels %ld blocks %ld barriers %ld accesses %ld live-allocations %ld\n",
              getpid(), counts.launches, counts.kernels, counts.blocks, counts.barriers, counts.accesses,
              counts.allocations);
}

/* Do the work that is queued when the program ends, and write the counts. */
static void finish(void) {
    enter_call("the end of the program");
    run_all();
    leave_call();
    for (Finding *f = findings; f; f = f->next)
        if (f->count > 1) write_log("TIMES %ld | %s\n", f->count, f->text);
    write_counts(1);
}

__attribute__((constructor)) static void begin(void) {
    const char *launches = getenv("PTX_LAUNCHES"), *file = getenv("PTX_LOG");
    with_launches = launches && atoi(launches);
    if (file) log_file = fopen(file, "a");
    atexit(finish);
}
