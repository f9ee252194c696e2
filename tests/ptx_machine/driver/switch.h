/* Coroutines of x86-64: each thread of a block has a stack of its own. One file of a library includes this. */
/* Continue on another stack, at the stack pointer `load`; the current one is kept at `save`. */
void machine_switch(void **save, void *load);
__asm__(".text\n.local machine_switch\n.type machine_switch,@function\n"
        "machine_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
