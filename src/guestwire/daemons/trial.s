# The guest that tries an accelerator: 300 bytes of firmware that do what a kernel does as it starts.
#
# It enters 64-bit mode with paging, writes to memory two million times, and waits for its own timer's interrupts. What
# it has come to it says on port 0xE9 (isa-debugcon), a letter each; then it ends QEMU by port 0xF4 (isa-debug-exit).
#
# The numbers are those of Intel's manual: volume 3, 3.4.5 (descriptors), 4.5 (paging), 10.8.5 (long mode),
# 11.5 (the local APIC's timer). The processor starts at the 16th last byte of the ROM (10.1.4). A descriptor's
# accessed bit is set already, since the processor couldn't: this is a ROM.
#
#     as trial.s -o trial.o && ld -Ttext 0xffff0000 --oformat binary -o trial.rom trial.o

LOOPS = 2000000
PML4 = 0x1000           # the tables of paging, and where they lie: the top,
PDPT = 0x2000           # its first 512 GiB,
LOW = 0x3000            # of those the first one,
HIGH = 0x4000           # and the fourth
IDT = 0x5000
COUNT = 0x7000
STACK = 0x8000
APIC = 0xfee00000
VECTOR = 32

        .code16
        .globl  _start
_start: cli
        lgdtl   %cs:(gdtr - _start)
        mov     %cr0, %eax
        or      $1, %al                         # protected mode
        mov     %eax, %cr0
        ljmpl   $24, $flat

        .code32
flat:   mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $'P', %al
        out     %al, $0xe9
        mov     $PML4, %edi
        mov     $(IDT + 0x1000 - PML4) / 4, %ecx
        xor     %eax, %eax
        rep stosl
        movl    $PDPT + 3, PML4
        movl    $LOW + 3, PDPT
        movl    $HIGH + 3, PDPT + 8 * 3
        movl    $0x83, LOW                      # the first 2 MiB, as they are
        movl    $APIC + 0x93, HIGH + 8 * 0x1f7  # the APIC, uncached
        movl    $0xffe00083, HIGH + 8 * 0x1ff   # the last 2 MiB, where this is
        mov     $PML4, %eax
        mov     %eax, %cr3
        mov     $0x20, %eax                     # physical address extension
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx               # EFER: long mode
        rdmsr
        or      $0x100, %eax
        wrmsr
        mov     $0x80000001, %eax               # paging
        mov     %eax, %cr0
        ljmpl   $8, $long

        .code64
long:   mov     $16, %eax
        mov     %eax, %ss
        mov     $STACK, %esp
        mov     $'L', %al
        out     %al, $0xe9
        mov     $IDT + 16 * VECTOR, %edi
        mov     $tick, %eax
        mov     %ax, (%rdi)
        movw    $8, 2(%rdi)
        movw    $0x8e00, 4(%rdi)                # an interrupt gate
        shr     $16, %eax
        mov     %ax, 6(%rdi)
        lidt    idtr(%rip)
        mov     $LOOPS, %ecx
1:      incl    COUNT
        dec     %ecx
        jnz     1b
        mov     $'C', %al
        out     %al, $0xe9
        mov     $APIC, %edi
        movl    $0x1ff, 0xf0(%rdi)              # on
        movl    $0xb, 0x3e0(%rdi)               # the timer counts every tick of its clock,
        movl    $0x20000 + VECTOR, 0x320(%rdi)  # again and again,
        movl    $1000000, 0x380(%rdi)           # down from a million: a millisecond
        mov     $3, %ebx
        sti
1:      hlt
        test    %ebx, %ebx
        jg      1b
        mov     $'T', %al
        out     %al, $0xe9
        mov     $16, %al                        # QEMU ends with 2 * 16 + 1
        out     %al, $0xf4
2:      hlt
        jmp     2b

tick:   dec     %ebx
        movl    $0, 0xb0(%rdi)                  # the interrupt is seen to
        iretq

        .balign 8
gdt:    .quad   0
        .quad   0x00209b0000000000              # code of 64 bits,
        .quad   0x00cf93000000ffff              # data,
        .quad   0x00cf9b000000ffff              # code of 32 bits
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
idtr:   .word   16 * (VECTOR + 1) - 1
        .quad   IDT

        .org    0xfff0
        .byte   0xe9                            # jmp _start, in 16 bits
        .word   _start - (. + 2)
        .org    0x10000
