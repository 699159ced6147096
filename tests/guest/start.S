/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a payload: the header of an arm64 Image (Linux Documentation/arch/arm64/booting.rst), then
 * what it takes to run C at EL1: an identity map with caches on (so that rings are coherent with
 * the VMM on real silicon), relocations, a stack, vectors.
 */
	.section .head, "ax"
	.globl	_start
_start:
	b	primary
	.word	0
	.quad	0			/* text_offset */
	.quad	_image_end - _start
	.quad	0xa			/* flags: little-endian, 4 KiB pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

	.text
primary:
	mov	x20, x0			/* the FDT */
	bl	enable_mmu
	adrp	x0, _bss_start
	adrp	x1, _bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b

	/* Linked at 0: every relocation is R_AARCH64_RELATIVE, *(base + offset) = base + addend. */
	adrp	x9, _start
	adrp	x0, _rela_start
	add	x0, x0, :lo12:_rela_start
	adrp	x1, _rela_end
	add	x1, x1, :lo12:_rela_end
2:	cmp	x0, x1
	b.hs	3f
	ldp	x2, x3, [x0], #16
	ldr	x4, [x0], #8
	add	x4, x4, x9
	str	x4, [x9, x2]
	b	2b
3:	dsb	sy
	ic	iallu
	dsb	sy
	isb
	mov	x0, #0
	bl	set_stack
	mov	x0, x20
	bl	rt_main
	b	.

/* PSCI CPU_ON lands here with the context id, which is the CPU's index, in x0. */
	.globl	secondary_entry
secondary_entry:
	mov	x20, x0
	bl	enable_mmu
	mov	x0, x20
	bl	set_stack
	mov	x0, x20
	bl	rt_secondary
	b	.

/* 16 KiB for each of eight CPUs. In: x0, the CPU's index. */
set_stack:
	adrp	x1, _stacks_end
	sub	x1, x1, x0, lsl #14
	mov	sp, x1
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	msr	tpidr_el1, x0
	isb
	ret

enable_mmu:
	adrp	x0, page_table
	add	x0, x0, :lo12:page_table
	msr	ttbr0_el1, x0
	ldr	x1, =0xff04		/* attr 0: Device-nGnRE, attr 1: Normal write-back */
	msr	mair_el1, x1
	/* 39 bits (start at level 1), write-back inner shareable walks, 4 KiB, no TTBR1 */
	ldr	x1, =(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23)
	mrs	x2, id_aa64mmfr0_el1
	and	x2, x2, #7
	mov	x3, #5			/* 48 bits: more needs another granule or LPA2 */
	cmp	x2, x3
	csel	x2, x2, x3, lo
	orr	x1, x1, x2, lsl #32
	msr	tcr_el1, x1
	tlbi	vmalle1
	dsb	sy
	isb
	mrs	x1, sctlr_el1
	mov	x2, #0x1005		/* M, C, I */
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	ret

	.macro vector handler
	.balign	128
	b	\handler
	.endm

	.balign	2048
vectors:
	.rept	4
	vector	unexpected
	.endr
	vector	unexpected		/* synchronous, SP_EL1 */
	vector	irq_entry
	vector	unexpected
	vector	unexpected
	.rept	8
	vector	unexpected
	.endr

irq_entry:
	sub	sp, sp, #176
	stp	x0, x1, [sp, #0]
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x29, [sp, #144]
	str	x30, [sp, #160]
	bl	gic_irq
	ldp	x0, x1, [sp, #0]
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x29, [sp, #144]
	ldr	x30, [sp, #160]
	add	sp, sp, #176
	eret

unexpected:
	mrs	x0, esr_el1
	mrs	x1, elr_el1
	mrs	x2, far_el1
	adrp	x3, _start
	sub	x1, x1, x3		/* as in the .elf */
	bl	rt_exception
	b	.

/* Level 1: 1 GiB blocks. The first is devices, then memory, and from 256 GiB on devices again. */
	.section .data.page_table, "aw"
	.balign	4096
page_table:
	.quad	0x0060000000000401	/* device, AF, UXN, PXN */
	.set	block, 1
	.rept	255
	.quad	block << 30 | 0x705	/* normal, AF, inner shareable */
	.set	block, block + 1
	.endr
	.rept	256
	.quad	block << 30 | 0x0060000000000401
	.set	block, block + 1
	.endr
