/* The headers of a translated kernel. */
#include "machine.h"
#include "numbers.h"
#include "places.h"
#include "switch.h"

/* End the turn of a thread: at a barrier, or for good. */
__attribute__((noinline)) static void end_turn(Thread *t, int state, int line) {
    t->state = state, t->barrier = line;
    machine_switch(&t->stack, t->back);
}
