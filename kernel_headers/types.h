/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The types that every kernel header takes for granted, one typedef each, as Linux 5.10 to 7.2 define them on every
 * target. They stand here so that a trace header can be laid out without the headers that it includes.
 *
 * What differs by the size of a pointer asks CONFIG_64BIT. What a 32-bit kernel's configuration decides (the width of a
 * physical address) is only here for 64 bits; on 32 it stays unknown, unless the tree or BTF tells.
 */

/* Integers by their width */

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;

typedef __s8 s8;
typedef __u8 u8;
typedef __s16 s16;
typedef __u16 u16;
typedef __s32 s32;
typedef __u32 u32;
typedef __s64 s64;
typedef __u64 u64;

typedef s8 int8_t;
typedef u8 uint8_t;
typedef u8 u_int8_t;
typedef s16 int16_t;
typedef u16 uint16_t;
typedef u16 u_int16_t;
typedef s32 int32_t;
typedef u32 uint32_t;
typedef u32 u_int32_t;
typedef s64 int64_t;
typedef u64 uint64_t;
typedef u64 u_int64_t;

typedef __u16 __le16;
typedef __u16 __be16;
typedef __u32 __le32;
typedef __u32 __be32;
typedef __u64 __le64;
typedef __u64 __be64;
typedef __u16 __sum16;
typedef __u32 __wsum;

/* Short names of C's own */

typedef _Bool bool;
typedef unsigned char unchar;
typedef unsigned char u_char;
typedef unsigned short ushort;
typedef unsigned short u_short;
typedef unsigned int uint;
typedef unsigned int u_int;
typedef unsigned long ulong;
typedef unsigned long u_long;
typedef unsigned long uintptr_t;

/* Sizes and offsets */

typedef long __kernel_long_t;
typedef unsigned long __kernel_ulong_t;
#ifdef CONFIG_64BIT
typedef __kernel_ulong_t __kernel_size_t;
typedef __kernel_long_t __kernel_ssize_t;
typedef __kernel_long_t __kernel_ptrdiff_t;
#else
typedef unsigned int __kernel_size_t;
typedef int __kernel_ssize_t;
typedef int __kernel_ptrdiff_t;
#endif
typedef __kernel_size_t size_t;
typedef __kernel_ssize_t ssize_t;
typedef __kernel_ptrdiff_t ptrdiff_t;
typedef __kernel_long_t off_t;
typedef long long __kernel_loff_t;
typedef __kernel_loff_t loff_t;

/* Files and memory */

typedef u32 __kernel_dev_t;
typedef __kernel_dev_t dev_t;
typedef __kernel_ulong_t ino_t;
typedef unsigned short umode_t;
typedef u32 nlink_t;
typedef unsigned int fmode_t;
typedef unsigned int gfp_t;
typedef unsigned int slab_flags_t;
typedef unsigned int __poll_t;
typedef u64 sector_t;
typedef u64 blkcnt_t;
typedef u32 errseq_t;
#ifdef CONFIG_64BIT
typedef u64 dma_addr_t;
typedef u64 phys_addr_t;
typedef phys_addr_t resource_size_t;
#endif

/* Processes, users, time and interrupts */

typedef int __kernel_pid_t;
typedef __kernel_pid_t pid_t;
typedef unsigned int __kernel_uid32_t;
typedef unsigned int __kernel_gid32_t;
typedef __kernel_uid32_t uid_t;
typedef __kernel_gid32_t gid_t;
typedef int __kernel_clockid_t;
typedef __kernel_clockid_t clockid_t;
typedef long long __kernel_time64_t;
typedef __s64 time64_t;
typedef s64 ktime_t;
typedef unsigned long irq_hw_number_t;
