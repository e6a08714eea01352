/* Public structs that start with struct_size and may grow at their end: what is taken from a
 * caller's, which may be of an earlier or a later version, and what is given back.
 *
 * A version that appends fields to a struct adds the new STRUCT_END to the struct's row; defaults
 * must mean what the version before did. Fields never go into padding: rows end on whole structs.
 */
#ifndef QSGD_BASE_STRUCTS_H
#define QSGD_BASE_STRUCTS_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>

#include "qsgd.h"

#define STRUCT_SIZES 4   /* versions of a struct that a row has room for */
#define STRUCT_MOST 4096 /* bytes of a struct, whatever the version */

/* One struct: its sizes of every version, ascending; the last one is this version's. */
struct struct_row {
    const char *parameter; /* as functions call it */
    size_t sizes[STRUCT_SIZES];
};

/* Bytes of a struct whose last field is that. */
#define STRUCT_END(type, field)                                                                    \
    ((offsetof(type, field) + sizeof(((type *)0)->field) + _Alignof(type) - 1) / _Alignof(type) *  \
     _Alignof(type))

/* A struct's row, while version 0.1 is the only one that is released: its last field then, and
 * what the struct is now. */
#define STRUCT_ROW(type, field, name)                                                              \
    {                                                                                              \
        name, { STRUCT_END(type, field), sizeof(type) }                                            \
    }

/* Fills a caller's struct of that size with defaults, which is a whole struct of this version. */
qsgd_status struct_init(const struct struct_row *row, void *given, size_t size,
                        const void *defaults);

/* Copies a result into a caller's struct, which was checked, as far as that goes. */
void struct_give(const struct struct_row *row, const void *result, void *given);

/* This version's size. */
size_t struct_now(const struct struct_row *row);

/* The caller's own struct_size. */
size_t struct_size_of(const void *given);

/* True for sizes of this or an earlier version, and of later ones. */
bool struct_size_known(const struct struct_row *row, size_t size);

/* The same by the caller's own struct_size; false for NULL. */
bool struct_known(const struct struct_row *row, const void *given);

#endif
