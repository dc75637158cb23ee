/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the words inside TP_STRUCT__entry() mean, as C macros over four primitives, each one member of the record:
 *
 *   tpgen_field(type, name)            type name;
 *   tpgen_array(type, name, length)    type name[length];
 *   tpgen_data_loc(type, name)         u32 __data_loc_<name>, which says where elements of type lie in the record
 *   tpgen_rel_loc(type, name)          u32 __rel_loc_<name>, likewise, counted from its own end
 *
 * type is what tracefs reports. How a dynamic field is filled (its source, format or length) does not matter here.
 */

#define __field(type, name) tpgen_field(type, name)
#define __field_ext(type, name, filter) tpgen_field(type, name)
#define __field_struct(type, name) tpgen_field(type, name)
#define __field_struct_ext(type, name, filter) tpgen_field(type, name)
#define __array(type, name, length) tpgen_array(type, name, length)

#define __dynamic_array(type, name, length) tpgen_data_loc(type, name)
#define __string(name, source...) tpgen_data_loc(char, name)
#define __string_len(name, source, length) tpgen_data_loc(char, name)
#define __vstring(name, format, arguments) tpgen_data_loc(char, name)
#define __bitmask(name, bits) tpgen_data_loc(unsigned long, name)
#define __cpumask(name) tpgen_data_loc(cpumask_t, name)
#define __sockaddr(name, length) tpgen_data_loc(u8, name)

#define __rel_dynamic_array(type, name, length) tpgen_rel_loc(type, name)
#define __rel_string(name, source...) tpgen_rel_loc(char, name)
#define __rel_string_len(name, source, length) tpgen_rel_loc(char, name)
#define __rel_vstring(name, format, arguments) tpgen_rel_loc(char, name)
#define __rel_bitmask(name, bits) tpgen_rel_loc(unsigned long, name)
#define __rel_cpumask(name) tpgen_rel_loc(cpumask_t, name)
#define __rel_sockaddr(name, length) tpgen_rel_loc(u8, name)
